"""Erasing and programming blocks: the only code that changes an ECU's memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from appliance.contract.events import Phase
from appliance.contract.phrases import phrase
from appliance.contract.places import Start
from appliance.flashing.erase_bounds import Wear
from appliance.flashing.erase_groups import Unit
from appliance.flashing.errors import EcuChangedError, EraseBoundError, target_lost
from appliance.flashing.journal import Step
from appliance.flashing.progress import Progress
from appliance.flashing.recognising import unconfirmed
from appliance.flashing.refused_erase import left_alone
from appliance.flashing.retries import BlockRetries
from appliance.flashing.safekeeping import Safekeeping
from appliance.flashing.verifying import holds, passes_check
from appliance.flashing.write_state import WriteState, names_of
from appliance.protocols.access import AccessError, Block, EcuRefusedError, NotBegunError, Refusal


class BlockWriter:
    """Makes blocks hold the plan's target, each intent durable before it is acted on."""

    def __init__(self, state: WriteState) -> None:
        self._state = state
        self._job = state.job
        opened = [one for one in (state.target, state.plan.before) if one is not None]
        self._files = Safekeeping(state.job, state.flash_id, state.plan.order, opened)
        self._wear = Wear(state.job.id, state.job.definition, state.how, state.steps_before)
        self._finished: Start | None = None
        """Programmed, and not yet told to the journal."""

    async def rewrite_all(self, blocks: Sequence[Block]) -> None:
        """With all that is erased with them, and what the ECU wants behind them.

        Raises TargetDamagedError or SourceLostError where some of that is not known, AccessError,
        EcuChangedError, EraseBoundError, CarUnconfirmedError; WayBackLostError or VaultError where the disk
        does not keep what an erase would leave to it alone.
        """
        plan, target, groups = self._state.plan, self._state.target, self._state.groups
        units = groups.units(groups.finished(blocks))
        unknown = [block for unit in units for block in unit if not target.covers(block.place)]
        gone = [one for one in plan.order.blocks if self._is_gone(one)]
        stuck = [unit for unit in units if groups.awaited(unit) & {one.region for one in gone}]
        unknown += [one for one in gone if stuck and one not in unknown]
        known = [unit for unit in units if unit not in stuck and not set(unit).intersection(unknown)]
        progress = self._job.progress(Phase.WRITE, sum(block.size for unit in known for block in unit))
        for unit in known:
            await self._rewrite(unit, progress)
        self._flush_finished()
        if unknown:
            raise target_lost(self._job.id, names_of(unknown), plan.other, plan.hope)

    def _is_gone(self, block: Block) -> bool:
        """Begun, and its bytes known nowhere: an ECU that wants it whole first takes nothing behind it."""
        state = self._state
        return block.place.at in state.unfinished and not state.target.covers(block.place)

    async def _rewrite(self, unit: Unit, progress: Progress) -> None:
        """Erase a unit and program its blocks; what the ECU or the link breaks off is erased and begun again,
        with all that its erase takes with it.
        """
        state = self._state
        retries, began = BlockRetries(self._job), progress.done_bytes
        to_erase, left = unit, list(unit)
        for block in unit:
            state.written.pop(block, None)
        while left:
            try:
                await self._job.power.wait_until_good(may_go_blind=state.touched)
                await self._files.keep(to_erase, state.purpose, touched=state.touched)
                await self._settle_doubt()
                if to_erase:
                    await self._erase(to_erase)
                    to_erase = ()
                await self._program(left[0], progress, retries)
            except AccessError as error:
                if not isinstance(error, NotBegunError):
                    to_erase = state.groups.widened({*to_erase, left[0]})
                    left = [block for block in unit if block in {*to_erase, *left}]
                progress.done_bytes = began + sum(block.size for block in unit if block not in left)
                await retries.start_again(error, state.purpose, touched=state.touched)
                continue
            left.pop(0)
        state.written.update(dict.fromkeys(unit))

    async def _program(self, block: Block, progress: Progress, retries: BlockRetries) -> None:
        """Program an erased block. Raises AccessError."""
        self._flush_finished()
        state, loop = self._state, asyncio.get_running_loop()
        data, started = state.target.block(block), loop.time()
        await self._job.access.memory.program(block, data, progress.add, retries.hold)
        await self._validate(block)
        state.programming_s += loop.time() - started
        state.programmed_bytes += block.size
        self._finished = block.place.at

    async def _validate(self, block: Block) -> None:
        """The ECU's own check right after the block, where the definition asks for it. Raises AccessError."""
        state = self._state
        if state.how.checks_each_block and not await passes_check(
            self._job, block, state.target, state.purpose
        ):
            name = names_of([block])[0]
            raise EcuRefusedError(Refusal.PROGRAMMING, phrase("ecu.bad_block", block=name))

    async def _settle_doubt(self) -> None:
        """After a lost link an ECU that does not say who it is must hold what this write knows it to hold."""
        state, car = self._state, self._job.car
        if not car.doubtful:
            return
        known = (*reversed(state.written), *state.guarded) if state.how.certain else ()
        witness = next(iter(known), None)
        if witness is None and not car.confirmed:
            raise unconfirmed(self._job)
        if witness is not None and not await holds(self._job, witness, state.target, state.purpose):
            raise EcuChangedError([phrase("memory.not_as_left", block=name) for name in names_of([witness])])
        car.doubtful = False

    async def _erase(self, blocks: Sequence[Block]) -> None:
        """Every erase counts as begun, however it ends, unless memory and ECU show that nothing changed."""
        state = self._state
        self._intend(blocks)
        touched_before = state.touched
        state.touched = True
        try:
            for block in blocks:
                await self._job.access.memory.erase(block)
        except EcuRefusedError:
            if not touched_before:
                state.touched = not await left_alone(self._job, blocks, state.plan.before, state.purpose)
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
        self._job.journal.next_block(self._state.flash_id, self._finished, *starts)
        self._finished = None

    def _flush_finished(self) -> None:
        if self._finished is not None:
            self._state.step(Step.PROGRAMMED, self._finished)
            self._finished = None
