"""What a K-line can do."""

from __future__ import annotations

from typing import Protocol


class KLine(Protocol):
    """One wire, both ways: the echo of what is sent is taken off by the driver."""

    async def wake(self, address: int) -> None:
        """Send an address at 5 bit/s (ISO 14230-2, 5.2.4.1). Raises ConnectionError."""

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError, also where the echo is not what was sent."""

    async def receive(self, count: int, within_s: float) -> bytes:
        """At most `count` bytes; fewer where time ran out. Raises ConnectionError."""

    def set_rate(self, bits_per_s: int) -> None:
        """Takes effect with the next byte. Raises ConnectionError."""
