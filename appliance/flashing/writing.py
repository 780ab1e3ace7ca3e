"""Executing a plan: compare, erase and program only what differs, prove everything, commit.

The same loop finishes a fresh write and an interrupted one, and takes nothing but a plan that car and box
have let through: what is already right is skipped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.results import IdentityAfter
from appliance.flashing.accepting import have_it_accepted, identity_after
from appliance.flashing.block_writing import BlockWriter
from appliance.flashing.comparing import prove, refuse_foreign_memory, to_write
from appliance.flashing.context import JobContext
from appliance.flashing.database import StorageError
from appliance.flashing.errors import (
    NeedsBenchError,
    SourceLostError,
    VerifyFailedError,
    WayBackLostError,
    access_problem,
)
from appliance.flashing.executable import ExecutablePlan
from appliance.flashing.journal import Step
from appliance.flashing.lost_blocks import LostBlocks
from appliance.flashing.marks import NEEDS_BENCH, NOTHING_ERASED
from appliance.flashing.plan import FlashPlan
from appliance.flashing.resumption import Resumption
from appliance.flashing.retries import open_persistently
from appliance.flashing.session_end import let_go
from appliance.flashing.set_aside import refuse_same_ecu
from appliance.flashing.verifying import method_of
from appliance.flashing.write_state import WriteState, names_of
from appliance.protocols.access import AccessError, NotBegunError


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did, proven."""

    outcome: JobState
    total: int
    written: int
    skipped: int
    verify_method: str
    verified_blocks: int
    target_sha256: str
    programmed_bytes: int
    programming_s: float
    identity_after: IdentityAfter
    """The ECU that answered after the write, and by what it was known for the job's."""
    left_out: tuple[str, ...]
    """Memories of the target that the access does not reach."""
    unproven: tuple[str, ...]
    """Blocks that were left alone, and of which no whole copy is left to compare with."""


async def write(job: JobContext, ready: ExecutablePlan) -> WriteResult:
    """Execute a plan: its intent is durable before anything reaches the ECU. Raises PitboxError.

    ValueError for a plan of another job.
    """
    if ready.job_id != job.id:
        raise ValueError(f"the plan is for the job {ready.job_id}, not for {job.id}")
    plan = ready.plan
    plan.refuse_changed_target()
    return await _Write(WriteState(job, plan, _intend(job, plan))).run()


def _intend(job: JobContext, plan: FlashPlan) -> int:
    """The intent in the journal; an interrupted write goes on, perhaps with another target."""
    order, asked = plan.order.to_json(), plan.request
    if isinstance(asked, Resumption):
        return job.journal.resume_flash(asked.flash, asked.flash.write_order if asked.as_begun else order)
    refuse_same_ecu(job.journal, job.journal.job(job.id))
    return job.journal.open_flash(job.id, order)


class _Write:
    """The loop, and how it ends."""

    def __init__(self, state: WriteState) -> None:
        plan = state.plan
        self._state = state
        self._job = state.job
        self._writer = BlockWriter(state)
        self._lost = LostBlocks(
            state.job, plan.order.blocks, plan.known, state.steps_before, plan.other, plan.hope
        )

    async def run(self) -> WriteResult:
        """Write until memory is proven. Raises PitboxError; the journal then says how far it came."""
        fresh = self._state.plan.fresh
        try:
            return await self._work()
        except StorageError:  # nothing can be recorded
            raise
        except AccessError as error:
            if self._only_the_bench_helps(error):
                self._close_as(JobState.NEEDS_BENCH, NEEDS_BENCH)
                definition = self._job.definition
                raise NeedsBenchError(self._job.id, definition, self._state.how, error.said) from error
            self._leave(str(error), over=fresh)
            raise self._told(error) from error
        except (VerifyFailedError, WayBackLostError) as error:
            self._leave(error.what, over=True)
            raise
        except SourceLostError as error:
            self._end_without_source(error)
            raise
        except PitboxError as error:
            self._leave(error.what, over=fresh)
            raise
        except asyncio.CancelledError:
            self._leave("cancelled", over=True)
            raise
        finally:
            await let_go(self._job)

    async def _work(self) -> WriteResult:
        state = self._state
        await open_persistently(self._job, state.purpose)
        state.step(Step.SESSION_OPEN)
        await refuse_foreign_memory(state)
        await self._writer.rewrite_all(await to_write(state))
        await prove(state, self._writer)
        self._lost.refuse_unless_provable()
        await have_it_accepted(state, self._writer, self._lost)
        found = await identity_after(state)
        await self._lost.prove()
        return self._close(found)

    def _close(self, found: IdentityAfter) -> WriteResult:
        state, order = self._state, self._state.plan.order
        self._job.journal.note(self._job.id, identity_after=found)
        outcome = JobState.RESTORED if order.kind == "original" else JobState.DONE
        self._close_as(outcome, outcome.value)
        written = len(set(state.written).intersection(order.blocks))
        return WriteResult(
            outcome,
            len(order.blocks),
            written,
            len(order.blocks) - written,
            method_of(self._job),
            len(order.blocks) + len(state.provable_guards),
            order.target_sha256,
            state.programmed_bytes,
            state.programming_s,
            found,
            state.out_of_reach,
            tuple(names_of(one for one in order.guarded if one not in state.provable_guards)),
        )

    def _end_without_source(self, error: SourceLostError) -> None:
        """Closed for the bench; an ECU that is reached in its session alone is not let go of for that."""
        if self._state.how.recovery.recoverability == "bootloader":
            self._close_as(JobState.NEEDS_BENCH, NEEDS_BENCH)
        else:
            self._leave(error.what, over=False)

    def _only_the_bench_helps(self, error: AccessError) -> bool:
        """An erased block that is not taken, in a second recovery and for the same reason: no reset helps.

        Such an ECU holds on to an old transfer until its supply is cut, and is silent on this wire then.
        """
        state = self._state
        stays = state.how.recovery.recoverability == "bootloader"
        if state.plan.fresh or stays or not isinstance(error, NotBegunError):
            return False
        return any(step.step is Step.INTERRUPTED and step.detail == str(error) for step in state.steps())

    def _told(self, error: AccessError) -> PitboxError:
        state = self._state
        return state.interrupted(error.said) if state.touched else access_problem(error, state.how)

    def _leave(self, why: str, *, over: bool) -> None:
        """Close a write that changed nothing, where it is over; anything else stays open."""
        if over and not self._state.touched:
            self._close_as(JobState.READ_VERIFIED, NOTHING_ERASED)
        else:
            self._job.journal.move_with_step(
                self._state.flash_id, Step.INTERRUPTED, self._job.id, JobState.INTERRUPTED, why
            )

    def _close_as(self, state: JobState, outcome: str) -> None:
        self._job.journal.close_flash(self._state.flash_id, self._job.id, state, outcome)
