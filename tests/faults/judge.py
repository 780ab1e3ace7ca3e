"""The promise, as assertions: what may be true of box and ECU after an attempt and at the end of a run.

The ECU's flash is looked into directly; nothing the box says is taken for granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from simulator.ecu.chip import Program
from simulator.image_synthesis import region_slice

IGNITION_OFF = "switch the ignition off for 15 s"
"""An advice that a half-written ECU without a bootloader does not survive."""
IGNITION_OFF_IF_WHOLE = "may be without ignition for 15 s"
"""The same for whoever knows that the ECU is whole."""


class Outcome(StrEnum):
    """How a run may end."""

    DONE = "done"
    RESTORED = "restored"
    REFUSED = "refused"
    """Nothing was erased, and the technician gave up."""
    NEEDS_BENCH = "needs_bench"
    READ = "read"
    SOURCE_LOST = "source_lost"
    """The only copy of what would have to go back rotted on the disk; the box says so and forgets nothing."""


class BrokenPromiseError(AssertionError):
    """The product did what it must never do."""


@dataclass(frozen=True, slots=True)
class Memories:
    """What the ECU may hold: whole memories, regions in ascending order."""

    start: bytes
    original: bytes
    tuned: bytes


@dataclass(frozen=True, slots=True)
class Ecu:
    """The simulated ECU as it is, seen from inside."""

    memory: bytes
    program: Program
    valid: bool
    """Its own validity flag."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the box's journal and report say."""

    state: JobState | None
    """None where the records were lost and the box knows of no job."""
    flash_outcome: str | None
    open_flashes: int
    report_result: str


def judge_error(error: PitboxError, memories: Memories, ecu: Ecu, record: Record) -> None:
    """An error that reached the operator: complete, and honest about the ECU. Raises BrokenPromiseError."""
    _require(
        bool(error.code and error.what and error.do_now), f"{error!r} does not answer the five questions"
    )
    if error.ecu is EcuSafety.UNTOUCHED:
        _require(ecu.memory == memories.start, f"{error.code} says untouched, and memory has changed")
        _require(ecu.valid, f"{error.code} says untouched, and the ECU calls its application incomplete")
    if error.ecu is EcuSafety.HALF_WRITTEN:
        _require(
            record.open_flashes == 1 or record.state is JobState.NEEDS_BENCH,
            f"{error.code} says half written, and nothing is left to recover",
        )
        _require(IGNITION_OFF not in error.do_now, f"{error.code} has a half-written ECU switched off")


def judge_rest(memories: Memories, ecu: Ecu, record: Record) -> None:
    """Between two attempts: a changed memory is never forgotten. Raises BrokenPromiseError."""
    if record.open_flashes or record.state is JobState.NEEDS_BENCH or record.state is None:
        return
    known = {
        JobState.DONE: memories.tuned,
        JobState.RESTORED: memories.original,
    }.get(record.state, memories.start)
    _require(
        ecu.memory == known and ecu.valid,
        f"no write is open and the job is {record.state}, and the ECU's memory is not that",
    )


def judge_other_car(before: Ecu, after: Ecu, told: str | None) -> None:
    """The box was plugged into another car than the job's: it says no, and leaves it as it is."""
    _require(after.memory == before.memory, "another car than the job's was written")
    _require(after.valid == before.valid, "another car than the job's was erased")
    _require(told is None, f"{told} was said with another car than the job's on the plug")


def judge_reopened(memories: Memories, ecu: Ecu, record: Record, told: bool) -> None:
    """The box starts on damaged records: it remembers the half-written ECU, or says that it cannot know.

    `told` is whether anything was said of the damage.
    """
    if ecu.memory == memories.start and ecu.valid:
        return
    remembered = record.open_flashes == 1 or record.state is JobState.NEEDS_BENCH
    _require(remembered or told, "a half-written ECU was forgotten with the records, and nothing was said")


def judge_without_room(before: Ecu, after: Ecu) -> None:
    """No write begins on a disk that says it cannot keep the records of it."""
    untouched = after.memory == before.memory and after.valid == before.valid
    _require(untouched, "a write was begun without room for its records")


@dataclass(frozen=True, slots=True)
class Rot:
    """A part of the sealed original that rotted, and what else held its bytes at that moment."""

    place: slice
    """Of a whole memory."""
    held: bool
    """By the ECU."""
    legible: bool
    """Whether the ECU lets the box read them as it is then."""


def judge_last_copy(memories: Memories, ecu: Ecu, rot: Rot, sealed: bool) -> None:
    """What the disk lost while the ECU held and told it is erased there only once it is `sealed` anew."""
    still_held = ecu.memory[rot.place] == memories.original[rot.place]
    avoidable = rot.held and rot.legible
    _require(still_held or sealed or not avoidable, "the box itself destroyed the last copy of the original")


def judge_source_lost(memories: Memories, ecu: Ecu, record: Record, rot: Rot) -> None:
    """The run ends because a sealed copy rotted: it was needed, and nothing is forgotten or called done.

    Nothing held its bytes any more when it rotted: else the box had them in reach.
    """
    needed = ecu.memory[rot.place] != memories.original[rot.place] or not (rot.legible or ecu.valid)
    _require(
        needed, "a copy rotted that nobody needs, for the ECU holds those bytes, and the job is not done"
    )
    within_reach = rot.held and rot.legible
    _require(not within_reach, "a copy rotted whose bytes the ECU held, and the box has lost them since")
    untouched = ecu.memory == memories.start and ecu.valid
    remembered = record.open_flashes == 1 or record.state is JobState.NEEDS_BENCH
    _require(untouched or remembered, "a copy rotted, and the half-written ECU was forgotten")


def judge_end(outcome: Outcome, definition: Definition, memories: Memories, ecu: Ecu, record: Record) -> None:
    """The end of a run. Raises BrokenPromiseError."""
    _require(record.open_flashes == 0, f"the run ended {outcome} with a write open")
    if outcome is Outcome.NEEDS_BENCH:
        _judge_bench(definition, memories, ecu, record)
        return
    wanted = {Outcome.DONE: memories.tuned, Outcome.RESTORED: memories.original}.get(outcome, memories.start)
    if ecu.memory != wanted:
        raise BrokenPromiseError(f"{outcome}, and {_differences(definition, ecu.memory, wanted)}")
    _require(ecu.valid, f"{outcome}, and the ECU calls its application incomplete")
    _require(ecu.program is Program.APPLICATION, f"{outcome}, and the ECU runs {ecu.program}")
    if outcome in (Outcome.DONE, Outcome.RESTORED):
        _require(
            record.flash_outcome == outcome.value, f"{outcome}, and the journal says {record.flash_outcome}"
        )
        _require(record.state.value == outcome.value, f"{outcome}, and the job is {record.state}")
        _require(
            record.report_result == outcome.value, f"{outcome}, and the report says {record.report_result}"
        )


def _judge_bench(definition: Definition, memories: Memories, ecu: Ecu, record: Record) -> None:
    _require(
        definition.accesses[0].recovery.recoverability != "bootloader",
        "needs_bench where a bootloader is promised",
    )
    _require(ecu.program is Program.SILENT, f"needs_bench, and the ECU runs {ecu.program}")
    if record.state is not None:
        _require(record.state is JobState.NEEDS_BENCH, f"needs_bench, and the job is {record.state}")
        told = record.report_result
        _require(told == "needs_bench", f"needs_bench, and the report says {told}")
    for region in definition.regions:
        where = region_slice(definition, region.name)
        same = ecu.memory[where] == memories.start[where]
        _require(same or region.writable, f"needs_bench, and {region.name} has changed")


def _differences(definition: Definition, memory: bytes, wanted: bytes) -> str:
    counts = []
    for region in definition.regions:
        where = region_slice(definition, region.name)
        wrong = sum(a != b for a, b in zip(memory[where], wanted[where], strict=True))
        if wrong:
            counts.append(f"{wrong} bytes of {region.name}")
    return ", ".join(counts) + " are wrong"


def _require(kept: bool, broken: str) -> None:
    if not kept:
        raise BrokenPromiseError(broken)
