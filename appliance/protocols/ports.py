"""What a protocol may take of the box: every port, from one car interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink, IsoTpSettings
from drivers.can.interface import CanPort
from drivers.ethernet.interface import Ethernet
from drivers.kline.interface import KLine
from drivers.person.interface import Person
from drivers.pins.interface import Pins
from drivers.supply.interface import Supply
from drivers.tap.interface import Tap
from drivers.uart.interface import Uart
from drivers.voltmeter.interface import Voltmeter


class CarInterface(Protocol):
    """Real hardware or a simulated car."""

    @property
    def simulated(self) -> bool:
        """Shown wherever a result is shown."""

    @property
    def meter(self) -> Voltmeter:
        """The supply the ECU sees."""

    @property
    def voltmeter_missing(self) -> str | None:
        """Why the supply cannot be measured: reading is possible then, writing is not. None when it can."""

    @property
    def fd(self) -> bool:
        """Whether CAN FD frames can be sent. Raises PitboxError."""

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        """Join the bus. Raises PitboxError."""

    def open_listener(self, bitrate_bps: int) -> CanPort:
        """Hear a bus whose bit rate is not known, without disturbing it. Raises PitboxError."""

    def usable_rates(self, rates_bps: Sequence[int]) -> tuple[int, ...]:
        """Those of the bit rates that can be tried. Raises PitboxError."""

    def open_link(self, port: CanPort, address: IsoTpAddress, settings: IsoTpSettings) -> IsoTpLink:
        """An ISO-TP link over a port of this connection. Raises PitboxError."""

    def rate_change(self, port: CanPort) -> Callable[[int], None]:
        """What takes an open port to another bit rate, in bit/s, and back.

        Raises PitboxError CAN_RATE_FIXED for an interface that keeps its own while it is open.
        """

    def kline(self) -> KLine:
        """Opened for whoever asks, who closes it. Raises PitboxError PORT_MISSING."""

    def uart(self) -> Uart:
        """Raises PitboxError PORT_MISSING."""

    def ethernet(self) -> Ethernet:
        """Raises PitboxError PORT_MISSING."""

    def tap(self) -> Tap:
        """Raises PitboxError PORT_MISSING."""

    def pins(self) -> Pins:
        """Lines that strap and reset a controller. Raises PitboxError PORT_MISSING."""

    def supply(self) -> Supply:
        """The bench supply. Raises PitboxError PORT_MISSING."""

    def person(self) -> Person:
        """Whoever is at the box. Raises PitboxError PORT_MISSING."""
