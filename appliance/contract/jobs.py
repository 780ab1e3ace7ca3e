"""States of a job and the moves between them (design: the way of one job)."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """The box owns every physical state, the file service every commercial one."""

    DRAFT = "draft"
    IDENTIFIED = "identified"
    READING = "reading"
    READ_VERIFIED = "read_verified"
    UPLOADING = "uploading"
    WITH_MASTER = "with_master"
    REJECTED = "rejected"
    TUNED_READY = "tuned_ready"
    DOWNLOADING = "downloading"
    STAGED = "staged"
    PREFLIGHT = "preflight"
    FLASHING = "flashing"
    VERIFYING = "verifying"
    DONE = "done"
    INTERRUPTED = "interrupted"
    RECOVERING = "recovering"
    RESTORED = "restored"
    NEEDS_BENCH = "needs_bench"
    CANCELLED = "cancelled"


COMMERCIAL = frozenset({JobState.WITH_MASTER, JobState.REJECTED, JobState.TUNED_READY})
"""States that only the file service may set."""

ECU_IN_DANGER = frozenset(
    {JobState.FLASHING, JobState.VERIFYING, JobState.INTERRUPTED, JobState.RECOVERING, JobState.NEEDS_BENCH}
)
"""States in which the ECU's memory may be half written."""

_S = JobState
_BEFORE_FLASHING = frozenset(set(JobState) - ECU_IN_DANGER - {_S.DONE, _S.RESTORED, _S.CANCELLED})
_MOVES: dict[JobState, frozenset[JobState]] = {
    _S.DRAFT: frozenset({_S.IDENTIFIED}),
    _S.IDENTIFIED: frozenset({_S.READING, _S.PREFLIGHT}),
    _S.READING: frozenset({_S.READING, _S.READ_VERIFIED, _S.IDENTIFIED}),
    _S.READ_VERIFIED: frozenset({_S.UPLOADING, _S.STAGED, _S.PREFLIGHT, _S.READING}),
    _S.UPLOADING: frozenset({_S.WITH_MASTER}),
    _S.WITH_MASTER: frozenset({_S.REJECTED, _S.TUNED_READY}),
    _S.REJECTED: frozenset({_S.UPLOADING, _S.READING}),
    _S.TUNED_READY: frozenset({_S.DOWNLOADING}),
    _S.DOWNLOADING: frozenset({_S.STAGED}),
    _S.STAGED: frozenset({_S.PREFLIGHT, _S.READ_VERIFIED}),
    _S.PREFLIGHT: frozenset({_S.FLASHING, _S.IDENTIFIED, _S.READ_VERIFIED, _S.STAGED, _S.DONE, _S.RESTORED}),
    _S.FLASHING: frozenset({_S.VERIFYING, _S.INTERRUPTED, _S.READ_VERIFIED}),
    _S.VERIFYING: frozenset({_S.DONE, _S.RESTORED, _S.INTERRUPTED, _S.FLASHING, _S.READ_VERIFIED}),
    _S.INTERRUPTED: frozenset({_S.RECOVERING}),
    _S.RECOVERING: frozenset({_S.DONE, _S.RESTORED, _S.NEEDS_BENCH, _S.INTERRUPTED, _S.READ_VERIFIED}),
    _S.NEEDS_BENCH: frozenset({_S.RECOVERING, _S.READ_VERIFIED}),
    _S.DONE: frozenset({_S.PREFLIGHT, _S.READING}),
    _S.RESTORED: frozenset({_S.PREFLIGHT, _S.READING}),
    _S.CANCELLED: frozenset(),
}


def may_move(old: JobState, new: JobState) -> bool:
    """Whether a job may go from one state to the other; cancelling is possible only before flashing."""
    return new in _MOVES[old] or (new is JobState.CANCELLED and old in _BEFORE_FLASHING)
