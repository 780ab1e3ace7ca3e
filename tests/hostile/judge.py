"""What may be true after each thing the box was asked for, by the ECU's own bytes and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState

LONGEST_S = 3600.0
"""Virtual seconds that one operation may take, whatever the ECU does."""


class BrokenPromiseError(AssertionError):
    """The product did what it must never do."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The ECU, seen from inside, and what it may hold."""

    memory: bytes
    valid: bool
    start: bytes
    """Before the first operation of the run."""
    start_valid: bool
    original: bytes
    tuned: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What the box keeps of the job and of its writes."""

    state: JobState | None
    """None where the box knows of no job."""
    open_writes: int


def judge_success(word: str, truth: Truth) -> None:
    """`done` or `restored` was said."""
    wanted = {"done": truth.tuned, "restored": truth.original}[word]
    wrong = sum(a != b for a, b in zip(truth.memory, wanted, strict=True))
    _require(not wrong, f"{word}, and {wrong} bytes are wrong")
    _require(truth.valid, f"{word}, and the ECU calls its application incomplete")


def judge_sealed(sealed: bytes | None, truth: Truth) -> None:
    """A read succeeded, and this is what was sealed as the original."""
    _require(sealed is not None, "a read succeeded, and nothing is sealed")
    wrong = sum(a != b for a, b in zip(sealed or b"", truth.memory, strict=False))
    same_length = len(sealed or b"") == len(truth.memory)
    _require(not wrong and same_length, f"a wrong original was sealed: {wrong} bytes differ")


def judge_error(error: PitboxError, truth: Truth, told: Told) -> None:
    """An error that reached the operator: complete, and honest about the ECU."""
    _require(bool(error.code and error.what and error.do_now), f"{error!r} leaves questions open")
    if error.ecu is EcuSafety.UNTOUCHED:
        _require(truth.memory == truth.start, f"{error.code} says untouched, and memory has changed")
        _require(
            truth.valid == truth.start_valid,
            f"{error.code} says untouched, and the ECU calls its application incomplete since",
        )
    if error.ecu is EcuSafety.INTACT:
        _require(truth.valid, f"{error.code} says intact, and the ECU calls its application incomplete")


def judge_rest(truth: Truth, told: Told) -> None:
    """Between two operations: a changed memory is never forgotten."""
    if told.open_writes or told.state in (JobState.NEEDS_BENCH, None):
        return
    known = {JobState.DONE: truth.tuned, JobState.RESTORED: truth.original}
    expected, valid = known.get(told.state or JobState.NEW, truth.start), truth.start_valid
    if told.state in known:
        valid = True
    _require(
        truth.memory == expected and truth.valid == valid,
        f"no write is open and the job is {told.state}, and the ECU's memory is not that",
    )


def judge_wear(before: Counter[int], after: Counter[int], bound: int) -> None:
    """Erases of each sector by one operation are bounded by the definition."""
    most = max((after[sector] - before[sector] for sector in after), default=0)
    _require(most <= bound, f"a sector was erased {most} times by one operation, {bound} are allowed")


def judge_time(seconds: float) -> None:
    """No operation goes on for ever."""
    _require(seconds <= LONGEST_S, f"an operation took {seconds:.0f} s")


def _require(kept: bool, broken: str) -> None:
    if not kept:
        raise BrokenPromiseError(broken)
