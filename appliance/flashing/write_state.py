"""What one write knows of itself while it runs: its plan, its row in the journal, and what was touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.contract.places import Start
from appliance.flashing import history
from appliance.flashing.context import JobContext
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.errors import VerifyFailedError, WriteInterruptedError
from appliance.flashing.journal import Step, StepRecord
from appliance.flashing.plan import FlashPlan
from appliance.protocols.access import Block, Purpose


class WriteState:
    """One plan on its way to the ECU, with its intent already in the journal.

    What a damaged target does not tell of is not written.
    """

    def __init__(self, job: JobContext, plan: FlashPlan, flash_id: int) -> None:
        self.job = job
        self.plan = plan
        self.flash_id = flash_id
        self.target = plan.target
        self.how = job.access_definition
        self.groups = EraseGroups(job.definition, job.access_definition)
        self.blocks = tuple(one for one in plan.order.blocks if plan.target.covers(one.place))
        self.guarded = tuple(one for one in plan.order.guarded if plan.target.covers(one.place))
        self.steps_before = steps = job.journal.steps(flash_id)
        self.touched = history.touched(steps)
        """Whether this write may have erased something."""
        self.programmed = history.programmed(steps)
        self.unfinished = history.unfinished(steps)
        self.written: dict[Block, None] = {}
        """In the order of writing."""
        self.programmed_bytes = 0
        self.programming_s = 0.0

    @property
    def purpose(self) -> Purpose:
        """Once something is erased there is no application left that could be asked for anything."""
        dead = self.touched or self.job.car.application_dead
        return Purpose.WRITE if self.plan.fresh and not dead else Purpose.RECOVER

    @property
    def provable_guards(self) -> tuple[Block, ...]:
        """What must stay as it is, as far as this ECU can be asked about it."""
        return self.guarded if self.how.compares else ()

    @property
    def out_of_reach(self) -> tuple[str, ...]:
        """Memories of the target that the access does not reach."""
        held = {place.memory for place, _ in self.target.pieces}
        return tuple(sorted(held - self.how.reaches(self.job.definition.memories)))

    def steps(self) -> list[StepRecord]:
        """All that the journal knows of this write now."""
        return self.job.journal.steps(self.flash_id)

    def step(self, step: Step, block: Start | None = None, detail: str | None = None) -> None:
        """One more step, durable on return."""
        self.job.journal.step(self.flash_id, step, block, detail)

    def interrupted(self, why: Phrase) -> WriteInterruptedError:
        """The error for an ECU that is left half written."""
        return WriteInterruptedError(
            "WRITE_INTERRUPTED", job=self.job.id, why=why, author_text=self.how.recovery.advice
        )


def names_of(blocks: Iterable[Block]) -> list[str]:
    """Blocks in words."""
    return [str(block) for block in blocks]


def not_as_read(blocks: Sequence[Block]) -> VerifyFailedError:
    """The error for an ECU that this write has not touched, and that is not what was read."""
    return VerifyFailedError(names_of(blocks), phrase("advice.written_by_other"))
