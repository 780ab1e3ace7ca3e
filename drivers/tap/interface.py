"""What a test access port can do."""

from __future__ import annotations

from typing import Protocol


class Tap(Protocol):
    """One controller on the chain; least significant bit first."""

    def reset(self) -> None:
        """Into Test-Logic-Reset. Raises ConnectionError."""

    def shift_ir(self, value: int, bits: int) -> int:
        """Shift an instruction; what came out meanwhile. Raises ConnectionError."""

    def shift_dr(self, value: int, bits: int) -> int:
        """Shift data; what came out meanwhile. Raises ConnectionError."""
