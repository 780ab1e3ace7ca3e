"""What is tried again, how often and how long: one table for everything the heart asks of an ECU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    Refusal,
)


class Stumble(StrEnum):
    """Why something did not work, as far as trying again goes (sources: uds-refusals)."""

    LOSS = "loss"
    """Silence, a lost link or session, requests out of step: may pass by itself."""
    LOCK_OUT = "lock_out"
    """The unlock is barred for a while: at least 10 s."""
    CONDITION = "condition"
    """People or chargers can change what the ECU refused for."""
    FAILURE = "failure"
    """Anything else."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a pause before each further try, so that their number is how often."""

    pauses_s: tuple[float, ...]
    wears: bool = False
    """Each further try erases once more."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rows that hold in one situation; what has none is not tried again."""

    rows: Mapping[Stumble, Rule]
    busy: Stumble
    """What a busy ECU counts as."""


_LOSS = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 10.0, 10.0)
_LOCK_OUT = (11.0,) * 8
MOST_WAITS = 120
"""For conditions, of one thing that is tried: pieces held back, and blocks begun anew, together."""
_CONDITION = (2.0,) * MOST_WAITS
_CONDITION_ERASED = (2.0, 2.0, 4.0, 8.0, 16.0, *(30.0,) * 7)
"""As long in all, with fewer erases."""

ASKED = Policy(
    {Stumble.LOSS: Rule(_LOSS), Stumble.LOCK_OUT: Rule(_LOCK_OUT)},
    busy=Stumble.LOSS,
)
"""Questions, reads and proofs, and opening the ECU for them."""

ASKED_HALF_WRITTEN = Policy(
    {**ASKED.rows, Stumble.CONDITION: Rule(_CONDITION)},
    busy=Stumble.CONDITION,
)
"""Of an ECU that cannot be left as it is: it is worth waiting for conditions."""

FIRST_BLOCK = Policy({Stumble.LOSS: Rule(_LOSS)}, busy=Stumble.FAILURE)
"""A block before anything was erased: a condition stops the job, and the technician is told."""

BLOCK = Policy(
    {
        Stumble.LOSS: Rule(_LOSS, wears=True),
        Stumble.LOCK_OUT: Rule(_LOCK_OUT, wears=True),
        Stumble.CONDITION: Rule(_CONDITION_ERASED, wears=True),
        Stumble.FAILURE: Rule((0.2, 0.2), wears=True),
    },
    busy=Stumble.CONDITION,
)
"""A block of a touched ECU that is erased and programmed anew."""

BLOCK_STILL_ERASED = Policy(
    {
        Stumble.LOSS: Rule(_LOSS),
        Stumble.LOCK_OUT: Rule(_LOCK_OUT),
        Stumble.CONDITION: Rule(_CONDITION),
        Stumble.FAILURE: Rule((0.2, 0.2)),
    },
    busy=Stumble.CONDITION,
)
"""A block that may be programmed without another erase, and a piece of one on its way."""

MOST_HOLDS = 30
"""So often in one try of a block a piece is held back, a minute in all, before the ECU is taken for one that
has given the block up and says so in the wrong words."""

_PASSING = frozenset({Refusal.SEQUENCE, Refusal.SESSION_LOST})
_CONDITIONS = frozenset({Refusal.VOLTAGE, Refusal.CONDITIONS})


def stumble_of(error: AccessError, busy: Stumble) -> Stumble:
    """The row an error belongs to."""
    if isinstance(error, EcuSilentError | LinkLostError):
        return Stumble.LOSS
    if not isinstance(error, EcuRefusedError):
        return Stumble.FAILURE
    if error.refusal is Refusal.BUSY:
        return busy
    if error.refusal is Refusal.LOCKED_OUT:
        return Stumble.LOCK_OUT
    if error.refusal in _CONDITIONS:
        return Stumble.CONDITION
    return Stumble.LOSS if error.refusal in _PASSING else Stumble.FAILURE


class Budget:
    """What one thing that is tried may still cost: opening the ECU again for it draws on the same."""

    def __init__(self) -> None:
        self._spent: Counter[tuple[Stumble, bool]] = Counter()

    def pause_s(self, error: AccessError, policy: Policy) -> float:
        """Seconds to wait before the next try. Raises the error where there is none."""
        stumble = stumble_of(error, policy.busy)
        rule = policy.rows.get(stumble)
        if rule is None:
            raise error
        row = (stumble, rule.wears)
        waits = self._spent[Stumble.CONDITION, True] + self._spent[Stumble.CONDITION, False]
        waited_out = stumble is Stumble.CONDITION and waits == MOST_WAITS
        if waited_out or self._spent[row] == len(rule.pauses_s):
            raise error
        self._spent[row] += 1
        return rule.pauses_s[self._spent[row] - 1]
