"""A box that has none of the ports that not every box has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
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
        raise EngineError("CAN_RATE_FIXED", bitrate_bps=port.bitrate_bps)

    def kline(self) -> KLine:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.kline"), "--kline")

    def uart(self) -> Uart:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.uart"))

    def ethernet(self) -> Ethernet:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.ethernet"))

    def tap(self) -> Tap:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.tap"))

    def pins(self) -> Pins:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.pins"), "--pins")

    def supply(self) -> Supply:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.supply"), "--pins")

    def person(self) -> Person:
        """Raises PitboxError PORT_MISSING."""
        raise PortMissingError(phrase("port.person"))


def _no_can() -> PortMissingError:
    return PortMissingError(phrase("port.can"), "--can")
