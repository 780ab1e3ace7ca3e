"""Times of a K-line (ISO 14230-2, 4.4): their defaults, and how 83 puts them into bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_P2_MIN_UNIT_S, _P2_MAX_UNIT_S = 0.0005, 0.025
_P3_MIN_UNIT_S, _P3_MAX_UNIT_S = 0.0005, 0.25
_P4_MIN_UNIT_S = 0.0005
_UNITS_S = (_P2_MIN_UNIT_S, _P2_MAX_UNIT_S, _P3_MIN_UNIT_S, _P3_MAX_UNIT_S, _P4_MIN_UNIT_S)
UNLIMITED = 0xFF
"""As P3max: the ECU waits for ever."""
HOST_SLACK_S = 0.05
"""What an adapter and a busy box may add to the ECU's own time (our own choice)."""


@dataclass(frozen=True, slots=True)
class KwpTiming:
    """In seconds. P1 between bytes of the ECU, P2 to its answer, P3 to the next request, P4 between ours."""

    p1_max_s: float = 0.02
    p2_min_s: float = 0.025
    p2_max_s: float = 0.05
    p3_min_s: float = 0.055
    p3_max_s: float = 5.0
    p4_min_s: float = 0.005
    pending_s: float = 5.0
    """To the next answer after a 78: P3max of the defaults, whatever 83 made of it."""
    pending_ceiling_s: float = 90.0
    """So long 78 is waited out in all (our own choice)."""

    @property
    def first_answer_s(self) -> float:
        """How long this side waits for an answer to begin."""
        return self.p2_max_s + HOST_SLACK_S

    @property
    def pending_answer_s(self) -> float:
        """How long after a 78."""
        return self.pending_s + HOST_SLACK_S

    def adopting(self, record: bytes) -> KwpTiming:
        """With the five values of an 83. Raises ValueError."""
        if len(record) != len(_UNITS_S):
            raise ValueError(f"{len(record)} timing values instead of {len(_UNITS_S)}")
        p2_min, p2_max, p3_min, p3_max, p4_min = (
            value * unit for value, unit in zip(record, _UNITS_S, strict=True)
        )
        if p2_min >= p2_max or p3_min >= p3_max:
            raise ValueError(f"limits that exclude each other: {record.hex(' ').upper()}")
        return replace(
            self,
            p2_min_s=p2_min,
            p2_max_s=p2_max,
            p3_min_s=p3_min,
            p3_max_s=math.inf if record[3] == UNLIMITED else p3_max,
            p4_min_s=p4_min,
        )

    def record(self) -> bytes:
        """The five values of an 83: each minimum at least, each maximum at most what is here."""
        p3_max = UNLIMITED if math.isinf(self.p3_max_s) else _down(self.p3_max_s, _P3_MAX_UNIT_S)
        return bytes(
            (
                _up(self.p2_min_s, _P2_MIN_UNIT_S),
                _down(self.p2_max_s, _P2_MAX_UNIT_S),
                _up(self.p3_min_s, _P3_MIN_UNIT_S),
                p3_max,
                _up(self.p4_min_s, _P4_MIN_UNIT_S),
            )
        )


def _up(seconds: float, unit_s: float) -> int:
    return min(math.ceil(round(seconds / unit_s, 6)), 0xFF)


def _down(seconds: float, unit_s: float) -> int:
    return min(math.floor(round(seconds / unit_s, 6)), 0xFF)
