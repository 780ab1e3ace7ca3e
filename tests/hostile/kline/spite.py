"""What a hostile ECU on a K-line does wrong, on the wire and at its end of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.spite import Fate, Spite

ANSWER_KINDS = (
    "truncated",
    "oversized",
    "doubled",
    "replayed",
    "stale",
    "late",
    "lost",
    "wrong_checksum",
    "wrong_form",
    "wrong_sender",
    "wrong_receiver",
    "carb_form",
    "wrong_echo",
    "another_service",
    "result_wrong",
    "result_missing",
    "wrong_length",
    "noise_before",
    "noise_between",
    "trickled",
)
"""The request is carried out; what is told of it is wrong."""
ACT_KINDS = (
    "refused",
    "storm",
    "done_and_refused",
    "pending",
    "session_drop",
    "reset_before",
    "reset_after",
    "broken_off",
    "channel_lost",
    "not_done",
    "rate_not_taken",
    "rate_taken_silently",
)
"""The request is not carried out, or not to its end, or something else happens besides."""
WAKE_KINDS = (
    "wake_unheard",
    "wake_late",
    "wrong_synch",
    "wrong_keys",
    "keys_lost",
    "wrong_confirmation",
    "wake_refused",
)
WIRE_KINDS = ("echo_lost", "echo_wrong", "byte_lost", "byte_wrong", "noise", "dead", "short", "unplugged")
"""At any byte that the box sends."""
KINDS = (*ANSWER_KINDS, *ACT_KINDS, *WAKE_KINDS, *WIRE_KINDS)

_RATES = (0.02, 0.05, 0.1, 0.25)
_FOCUS = (0x10, 0x1A, 0x23, 0x27, 0x31, 0x33, 0x34, 0x35, 0x36, 0x37, 0x3E, 0x81, 0x82, 0x83)
_BYTES_A_REQUEST = 30
"""About: so that the wire strikes as often as the ECU."""


@dataclass(slots=True)
class LineSpite(Spite):
    """Strikes at single bytes too."""

    wire_kinds: tuple[str, ...] = field(default=())

    def at_byte(self) -> str | None:
        """What becomes of a byte that the box sends."""
        if self.calm or not self.wire_kinds or self.dice.random() * _BYTES_A_REQUEST >= self.rate:
            return None
        kind = self.dice.choice(self.wire_kinds)
        self.struck.append(f"{kind} at a byte")
        return kind

    def at_wake(self) -> Fate | None:
        """What becomes of a wake-up."""
        return self.fate(b"\x81", WAKE_KINDS)


def spite_for(dice: random.Random) -> LineSpite:
    """One ECU's character: rare or frequent, of all kinds or of a few, everywhere or at some services."""
    kinds = KINDS
    if dice.random() < 0.6:
        kinds = tuple(dice.sample(kinds, dice.randint(1, 5)))
    services = tuple(dice.sample(_FOCUS, dice.randint(1, 3))) if dice.random() < 0.4 else None
    rate = min(dice.choice(_RATES) * (3 if services else 1), 0.5)
    wire = tuple(kind for kind in kinds if kind in WIRE_KINDS)
    return LineSpite(random.Random(dice.random()), rate, kinds, services, wire_kinds=wire)


@dataclass(frozen=True, slots=True)
class Traits:
    """What is odd about this ECU always, by its make."""

    bursts: bool = False
    """The adapter hands over an answer all at once, at its end."""
    p1_s: float = 0.0
    wakes_again: bool = True
    """A wake-up is heard though it is awake already."""
    keeps_transfer: bool = False
    """A download that was left open stays open until 37, or until the supply is gone."""
    boot_tells: str = "all"
    """`all`, `hw` or `none` of its records."""
    erase_s: float = 0.02
    drops: str = "no"
    """`no`; the channel is gone once an erase has begun: `told` by the answer, or `silently`."""
    drops_at_10: bool = False
    """10 85 without a bit rate is answered, told to end the channel, and ends it."""
    checks_blank: bool = False
    deaf: bool = True
    """What is heard while it works is not answered; else it is answered later."""

    @classmethod
    def drawn(cls, dice: random.Random) -> Traits:
        choice: dict[str, Any] = {
            "bursts": dice.random() < 0.3,
            "p1_s": dice.choice((0.0, 0.0, 0.001, 0.015)),
            "wakes_again": dice.random() < 0.6,
            "keeps_transfer": dice.random() < 0.25,
            "boot_tells": dice.choice(("all", "all", "hw", "none")),
            "erase_s": dice.choice((0.01, 0.3, 3.0, 8.0)),
            "drops": dice.choice(("no", "no", "told", "silently")),
            "drops_at_10": dice.random() < 0.25,
            "checks_blank": dice.random() < 0.3,
            "deaf": dice.random() < 0.5,
        }
        return cls(**choice)
