"""A box that has none of the ports that not every box has."""

from __future__ import annotations

from appliance.protocols.port_missing import PortMissingError
from drivers.ethernet.interface import Ethernet
from drivers.kline.interface import KLine
from drivers.person.interface import Person
from drivers.pins.interface import Pins
from drivers.supply.interface import Supply
from drivers.tap.interface import Tap
from drivers.uart.interface import Uart


class MissingPorts:
    """Base of a box with a CAN bus alone: whatever else is asked for is missing, by name."""

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
