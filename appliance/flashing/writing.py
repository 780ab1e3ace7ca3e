"""Executing a write order: compare, erase and program only what differs, prove everything, commit.

The same loop finishes a fresh write and an interrupted one: what is already right is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.contract.errors import EcuSafety
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
from appliance.flashing.verifying import differing, method_of
from appliance.protocols.access import AccessError, Block, EcuRefusedError, Purpose, Refusal

_VERIFY_ROUNDS = 3


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
        self, job: Job, flash_id: int, order: WriteOrder, target: MemoryImage, purpose: Purpose
    ) -> None:
        self._job = job
        self._flash_id = flash_id
        self._order = order
        self._target = target
        self._purpose = purpose
        self._loop = asyncio.get_running_loop()
        steps = job.journal.steps(flash_id)
        self._touched = any(step.step is Step.ERASE_INTENT for step in steps)
        self._programmed = _programmed(steps)
        self._finished: int | None = None
        self._written: set[Block] = set()
        self._programmed_bytes = 0
        self._programming_s = 0.0

    async def run(self) -> WriteResult:
        """Write until memory is proven. Raises PitboxError; the journal then says how far it came."""
        try:
            await open_persistently(self._job, self._purpose)
            self._job.journal.step(self._flash_id, Step.SESSION_OPEN)
            await self._rewrite_all(await self._to_write())
            await self._prove()
            await self._commit()
        except AccessError as error:
            raise self._stopped(error) from error
        finally:
            await self._job.access.close()
        return self._close()

    async def _to_write(self) -> list[Block]:
        """Blocks that differ; without a hash on the target, all that the journal does not call programmed."""
        order = self._order
        if method_of(self._job) != "hash":
            return [block for block in order.blocks if block.start not in self._programmed]
        if not self._touched:
            await self._refuse_foreign_memory()
        blocks = await differing(self._job, order.blocks, self._target, Phase.COMPARE, self._purpose)
        skipped = len(order.blocks) - len(blocks)
        self._job.journal.step(
            self._flash_id, Step.SKIPPED, detail=f"{skipped} blocks already hold the target"
        )
        return blocks

    async def _refuse_foreign_memory(self) -> None:
        """Blocks outside the order must hold what was read from this ECU, or the read is stale."""
        strange = await differing(self._job, self._order.guarded, self._target, Phase.COMPARE, self._purpose)
        if strange:
            self._abandon()
            raise VerifyFailedError([_name(block) for block in strange], EcuSafety.UNTOUCHED)

    async def _rewrite_all(self, blocks: Sequence[Block]) -> None:
        progress = self._job.progress(Phase.WRITE, sum(block.size for block in blocks))
        for block in blocks:
            await self._rewrite(block, progress)

    async def _rewrite(self, block: Block, progress: Progress) -> None:
        """Erase and program one block, again where the ECU or the link stumbles."""
        data = self._target.block(block)
        stumbles = Stumbles(self._job)
        while True:
            await self._job.power.wait_until_good()
            self._job.journal.next_block(self._flash_id, self._finished, block.start)
            self._finished = None
            began = progress.done_bytes
            try:
                await self._erase(block)
                started = self._loop.time()
                await self._job.access.program(block, data, progress.add)
            except AccessError as error:
                progress.done_bytes = began
                await stumbles.recover_from(error, touched=self._touched)
                continue
            self._programming_s += self._loop.time() - started
            self._programmed_bytes += block.size
            self._finished = block.start
            self._written.add(block)
            return

    async def _erase(self, block: Block) -> None:
        """A plain refusal leaves memory alone; every other end of an erase counts as touched."""
        try:
            await self._job.access.erase(block)
        except EcuRefusedError as error:
            self._touched |= error.refusal is Refusal.PROGRAMMING
            raise
        except AccessError:
            self._touched = True
            raise
        self._touched = True

    async def _prove(self) -> None:
        """Verify every block, written and untouched; write again what does not hold."""
        self._flush_finished()
        if self._fresh:
            self._job.journal.move(self._job.id, JobState.VERIFYING)
        everything = (*self._order.blocks, *self._order.guarded)
        for _ in range(_VERIFY_ROUNDS):
            wrong = await differing(self._job, everything, self._target, Phase.VERIFY, self._purpose)
            if not wrong:
                self._job.journal.step(self._flash_id, Step.VERIFY_OK)
                return
            self._job.note(f"{len(wrong)} blocks do not hold what was written: writing them again")
            mendable = [block for block in wrong if block in self._order.blocks]
            if len(mendable) < len(wrong):
                break
            self._touched = True
            await self._rewrite_all(mendable)
            self._flush_finished()
        raise self._interrupted("memory is not what was written: " + ", ".join(map(_name, wrong[:8])))

    async def _commit(self) -> None:
        await persistently(self._job, self._purpose, self._job.access.commit)
        self._job.journal.step(self._flash_id, Step.COMMITTED)

    def _close(self) -> WriteResult:
        outcome = JobState.RESTORED if self._order.kind == "original" else JobState.DONE
        self._job.journal.close_flash(self._flash_id, self._job.id, outcome, outcome.value)
        order = self._order
        return WriteResult(
            outcome,
            len(order.blocks),
            len(self._written),
            len(order.blocks) - len(self._written),
            method_of(self._job),
            len(order.blocks) + len(order.guarded),
            order.target_sha256,
            self._programmed_bytes,
            self._programming_s,
        )

    @property
    def _fresh(self) -> bool:
        return self._purpose is Purpose.WRITE

    def _flush_finished(self) -> None:
        if self._finished is not None:
            self._job.journal.step(self._flash_id, Step.PROGRAMMED, self._finished)
            self._finished = None

    def _stopped(self, error: AccessError) -> Exception:
        """Before the first erase the write is abandoned and the ECU untouched; after it, interrupted."""
        if not self._touched:
            self._abandon()
            return access_problem(error)
        return self._interrupted(str(error))

    def _abandon(self) -> None:
        if self._fresh:
            self._job.journal.close_flash(
                self._flash_id, self._job.id, JobState.READ_VERIFIED, "abandoned, nothing erased"
            )
        else:
            self._job.journal.move_with_step(
                self._flash_id, Step.INTERRUPTED, self._job.id, JobState.INTERRUPTED, "nothing erased"
            )

    def _interrupted(self, why: str) -> WriteInterruptedError:
        self._job.journal.move_with_step(
            self._flash_id, Step.INTERRUPTED, self._job.id, JobState.INTERRUPTED, why
        )
        return WriteInterruptedError(self._job.id, why, self._job.definition.recovery.advice)


async def write(job: Job, plan: FlashPlan) -> WriteResult:
    """Execute a plan: its intent is durable before anything reaches the ECU. Raises PitboxError."""
    flash_id = job.journal.open_flash(job.id, plan.order.to_json())
    return await Write(job, flash_id, plan.order, plan.target, Purpose.WRITE).run()


def _programmed(steps: Sequence[StepRecord]) -> set[int | None]:
    """Starts of the blocks programmed since the present target was chosen."""
    starts: set[int | None] = set()
    for step in steps:
        if step.step is Step.RETARGETED:
            starts.clear()
        elif step.step is Step.PROGRAMMED:
            starts.add(step.block_start)
    return starts


def _name(block: Block) -> str:
    return f"{block.region} 0x{block.start:08X}+0x{block.size:X}"
