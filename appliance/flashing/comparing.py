"""What memory holds beside what a write wants: before it begins, and proven when it is over."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.contract.errors import PitboxError
from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.flashing import history
from appliance.flashing.block_writing import BlockWriter
from appliance.flashing.delta_worth import pays
from appliance.flashing.errors import EcuChangedError
from appliance.flashing.hash_blind_spots import blind_in
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step
from appliance.flashing.recognising import require_very_ecu
from appliance.flashing.verifying import differing, method_of
from appliance.flashing.write_state import WriteState, names_of, not_as_read
from appliance.protocols.access import Block, EcuRefusedError

_VERIFY_ROUNDS = 3


async def refuse_foreign_memory(state: WriteState) -> None:
    """Blocks outside the order must hold what was read from this ECU, or the read is stale.

    In a touched ECU that has proven who it is an erase may have damaged a neighbour: mended later.
    Raises VerifyFailedError, EcuChangedError, AccessError.
    """
    job = state.job
    strange = await _strange_guards(state)
    if strange and not state.touched:
        raise not_as_read(strange)
    if strange and not job.car.likeness.proven:
        raise EcuChangedError([phrase("memory.not_as_read", block=name) for name in names_of(strange)])
    if strange:
        job.note("guards_strange", blocks=len(strange))
    job.car.doubtful = False


async def _strange_guards(state: WriteState) -> list[Block]:
    """Guarded blocks that differ; a half-written ECU need not be able to tell."""
    guarded = state.guarded
    if guarded and not state.how.compares:
        state.job.note("guards_incomparable")
        return []
    try:
        return await differing(state.job, guarded, state.target, Phase.COMPARE, state.purpose)
    except EcuRefusedError as error:
        if not state.touched:
            raise
        state.job.note("guards_uncompared", error=error.said)
        return []


async def to_write(state: WriteState) -> list[Block]:
    """Blocks that differ; without a hash on the target, all that the journal does not call programmed and
    that were not read as they should be.

    A block that was in flight is written again though it holds the target already: an ECU that was never
    told of its end calls its memory incomplete, and takes nothing that waits for it. Raises AccessError.
    """
    job = state.job
    never = [block for block in state.blocks if block.place.at not in state.programmed]
    if method_of(job) != "hash":  # none that may leave a block alone on its word
        same = await _read_as_wanted(state, never)
        blocks = [block for block in never if block not in same]
        return _skipping(state, blocks) if same else blocks or _finisher(state)
    wrong = await differing(job, state.blocks, state.target, Phase.COMPARE, state.purpose)
    blind = blind_in(job.definition, state.how, state.target)
    wrong += [block for block in never if block.region in blind]
    blocks = [block for block in state.blocks if block in wrong or block.place.at in state.unfinished]
    return _skipping(state, [*blocks, *_perhaps_in_flight(state, blocks)])


def _skipping(state: WriteState, wrong: list[Block]) -> list[Block]:
    """What is to be written because of these, noting how many blocks are not."""
    blocks = wrong or _finisher(state)
    rewritten = state.groups.widened(state.groups.finished(blocks))
    skipped = len(set(state.blocks).difference(rewritten))
    state.step(Step.SKIPPED, detail=f"{skipped} blocks already hold the target")
    return blocks


async def _read_as_wanted(state: WriteState, never: Sequence[Block]) -> list[Block]:
    """Blocks that this write has not touched and that hold the target, where reading them pays.

    Before anything was touched only those are asked for that held it when they were read. A half-written
    ECU need not let itself be read; where the journal was lost, nobody knows what was touched.
    """
    job, before = state.job, state.plan.before
    hopeful = [
        block
        for block in never
        if block.place.at not in state.unfinished and (before is None or _unchanged(block, before, state))
    ]
    size = sum(block.size for block in hopeful)
    if method_of(job) != "read_back" or history.rescued(state.steps_before) or not hopeful:
        return []
    if not pays(size, job.access.memory.meter()):
        return []
    try:
        wrong = await differing(job, hopeful, state.target, Phase.COMPARE, state.purpose)
    except EcuRefusedError as error:
        job.note("blocks_uncompared", error=str(error))
        await require_very_ecu(job)  # it was opened again, and cannot be known by what it holds
        return []
    return [block for block in hopeful if block not in wrong]


def _unchanged(block: Block, before: MemoryImage, state: WriteState) -> bool:
    return before.covers(block.place) and before.held(block.place) == state.target.held(block.place)


def _perhaps_in_flight(state: WriteState, blocks: Sequence[Block]) -> list[Block]:
    """Where the journal was lost nobody knows which block was in flight: all that these wait for."""
    if not history.rescued(state.steps_before):
        return []
    awaited = state.groups.awaited(blocks)
    found = (block for block in state.blocks if block.region in awaited and block not in blocks)
    return [block for block in found if block.place.at not in state.programmed]


def _finisher(state: WriteState) -> list[Block]:
    """What has to end the write, where everything holds and another block was written behind it."""
    finisher = state.groups.finisher
    if finisher is None or not state.touched or history.ended_with(state.steps_before, finisher.place.at):
        return []
    return [finisher]


async def prove(state: WriteState, writer: BlockWriter) -> None:
    """Verify every block, written and untouched; write again what does not hold.

    Raises VerifyFailedError, WriteInterruptedError, AccessError.
    """
    job = state.job
    if state.plan.fresh:
        job.journal.move(job.id, JobState.VERIFYING)
    everything = (*state.blocks, *state.provable_guards)
    for rounds_left in reversed(range(_VERIFY_ROUNDS)):
        wrong = await differing(job, everything, state.target, Phase.VERIFY, state.purpose)
        if not wrong:
            state.step(Step.VERIFY_OK)
            return
        if not rounds_left or not all(job.definition.region(block.region).writable for block in wrong):
            raise _unproven(state, wrong)
        job.note("blocks_unlike", blocks=len(wrong))
        await writer.rewrite_all(wrong)


def _unproven(state: WriteState, wrong: Sequence[Block]) -> PitboxError:
    """Memory is not what it must be, and writing does not help."""
    if state.touched:
        return state.interrupted(phrase("memory.not_as_written", blocks=tuple(names_of(wrong)[:8])))
    return not_as_read(wrong)
