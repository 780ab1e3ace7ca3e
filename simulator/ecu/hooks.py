"""What can be made to go wrong with one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Mishap(StrEnum):
    """Kinds of wrong behaviour."""

    BUSY = "busy"
    """Answered with NRC 0x21; nothing is done."""
    LATE = "late"
    """Answered `delay_s` later than it would be, without a response-pending."""
    WRONG_SERVICE = "wrong_service"
    """Done, but answered with the positive response of another service."""
    UNANSWERED = "unanswered"
    """Done, but the answer never leaves the ECU."""
    PENDING = "pending"
    """Answered with `count` response-pendings first, whether needed or not."""
    DOUBLED = "doubled"
    """Answered twice, the second time `delay_s` after the first."""
    REPLAYED = "replayed"
    """The last answer to this service comes once more, right before the true one."""
    TRUNCATED = "truncated"
    """Positive answers lack their last `count` bytes, the first byte never."""
    OVERSIZED = "oversized"
    """Positive answers have `count` bytes more."""
    HELD = "held"
    """Done, but the answer stays in some queue until the next one pushes it out."""


@dataclass(frozen=True, slots=True)
class RequestFate:
    """A mishap and its parameters."""

    mishap: Mishap
    delay_s: float = 0.0
    count: int = 0
    """Response-pendings, or bytes too few or too many."""


RequestHook = Callable[[bytes], RequestFate | None]
"""Asked for each request; may also reset the ECU or cut the power before it returns."""
