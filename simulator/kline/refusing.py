"""How a service of a simulated KWP2000 ECU says no."""

from __future__ import annotations


class RefusedError(Exception):
    """Answered by 7F, the service and this code; `after_s` later, with 78 before it."""

    def __init__(self, code: int, after_s: float = 0.0) -> None:
        super().__init__(f"{code:02X}")
        self.code = code
        self.after_s = after_s


def refusal(service: int, code: int) -> bytes:
    """The answer that says no."""
    return bytes((0x7F, service, code))


def require(holds: bool, code: int) -> None:
    """Raises RefusedError."""
    if not holds:
        raise RefusedError(code)
