"""A box that has none of the ports that not every box has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.contract.errors import PitboxError
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink, IsoTpSettings
from appliance.protocols.port_missing import PortMissingError
from drivers.can.interface import CanPort
from drivers.ethernet.interface import Ethernet
from drivers.kline.interface import KLine
from drivers.person.interface import Person
from drivers.pins.interface import Pins
from drivers.supply.interface import Supply
from drivers.tap.interface import Tap
from drivers.uart.interface import Uart


class MissingPorts:
    """Base of a box: whatever is asked for is missing, by name."""

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        """Raises PitboxError PORT_MISSING."""
        raise _no_can()

    def open_listener(self, bitrate_bps: int) -> CanPort:
        """Raises PitboxError PORT_MISSING."""
        raise _no_can()

    def usable_rates(self, rates_bps: Sequence[int]) -> tuple[int, ...]:
        """Raises PitboxError PORT_MISSING."""
        raise _no_can()

    def open_link(self, port: CanPort, address: IsoTpAddress, settings: IsoTpSettings) -> IsoTpLink:
        """Raises PitboxError PORT_MISSING."""
        raise _no_can()

    def rate_change(self, port: CanPort) -> Callable[[int], None]:
        """Raises PitboxError CAN_RATE_FIXED: SocketCAN takes the whole interface down for another rate."""
        raise PitboxError(
            "CAN_RATE_FIXED",
            "this way into the ECU changes the bit rate of the bus in its middle, and the CAN interface of "
            f"this box keeps its {port.bitrate_bps} bit/s while it is open",
            do_now="Choose another access of this ECU, or a box whose interface changes its rate while it is "
            "open. Nothing was erased.",
        )

    def kline(self) -> KLine:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("K-line", "name it in --kline")

    def uart(self) -> Uart:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("UART")

    def ethernet(self) -> Ethernet:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("Ethernet port")

    def tap(self) -> Tap:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("test access port")

    def pins(self) -> Pins:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("pins", "name them in --pins")

    def supply(self) -> Supply:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("bench supply", "name supply, ignition and probe in --pins")

    def person(self) -> Person:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError("person to ask")


def _no_can() -> PortMissingError:
    return PortMissingError("CAN bus", "name it in --can")
