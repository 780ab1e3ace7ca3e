"""One diagnostic request, together with how its own answer is told from any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)

POSITIVE_OFFSET = 0x40
NEGATIVE_SID = 0x7F


@dataclass(frozen=True, slots=True)
class Request(Generic[T_co]):
    """`echo` is what every positive answer starts with: SID + 0x40 and the parameters the ECU repeats.

    `decode` gets the bytes behind the echo and raises ValueError if they cannot be an answer to this request.
    `idempotent` requests may be sent again when the answer was lost. `lookalike` is True where the answer to
    another request would pass for this one's: it counts only once requests and answers are proven in step.
    """

    payload: bytes
    echo: bytes
    decode: Callable[[bytes], T_co]
    idempotent: bool = False
    lookalike: bool = False

    @property
    def sid(self) -> int:
        """Service identifier."""
        return self.payload[0]


def positive(payload: bytes, echoed: int) -> bytes:
    """The start of the positive answer to `payload`, of which the ECU repeats `echoed` parameter bytes."""
    return bytes((payload[0] + POSITIVE_OFFSET,)) + payload[1 : 1 + echoed]


def something(rest: bytes) -> bytes:
    """Decoder of answers whose record is the caller's business, as long as there is one."""
    if not rest:
        raise ValueError("an empty record")
    return rest


def exactly(length: int) -> Callable[[bytes], bytes]:
    """Decoder that takes records of one length only."""

    def decode(rest: bytes) -> bytes:
        if len(rest) != length:
            raise ValueError(f"{len(rest)} bytes instead of {length}")
        return rest

    return decode


def nothing(rest: bytes) -> None:
    """Decoder of answers that carry no more than their echo: what is behind it might be a bad status."""
    exactly(0)(rest)
