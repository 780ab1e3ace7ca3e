"""Executing a write order: compare, erase and program only what differs, prove everything, commit.

The same loop finishes a fresh write and an interrupted one: what is already right is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.contract.errors import PitboxError
from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.flashing.context import Job
from appliance.flashing.errors import VerifyFailedError, WriteInterruptedError, access_problem
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step, StepRecord
from appliance.flashing.order import WriteOrder
from appliance.flashing.patience import open_persistently, persistently
from appliance.flashing.plan import FlashPlan
from appliance.flashing.progress import Progress
from appliance.flashing.stumbling import Stumbles
from appliance.flashing.verifying import differing, holds, method_of
from appliance.protocols.access import AccessError, Block, EcuRefusedError, Purpose, Refusal

_VERIFY_ROUNDS = 3
_CHECKED_BEFORE_ERASING = frozenset(
    {
        Refusal.SECURITY,
        Refusal.LOCKED_OUT,
        Refusal.SEQUENCE,
        Refusal.UNSUPPORTED,
        Refusal.AUTHENTICATION,
        Refusal.SESSION_LOST,
        Refusal.BUSY,
    }
)
"""An erase so refused never began; the other refusals may also end one that did."""


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


class Write:
    """One write order on its way to the ECU, with its intent already in the journal."""

    def __init__(
        self,
        job: Job,
        flash_id: int,
        order: WriteOrder,
        target: MemoryImage,
        purpose: Purpose,
        before: MemoryImage | None = None,
    ) -> None:
        """`before` is the memory as it was read, where nothing was written yet."""
        self._job = job
        self._flash_id = flash_id
        self._order = order
        self._target = target
        self._before = before
        self._fresh = purpose is Purpose.WRITE
        self._loop = asyncio.get_running_loop()
        steps = job.journal.steps(flash_id)
        self._touched = any(step.step is Step.ERASE_INTENT for step in steps)
        self._programmed = _programmed(steps)
        self._unfinished = _unfinished(steps)
        self._finished: int | None = None
        self._written: set[Block] = set()
        self._programmed_bytes = 0
        self._programming_s = 0.0

    async def run(self) -> WriteResult:
        """Write until memory is proven. Raises PitboxError; the journal then says how far it came."""
        try:
            return await self._work()
        finally:
            await self._job.access.close()

    async def _work(self) -> WriteResult:
        try:
            await open_persistently(self._job, self._purpose)
            self._job.journal.step(self._flash_id, Step.SESSION_OPEN)
            await self._rewrite_all(await self._to_write())
            await self._prove()
            await self._commit()
            return self._close()
        except AccessError as error:
            raise self._stopped(error) from error
        except asyncio.CancelledError:
            self._cancelled()
            raise

    @property
    def _purpose(self) -> Purpose:
        """Once something is erased there is no application left that could be asked for anything."""
        return Purpose.WRITE if self._fresh and not self._touched else Purpose.RECOVER

    async def _to_write(self) -> list[Block]:
        """Blocks that differ; without a hash on the target, all that the journal does not call programmed.

        A block that was in flight is written again though it holds the target already: an ECU that was never
        told of its end calls its memory incomplete.
        """
        order = self._order
        if not self._touched:
            await self._refuse_foreign_memory()
        if method_of(self._job) != "hash":
            return [block for block in order.blocks if block.start not in self._programmed]
        wrong = await differing(self._job, order.blocks, self._target, Phase.COMPARE, self._purpose)
        blocks = [block for block in order.blocks if block in wrong or block.start in self._unfinished]
        skipped = len(order.blocks) - len(blocks)
        self._job.journal.step(
            self._flash_id, Step.SKIPPED, detail=f"{skipped} blocks already hold the target"
        )
        return blocks

    async def _refuse_foreign_memory(self) -> None:
        """Blocks outside the order must hold what was read from this ECU, or the read is stale."""
        strange = await differing(self._job, self._order.guarded, self._target, Phase.COMPARE, self._purpose)
        if strange:
            raise self._unproven(strange)

    async def _rewrite_all(self, blocks: Sequence[Block]) -> None:
        progress = self._job.progress(Phase.WRITE, sum(block.size for block in blocks))
        for block in blocks:
            await self._rewrite(block, progress)
        self._flush_finished()

    async def _rewrite(self, block: Block, progress: Progress) -> None:
        """Erase and program one block, again where the ECU or the link stumbles."""
        data = self._target.block(block)
        stumbles = Stumbles(self._job)
        while True:
            await self._job.power.wait_until_good(may_go_blind=self._touched)
            self._job.journal.next_block(self._flash_id, self._finished, block.start)
            self._finished = None
            began = progress.done_bytes
            try:
                await self._erase(block)
                started = self._loop.time()
                await self._job.access.program(block, data, progress.add)
            except AccessError as error:
                progress.done_bytes = began
                await stumbles.recover_from(error, self._purpose, touched=self._touched)
                continue
            self._programming_s += self._loop.time() - started
            self._programmed_bytes += block.size
            self._finished = block.start
            self._written.add(block)
            return

    async def _erase(self, block: Block) -> None:
        """Every erase counts as begun, however it ends, unless a refusal is known to have changed nothing."""
        touched_before = self._touched
        self._touched = True
        try:
            await self._job.access.erase(block)
        except EcuRefusedError as error:
            self._touched = touched_before or not await self._left_alone(block, error.refusal)
            raise

    async def _left_alone(self, block: Block, refusal: Refusal) -> bool:
        """Whether a refused erase changed nothing: memory is asked where the refusal alone does not tell."""
        if refusal in _CHECKED_BEFORE_ERASING:
            return True
        try:
            return self._before is not None and await holds(self._job, block, self._before, self._purpose)
        except AccessError:
            return False

    async def _prove(self) -> None:
        """Verify every block, written and untouched; write again what does not hold."""
        if self._fresh:
            self._job.journal.move(self._job.id, JobState.VERIFYING)
        everything = (*self._order.blocks, *self._order.guarded)
        for rounds_left in reversed(range(_VERIFY_ROUNDS)):
            wrong = await differing(self._job, everything, self._target, Phase.VERIFY, self._purpose)
            if not wrong:
                self._job.journal.step(self._flash_id, Step.VERIFY_OK)
                return
            if not rounds_left or not all(map(self._writable, wrong)):
                raise self._unproven(wrong)
            self._job.note(f"{len(wrong)} blocks do not hold what was written: writing them again")
            await self._rewrite_all(wrong)

    def _writable(self, block: Block) -> bool:
        return self._job.definition.region(block.region).writable

    async def _commit(self) -> None:
        await persistently(self._job, self._purpose, self._job.access.commit)
        self._job.journal.step(self._flash_id, Step.COMMITTED)

    def _close(self) -> WriteResult:
        order = self._order
        outcome = JobState.RESTORED if order.kind == "original" else JobState.DONE
        self._job.journal.close_flash(self._flash_id, self._job.id, outcome, outcome.value)
        written = len(self._written.intersection(order.blocks))
        return WriteResult(
            outcome,
            len(order.blocks),
            written,
            len(order.blocks) - written,
            method_of(self._job),
            len(order.blocks) + len(order.guarded),
            order.target_sha256,
            self._programmed_bytes,
            self._programming_s,
        )

    def _flush_finished(self) -> None:
        if self._finished is not None:
            self._job.journal.step(self._flash_id, Step.PROGRAMMED, self._finished)
            self._finished = None

    def _stopped(self, error: AccessError) -> PitboxError:
        """Before the first erase the ECU is untouched: a fresh write is over, a recovery may be repeated."""
        if self._touched:
            return self._interrupted(str(error))
        if self._fresh:
            self._abandon()
        else:
            self._record_interruption("nothing erased")
        return access_problem(error)

    def _cancelled(self) -> None:
        if self._touched:
            self._record_interruption("cancelled")
        else:
            self._abandon()

    def _unproven(self, wrong: Sequence[Block]) -> PitboxError:
        """Memory is not what it must be, and writing does not help."""
        names = [f"{block.region} 0x{block.start:08X}+0x{block.size:X}" for block in wrong]
        if self._touched:
            return self._interrupted("memory is not what was written: " + ", ".join(names[:8]))
        self._abandon()
        return VerifyFailedError(names)

    def _abandon(self) -> None:
        self._job.journal.close_flash(
            self._flash_id, self._job.id, JobState.READ_VERIFIED, "abandoned, nothing erased"
        )

    def _interrupted(self, why: str) -> WriteInterruptedError:
        self._record_interruption(why)
        return WriteInterruptedError(self._job.id, why, self._job.definition.recovery.advice)

    def _record_interruption(self, why: str) -> None:
        self._job.journal.move_with_step(
            self._flash_id, Step.INTERRUPTED, self._job.id, JobState.INTERRUPTED, why
        )


async def write(job: Job, plan: FlashPlan) -> WriteResult:
    """Execute a plan: its intent is durable before anything reaches the ECU. Raises PitboxError."""
    plan.order.check_target(plan.target.sha256())
    flash_id = job.journal.open_flash(job.id, plan.order.to_json())
    return await Write(job, flash_id, plan.order, plan.target, Purpose.WRITE, plan.request.original).run()


def _programmed(steps: Sequence[StepRecord]) -> set[int | None]:
    """Starts of the blocks programmed, and not erased again, since the present target was chosen."""
    starts: set[int | None] = set()
    for step in steps:
        if step.step is Step.RETARGETED:
            starts.clear()
        elif step.step is Step.PROGRAMMED:
            starts.add(step.block_start)
        elif step.step is Step.ERASE_INTENT:
            starts.discard(step.block_start)
    return starts


def _unfinished(steps: Sequence[StepRecord]) -> set[int | None]:
    """Starts of the blocks whose last erase was not followed by their programming to the end."""
    starts: set[int | None] = set()
    for step in steps:
        if step.step is Step.ERASE_INTENT:
            starts.add(step.block_start)
        elif step.step is Step.PROGRAMMED:
            starts.discard(step.block_start)
    return starts
