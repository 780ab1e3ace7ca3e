"""Having the ECU accept its proven memory, and asking who it is that runs it."""

from __future__ import annotations

from appliance.contract.results import IdentityAfter
from appliance.flashing import history
from appliance.flashing.block_writing import BlockWriter
from appliance.flashing.comparing import prove
from appliance.flashing.journal import Step
from appliance.flashing.lost_blocks import LostBlocks
from appliance.flashing.recognising import recognise
from appliance.flashing.retries import asked_patiently, open_persistently, persistently
from appliance.flashing.same_ecu import summary
from appliance.flashing.write_state import WriteState, names_of
from appliance.protocols.access import Block, EcuRefusedError, Refusal

_MOST_INCOMPLETE = 2
"""So often a block that holds its target is written again because the ECU calls its memory incomplete."""
_VERDICTS = frozenset({Refusal.PROGRAMMING, Refusal.SEQUENCE})
"""How an ECU refuses to accept its memory."""


async def have_it_accepted(state: WriteState, writer: BlockWriter, lost: LostBlocks) -> None:
    """Commit. An ECU that calls a proven memory incomplete may miss the end of a block that was in flight
    when everything was lost: block after block is written again, each a bounded number of times.

    Raises AccessError, or what LostBlocks says where most likely a block is missing that the disk lost.
    """
    while True:
        try:
            await commit(state)
            return
        except EcuRefusedError as error:
            if state.plan.fresh or error.refusal not in _VERDICTS:
                raise
            if lost:
                raise lost.error() from error
            block = _suspect(state)
            if block is None:
                raise
            why = f"{error}, though every block holds its target"
            state.job.note("block_suspected", error=error.said, block=names_of([block])[0])
        state.step(Step.INCOMPLETE, block.place.at, why)
        await open_persistently(state.job, state.purpose)
        await writer.rewrite_all([block])
        await prove(state, writer)


def _suspect(state: WriteState) -> Block | None:
    """The block to write again: first those nobody saw programmed to their end, none just written."""
    tried = history.called_incomplete(state.steps())
    left = [
        block
        for block in state.blocks
        if block not in state.written and tried[block.place.at] < _MOST_INCOMPLETE
    ]
    return min(
        left, key=lambda block: (block.place.at in state.programmed, tried[block.place.at]), default=None
    )


async def commit(state: WriteState) -> None:
    """The ECU puts its memory to use. Raises AccessError."""
    await persistently(state.job, state.purpose, state.job.access.lifecycle.commit)
    state.step(Step.COMMITTED)


async def identity_after(state: WriteState) -> IdentityAfter:
    """Who runs its new memory: the job's own ECU. Raises EcuChangedError, AccessError."""
    likeness = await asked_patiently(state.job, lambda: recognise(state.job))
    return summary(likeness, confirmed=state.job.car.confirmed)
