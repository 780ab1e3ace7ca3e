"""What a hostile ECU does wrong, and when: all from one source of chance."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

ANSWER_KINDS = (
    "truncated",
    "oversized",
    "doubled",
    "replayed",
    "stale",
    "late",
    "wrong_echo",
    "wrong_counter",
    "wrong_length",
    "status_missing",
    "status_wrong",
    "another_service",
    "lost",
)
"""The request is carried out; what is told of it is wrong."""
ACT_KINDS = (
    "refused",
    "done_and_refused",
    "pending",
    "session_drop",
    "reset_before",
    "reset_after",
    "broken_off",
    "broken_off_refused",
    "not_done",
)
"""The request is not carried out, or not to its end, or something else happens besides."""
WIRE_KINDS = ("request_lost", "send_fails", "receive_fails")
"""On the payload's way; on a bus of frames their place is taken by the frames' own spite."""
HEARING_KINDS = (
    "fc_wait",
    "fc_wait_for_ever",
    "fc_overflow",
    "fc_none",
    "fc_odd",
    "fc_twice",
    "fc_block",
    "fc_stmin",
)
"""Flow controls for a segmented request."""
SPEAKING_KINDS = (
    "ff_huge",
    "ff_short",
    "sf_zero",
    "sf_long",
    "sf_between",
    "cf_wrong_number",
    "cf_missing",
    "cf_doubled",
    "cf_short",
    "cf_trickled",
)
"""Frames of an answer."""
PAYLOAD_KINDS = (*ANSWER_KINDS, *ACT_KINDS, *WIRE_KINDS)
FRAME_KINDS = (*ANSWER_KINDS, *ACT_KINDS, *HEARING_KINDS, *SPEAKING_KINDS)

_RATES = (0.02, 0.05, 0.1, 0.25)
_FOCUS = (0x10, 0x22, 0x23, 0x27, 0x31, 0x34, 0x35, 0x36, 0x37)
REFUSALS = (
    *range(0x10, 0x15), *range(0x21, 0x27), *range(0x31, 0x3B), *range(0x50, 0x5E), *range(0x70, 0x74),
    0x7E, 0x7F, *range(0x81, 0x95), 0xF0, 0xFE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request."""

    kind: str
    code: int = 0x22
    delay_s: float = 0.0
    share: float = 0.5
    """Of a sector, for an erase or a download that is broken off."""
    count: int = 1
    noise: bytes = b""


@dataclass(slots=True)
class Spite:
    """Decides the fate of each request. `calm` ends it."""

    dice: random.Random
    rate: float = 0.0
    kinds: tuple[str, ...] = PAYLOAD_KINDS
    services: tuple[int, ...] | None = None
    """Struck alone; None is all of them."""
    calm: bool = False
    struck: list[str] = field(default_factory=list)

    def fate(self, request: bytes, kinds: tuple[str, ...]) -> Fate | None:
        """None where all goes well. `kinds` are those that can happen here."""
        if self.calm or self.dice.random() >= self.rate:
            return None
        if self.services is not None and request[0] not in self.services:
            return None
        possible = [kind for kind in self.kinds if kind in kinds]
        if not possible:
            return None
        kind = self.dice.choice(possible)
        self.struck.append(f"{kind} at {request[:4].hex()}")
        return self._drawn(kind)

    def _drawn(self, kind: str) -> Fate:
        dice = self.dice
        return Fate(
            kind,
            code=dice.choice(REFUSALS),
            delay_s=dice.choice((0.0, 0.0, 0.005, dice.uniform(0.0, 0.3), dice.uniform(0.1, 8.0))),
            share=dice.choice((0.0, 0.25, 0.5, 1.0)),
            count=dice.choice((1, 3, 20, 1000)),
            noise=dice.randbytes(dice.randint(1, 8)),
        )


def spite_for(dice: random.Random, frames: bool) -> Spite:
    """One ECU's character: rare or frequent, of all kinds or of a few, everywhere or at some services."""
    kinds = FRAME_KINDS if frames else PAYLOAD_KINDS
    if dice.random() < 0.6:
        kinds = tuple(dice.sample(kinds, dice.randint(1, 4)))
    services = tuple(dice.sample(_FOCUS, dice.randint(1, 3))) if dice.random() < 0.4 else None
    rate = dice.choice(_RATES) * (3 if services else 1)
    return Spite(random.Random(dice.random()), min(rate, 0.5), kinds, services)


@dataclass(frozen=True, slots=True)
class Traits:
    """What is odd about this ECU always, by its make."""

    keeps_transfer: bool = False
    """10 xx leaves an open transfer open; 37 ends it, or 11, or the supply."""
    exit_only_when_whole: bool = True
    """37 before the last byte is refused (24)."""
    s3_by_3e_only: bool = False
    boot_tells: str = "all"
    """`all`, `boot` (its own number alone) or `none`."""
    boot_extended: bool = True
    """Whether the bootloader, or the programming session, takes 10 03."""
    erase_s: float = 0.02
    checks_blank: bool = False

    @classmethod
    def drawn(cls, dice: random.Random) -> Traits:
        choice: dict[str, Any] = {
            "keeps_transfer": dice.random() < 0.25,
            "exit_only_when_whole": dice.random() < 0.5,
            "s3_by_3e_only": dice.random() < 0.25,
            "boot_tells": dice.choice(("all", "all", "boot", "none")),
            "boot_extended": dice.random() < 0.7,
            "erase_s": dice.choice((0.01, 0.01, 0.2, 3.0, 8.0)),
            "checks_blank": dice.random() < 0.3,
        }
        return cls(**choice)
