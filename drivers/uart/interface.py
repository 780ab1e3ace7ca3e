"""What a serial line can do."""

from __future__ import annotations

from typing import Protocol


class Uart(Protocol):
    """Two wires, 8 data bits, no parity, one stop bit."""

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError."""

    async def receive(self, count: int, within_s: float) -> bytes:
        """At most `count` bytes; fewer where time ran out. Raises ConnectionError."""

    def set_rate(self, bits_per_s: int) -> None:
        """Takes effect with the next byte. Raises ConnectionError."""
