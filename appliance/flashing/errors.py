"""Errors of the heart, each with its five answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError
from appliance.contract.gates import GateVerdict
from appliance.contract.phrases import named, phrase
from appliance.contract.places import Range
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.protocols.access import (
    AccessError,
    Block,
    EcuRefusedError,
    EcuSilentError,
    LinkLostError,
    Refusal,
)


class GatesRefusedError(EngineError):
    """At least one gate did not pass; there is no Continue."""

    def __init__(self, gates: Sequence[GateVerdict]) -> None:
        self.failed = failed = [gate for gate in gates if not gate.passed]
        super().__init__(
            "GATES_REFUSED" if len(failed) != 1 else "GATES_REFUSED.one",
            count=len(failed),
            gates=tuple(gate.name for gate in failed),
            points=[_of_gate(gate) for gate in failed],
        )


def _of_gate(gate: GateVerdict) -> Phrase:
    findings = tuple(Phrase(one.key, one.fields, one.text) for one in gate.findings)
    return phrase("gate.refused", gate=gate.name, verdict=gate.verdict.value, findings=findings)


class ReadUnstableError(EngineError):
    """The memory reads differently every time."""

    def __init__(self, place: Range, reads: int) -> None:
        super().__init__("READ_UNSTABLE", reads=reads, place=str(place))


class WriteInterruptedError(EngineError):
    """The write stopped with blocks erased or half programmed; the journal stays open."""


class EraseBoundError(WriteInterruptedError):
    """One more erase would be more than the definition allows in one write; the journal stays open."""

    def __init__(self, job_id: str, block: Block | None, erases: int, advice: str) -> None:
        """`block` is the one that was erased so often; None where it is all of them together."""
        where = phrase("erased.blocks") if block is None else phrase("erased.block", block=str(block))
        super().__init__("ERASE_BOUND", job=job_id, where=where, erases=erases, author_text=advice)


class NeedsBenchError(EngineError):
    """The ECU cannot be finished on this wire any more."""

    def __init__(
        self, job_id: str, definition: Definition, how: AccessDefinition, why: Phrase | None = None
    ) -> None:
        """`how` is this connection; `why` is what stands in the way of an ECU that still answers."""
        advice = how.recovery.advice
        if why is None:
            super().__init__("NEEDS_BENCH", author_text=advice)
        else:
            super().__init__("NEEDS_BENCH.stuck", why=why, author_text=advice)
        self.advise(*_elsewhere(job_id, definition))


def _elsewhere(job_id: str, definition: Definition) -> Iterator[Phrase]:
    """Which of the definition's other accesses bring the ECU back."""
    comes_back = [one.name for one in definition.accesses if one.recovery.recoverability == "bootloader"]
    for at, name in enumerate(comes_back):
        key = "advice.or_over_access" if at else "advice.over_access"
        yield phrase(key, job=job_id, access=name)


class VerifyFailedError(EngineError):
    """Memory does not hold what it should."""

    def __init__(self, blocks: Sequence[str], *advice: Phrase) -> None:
        """`advice` is what to do now, by whoever knows how the job stands."""
        key = "VERIFY_FAILED" if len(blocks) != 1 else "VERIFY_FAILED.one"
        super().__init__(key, blocks=len(blocks), points=named(blocks))
        self.advise_instead(*advice)


class FileDiffersError(EngineError):
    """Memory does not hold the stored file that a person chose to compare it with."""

    def __init__(self, blocks: Sequence[str], file_id: str) -> None:
        key = "FILE_DIFFERS" if len(blocks) != 1 else "FILE_DIFFERS.one"
        super().__init__(key, blocks=len(blocks), file=file_id, points=named(blocks))


class EcuChangedError(EngineError):
    """Another ECU is on the wire than the one the job is for."""

    def __init__(self, differences: Sequence[Phrase]) -> None:
        super().__init__("ECU_CHANGED", points=differences)


class CarUnconfirmedError(EngineError):
    """What answers tells too little of itself, and nobody has said that it is the job's car."""


class TargetDamagedError(EngineError):
    """Of what is to be written, a part is whole nowhere."""

    def __init__(
        self, ranges: Sequence[str], other: Phrase | None, *, runs: bool = False, closed: bool = False
    ) -> None:
        """`other` is the source that is left, where there is one.

        `runs` is for an ECU that runs its application with what it holds there; `closed` for a write that is
        over, because nothing of it was begun.
        """
        places = named(ranges)
        if closed:
            super().__init__("TARGET_DAMAGED.closed", places=len(places), points=places)
        elif other is None:
            super().__init__("TARGET_DAMAGED", places=len(places), points=places)
        else:
            super().__init__("TARGET_DAMAGED.other", places=len(places), other=other, points=places)
        if runs:
            self.advise_instead(phrase("advice.runs"), *self.advice)


class SourceLostError(EngineError):
    """A half-written ECU needs bytes that are whole nowhere: no verb brings it further as it is."""

    def __init__(self, job_id: str, ranges: Sequence[str], *, runs: bool = False) -> None:
        """`runs` is for an ECU that runs its application with what it holds there."""
        super().__init__("SOURCE_LOST", job=job_id, places=len(ranges), points=named(ranges))
        if runs:
            self.advise_instead(phrase("advice.runs"), *self.advice)


def target_lost(
    job_id: str, ranges: Sequence[str], *others: Phrase | None, runs: bool = False
) -> TargetDamagedError | SourceLostError:
    """The error for a half-written ECU that needs what is lost; `others` are sources that may be left."""
    left = next(filter(None, others), None)
    if left is None:
        return SourceLostError(job_id, ranges, runs=runs)
    return TargetDamagedError(ranges, left, runs=runs)


class WayBackLostError(EngineError):
    """Nothing was erased yet, and what memory was read with is not whole: it could never go back."""

    def __init__(self, job_id: str, ranges: Sequence[str]) -> None:
        super().__init__("WAY_BACK_LOST", job=job_id, places=len(ranges), points=named(ranges))


FINISH_TUNED = phrase("other.finish_tuned")
PUT_ORIGINAL_BACK = phrase("other.put_original_back")


def access_problem(error: AccessError, *accesses: AccessDefinition) -> EngineError:
    """The five answers for an ECU or link that did not do what was asked over one of these accesses.

    Nobody need remember that an ECU is half written: over an access where such a one does not come back by
    itself it is never simply switched off.
    """
    if isinstance(error, EcuRefusedError):
        key = f"ECU_REFUSED_{error.refusal.value.upper()}{_ignition(error.refusal, accesses)}"
        return EngineError(key, problem=error.said)
    if isinstance(error, LinkLostError):
        code = "LINK_LOST" if error.fault is None else f"LINE_{error.fault.value.upper()}"
        return EngineError(code, problem=error.said)
    code = "ECU_SILENT" if isinstance(error, EcuSilentError) else "ECU_MISBEHAVED"
    return EngineError(code, problem=error.said)


def _ignition(refusal: Refusal, accesses: Sequence[AccessDefinition]) -> str:
    """Which sentence says what ends a state that an ECU does not leave by itself."""
    if refusal not in _ENDED_BY_IGNITION:
        return ""
    comes_back = all(access.recovery.recoverability == "bootloader" for access in accesses)
    return "" if accesses and comes_back else ".stays_on"


_ENDED_BY_IGNITION = frozenset({Refusal.CONDITIONS, Refusal.SEQUENCE})


def said_by(error: AccessError | OSError) -> Phrase:
    """What an ECU, a link or a driver says, to be said within something else."""
    return error.said if isinstance(error, AccessError) else phrase("malformed", technical_text=str(error))
