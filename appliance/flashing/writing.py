"""Executing a write order: compare, erase and program only what differs, prove everything, commit.

The same loop finishes a fresh write and an interrupted one: what is already right is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.contract.errors import PitboxError
from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.contract.places import Start
from appliance.contract.results import IdentityAfter
from appliance.flashing import history
from appliance.flashing.context import JobContext
from appliance.flashing.database import StorageError
from appliance.flashing.erase_bounds import Wear
from appliance.flashing.erase_groups import EraseGroups, Unit
from appliance.flashing.errors import (
    EcuChangedError,
    EraseBoundError,
    NeedsBenchError,
    TargetDamagedError,
    VerifyFailedError,
    WriteInterruptedError,
    access_problem,
)
from appliance.flashing.gaps import Target
from appliance.flashing.hash_blind_spots import blind_in
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step
from appliance.flashing.lost_blocks import LostBlocks
from appliance.flashing.marks import NEEDS_BENCH, NOTHING_ERASED
from appliance.flashing.plan import FlashPlan
from appliance.flashing.progress import Progress
from appliance.flashing.recognising import recognise, unconfirmed
from appliance.flashing.refused_erase import left_alone
from appliance.flashing.retries import BlockRetries, asked_patiently, open_persistently, persistently
from appliance.flashing.same_ecu import summary
from appliance.flashing.session_end import let_go
from appliance.flashing.set_aside import refuse_same_ecu
from appliance.flashing.verifying import differing, holds, method_of, passes_check
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import (
    AccessError,
    Block,
    EcuRefusedError,
    NotBegunError,
    Purpose,
    Refusal,
)

_VERIFY_ROUNDS = 3
_MOST_INCOMPLETE = 2
"""So often a block that holds its target is written again because the ECU calls its memory incomplete."""
_VERDICTS = frozenset({Refusal.PROGRAMMING, Refusal.SEQUENCE})
"""How an ECU refuses to accept its memory."""


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
    unproven: tuple[str, ...]
    """Blocks that were left alone, and of which no whole copy is left to compare with."""


class Write:
    """One write order on its way to the ECU, with its intent already in the journal."""

    def __init__(
        self,
        job: JobContext,
        flash_id: int,
        order: WriteOrder,
        known: Target,
        purpose: Purpose,
        before: MemoryImage | None = None,
        other: str | None = None,
    ) -> None:
        """`before` is the memory as it was read, where nothing was written yet.

        What a damaged target does not tell of is not written; `other` is the source that is whole instead.
        """
        target = known.image
        self._job = job
        self._flash_id = flash_id
        self._order = order
        self._target = target
        self._blocks = tuple(one for one in order.blocks if target.covers(one.place))
        self._guarded = tuple(one for one in order.guarded if target.covers(one.place))
        self._before = before
        self._how = job.access_definition
        self._groups = EraseGroups(job.definition, job.access_definition)
        self._other = other
        self._fresh = purpose is Purpose.WRITE
        self._loop = asyncio.get_running_loop()
        steps = job.journal.steps(flash_id)
        self._touched = history.touched(steps)
        self._lost = LostBlocks(job, order.blocks, known, steps, other)
        self._programmed = history.programmed(steps)
        self._unfinished = history.unfinished(steps)
        self._wear = Wear(job.id, job.definition, job.access_definition, steps)
        self._finished: Start | None = None
        self._written: dict[Block, None] = {}
        """In the order of writing."""
        self._programmed_bytes = 0
        self._programming_s = 0.0

    async def run(self) -> WriteResult:
        """Write until memory is proven. Raises PitboxError; the journal then says how far it came."""
        try:
            return await self._work()
        except StorageError:  # nothing can be recorded
            raise
        except AccessError as error:
            if self._only_the_bench_helps(error):
                self._job.journal.close_flash(self._flash_id, self._job.id, JobState.NEEDS_BENCH, NEEDS_BENCH)
                raise NeedsBenchError(self._job.access_definition.recovery.advice, str(error)) from error
            self._leave(str(error), over=self._fresh)
            raise self._told(error) from error
        except VerifyFailedError as error:
            self._leave(error.what, over=True)
            raise
        except PitboxError as error:
            self._leave(error.what, over=self._fresh)
            raise
        except asyncio.CancelledError:
            self._leave("cancelled", over=True)
            raise
        finally:
            await let_go(self._job)

    async def _work(self) -> WriteResult:
        await open_persistently(self._job, self._purpose)
        self._job.journal.step(self._flash_id, Step.SESSION_OPEN)
        await self._refuse_foreign_memory()
        await self._rewrite_all(await self._to_write())
        await self._prove()
        self._lost.refuse_unless_provable()
        await self._have_it_accepted()
        identity_after = await self._identity_after()
        await self._lost.prove()
        return self._close(identity_after)

    @property
    def _purpose(self) -> Purpose:
        """Once something is erased there is no application left that could be asked for anything."""
        dead = self._touched or self._job.car.application_dead
        return Purpose.WRITE if self._fresh and not dead else Purpose.RECOVER

    async def _refuse_foreign_memory(self) -> None:
        """Blocks outside the order must hold what was read from this ECU, or the read is stale.

        In a touched ECU that has proven who it is an erase may have damaged a neighbour: mended later.
        """
        strange = await self._strange_guards()
        if strange and not self._touched:
            raise self._not_as_read(strange)
        if strange and not self._job.car.likeness.proven:
            raise EcuChangedError(
                [f"{name} does not hold what was read from the job's ECU" for name in _names(strange)]
            )
        if strange:
            self._job.note("guards_strange", blocks=len(strange))
        self._job.car.doubtful = False

    async def _strange_guards(self) -> list[Block]:
        """Guarded blocks that differ; a half-written ECU need not be able to tell."""
        guarded = self._guarded
        if guarded and not self._how.compares:
            self._job.note("guards_incomparable")
            return []
        try:
            return await differing(self._job, guarded, self._target, Phase.COMPARE, self._purpose)
        except EcuRefusedError as error:
            if not self._touched:
                raise
            self._job.note("guards_uncompared", error=str(error))
            return []

    async def _to_write(self) -> list[Block]:
        """Blocks that differ; without a hash on the target, all that the journal does not call programmed.

        A block that was in flight is written again though it holds the target already: an ECU that was never
        told of its end calls its memory incomplete.
        """
        never = [block for block in self._blocks if block.place.at not in self._programmed]
        if method_of(self._job) != "hash":  # none that may leave a block alone on its word
            return never
        wrong = await differing(self._job, self._blocks, self._target, Phase.COMPARE, self._purpose)
        blind = blind_in(self._job.definition, self._how, self._target)
        wrong += [block for block in never if block.region in blind]
        blocks = [block for block in self._blocks if block in wrong or block.place.at in self._unfinished]
        skipped = len(self._blocks) - len(self._groups.widened(blocks))
        self._job.journal.step(
            self._flash_id, Step.SKIPPED, detail=f"{skipped} blocks already hold the target"
        )
        return blocks

    async def _rewrite_all(self, blocks: Sequence[Block]) -> None:
        """With all that is erased with them. Raises TargetDamagedError where some of that is not known."""
        units = self._groups.units(blocks)
        unknown = [block for unit in units for block in unit if not self._target.covers(block.place)]
        known = [unit for unit in units if not set(unit).intersection(unknown)]
        progress = self._job.progress(Phase.WRITE, sum(block.size for unit in known for block in unit))
        for unit in known:
            await self._rewrite(unit, progress)
        self._flush_finished()
        if unknown:
            raise TargetDamagedError(_names(unknown), self._other)

    async def _rewrite(self, unit: Unit, progress: Progress) -> None:
        """Erase a unit and program its blocks; what the ECU or the link breaks off is erased and begun again,
        with all that its erase takes with it.
        """
        retries, began = BlockRetries(self._job), progress.done_bytes
        to_erase, left = unit, list(unit)
        for block in unit:
            self._written.pop(block, None)
        while left:
            try:
                await self._settle_doubt()
                await self._job.power.wait_until_good(may_go_blind=self._touched)
                if to_erase:
                    await self._erase(to_erase)
                    to_erase = ()
                await self._program(left[0], progress, retries)
            except AccessError as error:
                if not isinstance(error, NotBegunError):
                    to_erase = self._groups.widened({*to_erase, left[0]})
                    left = [block for block in unit if block in {*to_erase, *left}]
                progress.done_bytes = began + sum(block.size for block in unit if block not in left)
                await retries.start_again(error, self._purpose, touched=self._touched)
                continue
            left.pop(0)
        self._written.update(dict.fromkeys(unit))

    async def _program(self, block: Block, progress: Progress, retries: BlockRetries) -> None:
        """Program an erased block. Raises AccessError."""
        self._flush_finished()
        data, started = self._target.block(block), self._loop.time()
        await self._job.access.memory.program(block, data, progress.add, retries.hold)
        await self._validate(block)
        self._programming_s += self._loop.time() - started
        self._programmed_bytes += block.size
        self._finished = block.place.at

    async def _validate(self, block: Block) -> None:
        """The ECU's own check right after the block, where the definition asks for it. Raises AccessError."""
        if self._how.checks_each_block and not await passes_check(
            self._job, block, self._target, self._purpose
        ):
            name = _names([block])[0]
            raise EcuRefusedError(Refusal.PROGRAMMING, f"the ECU calls {name} bad right after programming it")

    async def _settle_doubt(self) -> None:
        """After a lost link an ECU that does not say who it is must hold what this write knows it to hold."""
        car = self._job.car
        if not car.doubtful:
            return
        known = (*reversed(self._written), *self._guarded) if self._how.certain else ()
        witness = next(iter(known), None)
        if witness is None and not car.confirmed:
            raise unconfirmed(self._job)
        if witness is not None and not await holds(self._job, witness, self._target, self._purpose):
            raise EcuChangedError([f"{name} is not as this write left it" for name in _names([witness])])
        car.doubtful = False

    async def _erase(self, blocks: Sequence[Block]) -> None:
        """Every erase counts as begun, however it ends, unless memory and ECU show that nothing changed."""
        self._intend(blocks)
        touched_before = self._touched
        self._touched = True
        try:
            for block in blocks:
                await self._job.access.memory.erase(block)
        except EcuRefusedError:
            if not touched_before:
                self._touched = not await left_alone(self._job, blocks, self._before, self._purpose)
            raise

    def _intend(self, blocks: Sequence[Block]) -> None:
        """Record erases before the first is asked for. Raises EraseBoundError instead of one too many."""
        try:
            for block in blocks:
                self._wear.another(block)
        except EraseBoundError:
            self._flush_finished()
            raise
        starts = (block.place.at for block in blocks)
        self._job.journal.next_block(self._flash_id, self._finished, *starts)
        self._finished = None

    async def _prove(self) -> None:
        """Verify every block, written and untouched; write again what does not hold."""
        if self._fresh:
            self._job.journal.move(self._job.id, JobState.VERIFYING)
        everything = (*self._blocks, *self._provable_guards)
        for rounds_left in reversed(range(_VERIFY_ROUNDS)):
            wrong = await differing(self._job, everything, self._target, Phase.VERIFY, self._purpose)
            if not wrong:
                self._job.journal.step(self._flash_id, Step.VERIFY_OK)
                return
            if not rounds_left or not all(map(self._writable, wrong)):
                raise self._unproven(wrong)
            self._job.note("blocks_unlike", blocks=len(wrong))
            await self._rewrite_all(wrong)

    @property
    def _provable_guards(self) -> tuple[Block, ...]:
        return self._guarded if self._how.compares else ()

    def _writable(self, block: Block) -> bool:
        return self._job.definition.region(block.region).writable

    async def _have_it_accepted(self) -> None:
        """Commit. An ECU that calls a proven memory incomplete may miss the end of a block that was in flight
        when everything was lost: block after block is written again, each a bounded number of times.
        """
        while True:
            try:
                await self._commit()
                return
            except EcuRefusedError as error:
                if self._fresh or error.refusal not in _VERDICTS:
                    raise
                if self._lost:  # what is missing is most likely there
                    raise self._lost.error() from error
                block = self._suspect()
                if block is None:
                    raise
                why = f"{error}, though every block holds its target"
                self._job.note("block_suspected", error=str(error), block=_names([block])[0])
            self._job.journal.step(self._flash_id, Step.INCOMPLETE, block.place.at, why)
            await open_persistently(self._job, self._purpose)
            await self._rewrite_all([block])
            await self._prove()

    def _suspect(self) -> Block | None:
        """The block to write again: first those nobody saw programmed to their end, none just written."""
        tried = history.called_incomplete(self._job.journal.steps(self._flash_id))
        left = [
            block
            for block in self._blocks
            if block not in self._written and tried[block.place.at] < _MOST_INCOMPLETE
        ]
        return min(
            left, key=lambda block: (block.place.at in self._programmed, tried[block.place.at]), default=None
        )

    async def _commit(self) -> None:
        await persistently(self._job, self._purpose, self._job.access.lifecycle.commit)
        self._job.journal.step(self._flash_id, Step.COMMITTED)

    async def _identity_after(self) -> IdentityAfter:
        """Who runs its new memory: the job's own ECU. Raises EcuChangedError, AccessError."""
        likeness = await asked_patiently(self._job, lambda: recognise(self._job))
        return summary(likeness, confirmed=self._job.car.confirmed)

    def _close(self, identity_after: IdentityAfter) -> WriteResult:
        order = self._order
        self._job.journal.note(self._job.id, identity_after=identity_after)
        outcome = JobState.RESTORED if order.kind == "original" else JobState.DONE
        self._job.journal.close_flash(self._flash_id, self._job.id, outcome, outcome.value)
        written = len(set(self._written).intersection(order.blocks))
        return WriteResult(
            outcome,
            len(order.blocks),
            written,
            len(order.blocks) - written,
            method_of(self._job),
            len(order.blocks) + len(self._provable_guards),
            order.target_sha256,
            self._programmed_bytes,
            self._programming_s,
            identity_after,
            tuple(_names(one for one in order.guarded if one not in self._provable_guards)),
        )

    def _flush_finished(self) -> None:
        if self._finished is not None:
            self._job.journal.step(self._flash_id, Step.PROGRAMMED, self._finished)
            self._finished = None

    def _unproven(self, wrong: Sequence[Block]) -> PitboxError:
        """Memory is not what it must be, and writing does not help."""
        if self._touched:
            return self._interrupted("memory is not what was written: " + ", ".join(_names(wrong)[:8]))
        return self._not_as_read(wrong)

    def _not_as_read(self, blocks: Sequence[Block]) -> VerifyFailedError:
        return VerifyFailedError(
            _names(blocks),
            "Nothing was erased. Something else has written this ECU since it was read: `pitbox identify`, "
            "then `pitbox read` take what it holds now as the original of a new job.",
        )

    def _only_the_bench_helps(self, error: AccessError) -> bool:
        """An erased block that is not taken, in a second recovery and for the same reason: no reset helps.

        Such an ECU holds on to an old transfer until its supply is cut, and is silent on this wire then.
        """
        recoverability = self._job.access_definition.recovery.recoverability
        if self._fresh or recoverability == "bootloader" or not isinstance(error, NotBegunError):
            return False
        before = self._job.journal.steps(self._flash_id)
        return any(step.step is Step.INTERRUPTED and step.detail == str(error) for step in before)

    def _told(self, error: AccessError) -> PitboxError:
        return self._interrupted(str(error)) if self._touched else access_problem(error)

    def _interrupted(self, why: str) -> WriteInterruptedError:
        return WriteInterruptedError(self._job.id, why, self._job.access_definition.recovery.advice)

    def _leave(self, why: str, *, over: bool) -> None:
        """Close a write that changed nothing, where it is over; anything else stays open."""
        journal, job_id = self._job.journal, self._job.id
        if over and not self._touched:
            journal.close_flash(self._flash_id, job_id, JobState.READ_VERIFIED, NOTHING_ERASED)
        else:
            journal.move_with_step(self._flash_id, Step.INTERRUPTED, job_id, JobState.INTERRUPTED, why)


async def write(job: JobContext, plan: FlashPlan) -> WriteResult:
    """Execute a plan: its intent is durable before anything reaches the ECU. Raises PitboxError."""
    plan.order.check_target(plan.target.sha256())
    refuse_same_ecu(job.journal, job.journal.job(job.id))
    flash_id = job.journal.open_flash(job.id, plan.order.to_json())
    target = Target(plan.target)
    return await Write(job, flash_id, plan.order, target, Purpose.WRITE, plan.request.original).run()


def _names(blocks: Iterable[Block]) -> list[str]:
    return [str(block) for block in blocks]
