"""Errors of the heart, each with its five answers."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.contract.errors import PitboxError
from appliance.contract.gates import GateVerdict
from appliance.contract.places import Range
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from appliance.protocols.access import (
    AccessError,
    EcuRefusedError,
    EcuSilentError,
    LineFault,
    LinkLostError,
    Refusal,
)


class GatesRefusedError(PitboxError):
    """At least one gate did not pass; there is no Continue."""

    def __init__(self, gates: Sequence[GateVerdict]) -> None:
        self.failed = failed = [gate for gate in gates if not gate.passed]
        super().__init__(
            "GATES_REFUSED",
            f"{len(failed)} safety gate{'s' * (len(failed) != 1)} did not pass: "
            + ", ".join(gate.name for gate in failed),
            do_now="Nothing was written. Mend every point below, then start again.",
            details=tuple(f"{gate.name}: {gate.verdict}: {gate.detail}" for gate in failed),
        )


class ReadUnstableError(PitboxError):
    """The memory reads differently every time."""

    def __init__(self, place: Range, reads: int) -> None:
        super().__init__(
            "READ_UNSTABLE",
            f"{reads} reads of {place} never agreed twice",
            do_now="Check connector, ground and supply, stop other testers on the bus, then read again: "
            "chunks already agreed are kept.",
        )


class WriteInterruptedError(PitboxError):
    """The write stopped with blocks erased or half programmed; the journal stays open."""

    def __init__(
        self, job_id: str, why: str, advice: str, *, code: str = "WRITE_INTERRUPTED", how: str = ""
    ) -> None:
        """`how` is what the way on needs besides `pitbox recover`."""
        super().__init__(
            code,
            f"the write stopped: {why}",
            do_now=f"Leave the ignition on, do not start the engine, "
            f"then `pitbox recover --job {job_id}{how}`. {advice}",
        )


class EraseBoundError(WriteInterruptedError):
    """One more erase would be more than the definition allows in one write."""

    def __init__(self, job_id: str, where: str, erases: int, advice: str) -> None:
        super().__init__(
            job_id,
            f"{where} erased {erases} times in this write, and that is as often as the definition allows: "
            "find what stands in the way first, flash wears out",
            advice,
            code="ERASE_BOUND",
            how=" --more-erases",
        )


class NeedsBenchError(PitboxError):
    """The ECU cannot be finished on this wire any more."""

    def __init__(
        self, job_id: str, definition: Definition, how: AccessDefinition, why: str | None = None
    ) -> None:
        """`how` is this connection; `why` is what stands in the way of an ECU that still answers."""
        silent = "the ECU no longer answers on this connection, and its definition says it will not"
        stuck = f"the ECU does not let its write be finished on this connection, time and again: {why}"
        do_now = how.recovery.advice + _elsewhere(job_id, definition)
        super().__init__("NEEDS_BENCH", stuck if why else silent, do_now=do_now)


def _elsewhere(job_id: str, definition: Definition) -> str:
    """Which of the definition's other accesses brings the ECU back."""
    comes_back = (one for one in definition.accesses if one.recovery.recoverability == "bootloader")
    ways = [f"`pitbox recover --job {job_id} --access {one.name}`" for one in comes_back]
    return f" It is finished there with {' or '.join(ways)}." if ways else ""


class VerifyFailedError(PitboxError):
    """Memory does not hold what it should."""

    def __init__(self, blocks: Sequence[str], do_now: str) -> None:
        super().__init__(
            "VERIFY_FAILED",
            f"{len(blocks)} block{'s' * (len(blocks) != 1)} differ from the expected memory",
            do_now=do_now,
            details=tuple(blocks),
        )


class FileDiffersError(PitboxError):
    """Memory does not hold the stored file that a person chose to compare it with."""

    def __init__(self, blocks: Sequence[str], file_id: str) -> None:
        super().__init__(
            "FILE_DIFFERS",
            f"{len(blocks)} block{'s' * (len(blocks) != 1)} of the ECU differ from the stored file {file_id}",
            do_now="This is no fault if the ECU was meant to hold something else: `pitbox verify` without "
            "--file compares it with what it should hold.",
            details=tuple(blocks),
        )


class EcuChangedError(PitboxError):
    """Another ECU is on the wire than the one the job is for."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(
            "ECU_CHANGED",
            "another ECU is connected than the one this job is for",
            do_now="Connect the job's own ECU and repeat the command, or run `pitbox identify` to open a job "
            "for this one.",
            details=tuple(differences),
        )


class CarUnconfirmedError(PitboxError):
    """What answers tells too little of itself, and nobody has said that it is the job's car."""

    def __init__(self, told: Sequence[str], named: str) -> None:
        """`named` is what a person has to give: a VIN, or an id."""
        super().__init__(
            "CAR_UNCONFIRMED",
            "the ECU tells too little of itself to know whether it is the one this job is for",
            do_now="Look whether the plug sits in the very car of this job. If it does, repeat the command "
            f"with `--car` and {named}.",
            details=tuple(told),
        )


class TargetDamagedError(PitboxError):
    """Of what is to be written, a part is whole nowhere."""

    def __init__(
        self, ranges: Sequence[str], other: str | None, *, runs: bool = False, closed: bool = False
    ) -> None:
        """`other` is the source that is left, where there is one.

        `runs` is for an ECU that runs its application with what it holds there; `closed` for a write that is
        over, because nothing of it was begun.
        """
        if closed:
            way_on = (
                "Nothing was erased, and the write is closed. Begin it again, a tuned file with the file."
            )
        else:
            way_on = "Bring back the second copy of the box's state directory" + (
                f", or {other}." if other else ", then repeat the command."
            )
        super().__init__(
            "TARGET_DAMAGED",
            f"the sealed bytes of {len(ranges)} places are damaged, and the ECU is not known to hold them",
            do_now=(_RUNS if runs else "") + way_on,
            details=tuple(ranges),
        )


class SourceLostError(PitboxError):
    """A half-written ECU needs bytes that are whole nowhere: no verb brings it further as it is."""

    def __init__(self, job_id: str, ranges: Sequence[str], *, runs: bool = False) -> None:
        """`runs` is for an ECU that runs its application with what it holds there."""
        super().__init__(
            "SOURCE_LOST",
            f"the bytes of {len(ranges)} places are whole nowhere any more: their sealed copies are damaged, "
            "and the ECU is not known to hold them",
            do_now=(_RUNS if runs else "")
            + "Repeating this changes nothing. Where there is a second copy of the box's state directory, or "
            f"the folder of --second-store, bring it back, then `pitbox recover --job {job_id}`. Where there "
            "is none, this ECU is for the bench: what is named below has to come from elsewhere. Once it was "
            f"mended or replaced, `pitbox settle --job {job_id}` ends the warning.",
            details=tuple(ranges),
        )


def target_lost(
    job_id: str, ranges: Sequence[str], *others: str | None, runs: bool = False
) -> TargetDamagedError | SourceLostError:
    """The error for a half-written ECU that needs what is lost; `others` are sources that may be left."""
    left = next(filter(None, others), None)
    if left is None:
        return SourceLostError(job_id, ranges, runs=runs)
    return TargetDamagedError(ranges, left, runs=runs)


class WayBackLostError(PitboxError):
    """Nothing was erased yet, and what memory was read with is not whole: it could never go back."""

    def __init__(self, job_id: str, ranges: Sequence[str]) -> None:
        super().__init__(
            "WAY_BACK_LOST",
            f"the sealed original is damaged in {len(ranges)} places, and the ECU is not known to hold them: "
            "what is erased now could never be put back",
            do_now="Nothing was erased, and the write is closed. Bring back the second copy of the box's "
            f"state directory, or read the ECU again (`pitbox read --job {job_id}`); then begin it anew.",
            details=tuple(ranges),
        )


_RUNS = "The ECU runs, and is not as it was: do not start the engine. "
FINISH_TUNED = "finish the tuned file instead (`pitbox recover`)"
PUT_ORIGINAL_BACK = "put the original back instead (`pitbox recover --original`)"


def access_problem(error: AccessError, *accesses: AccessDefinition) -> PitboxError:
    """The five answers for an ECU or link that did not do what was asked over one of these accesses.

    Nobody need remember that an ECU is half written: over an access where such a one does not come back by
    itself it is never simply switched off.
    """
    if isinstance(error, EcuRefusedError):
        return PitboxError(
            f"ECU_REFUSED_{error.refusal.value.upper()}",
            str(error),
            do_now=_ADVICE[error.refusal] + _ignition(error.refusal, accesses),
        )
    if isinstance(error, LinkLostError):
        code = "LINK_LOST" if error.fault is None else f"LINE_{error.fault.value.upper()}"
        return PitboxError(code, str(error), do_now=_MENDED_BY[error.fault])
    code = "ECU_SILENT" if isinstance(error, EcuSilentError) else "ECU_MISBEHAVED"
    return PitboxError(
        code, str(error), do_now="Ignition on? Plug seated? Other testers off? Then try again."
    )


def _ignition(refusal: Refusal, accesses: Sequence[AccessDefinition]) -> str:
    """What ends a state that an ECU does not leave by itself."""
    if refusal not in _ENDED_BY_IGNITION:
        return ""
    comes_back = all(access.recovery.recoverability == "bootloader" for access in accesses)
    return _SWITCH_OFF if accesses and comes_back else _SWITCH_OFF_WHOLE


_MENDED_BY = {
    None: "Check the plug and the interface, then try again.",
    LineFault.NO_ECHO: "The adapter does not hear itself: ignition on? Pin 7 (K), 4 and 5 (ground), 16 "
    "(battery) in contact? Then try again.",
    LineFault.HELD_LOW: "Take other testers and the radio off the K-line, and look for a short of pins 7 and "
    "15 to ground; then try again.",
    LineFault.DISTURBED: "Take other testers and the radio off the K-line, then try again.",
    LineFault.ADAPTER_GONE: "Plug the adapter in again, then try again. Leave the ignition on.",
    LineFault.RATE: "Use an adapter that makes this bit rate.",
    LineFault.OTHER_PROTOCOL: "Choose a definition that speaks what this ECU speaks; do not force this one.",
}
_ENDED_BY_IGNITION = frozenset({Refusal.CONDITIONS, Refusal.SEQUENCE})
_SWITCH_OFF = "if it repeats, switch the ignition off for 15 s first."
_SWITCH_OFF_WHOLE = (
    "if it repeats, only an ECU whose engine has run since it was last written may be without ignition for "
    "15 s: a half-written one of this kind, whoever left it so, does not come back."
)
_ADVICE = {
    Refusal.CONDITIONS: "Engine off, ignition on, vehicle standing, doors as the rituals say; try again; ",
    Refusal.VOLTAGE: "Bring the supply into the window shown, then try again.",
    Refusal.SECURITY: "The unlock was refused: the definition or its key plugin does not fit. Stop here.",
    Refusal.LOCKED_OUT: "The ECU blocks unlocks for a while: leave the ignition on and wait ten minutes.",
    Refusal.SEQUENCE: "Try again; ",
    Refusal.PROGRAMMING: "Try again with a steady supply; if it repeats, choose the bench.",
    Refusal.SESSION_LOST: "Try again; keep other testers off the bus.",
    Refusal.UNSUPPORTED: "The definition does not fit this ECU: identify it again.",
    Refusal.AUTHENTICATION: "A security gateway or certificate protects this ECU: use the maker's authorised "
    "access, or the bench.",
    Refusal.BUSY: "The ECU is busy with something else: wait a minute, then try again.",
}
