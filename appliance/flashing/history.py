"""What the steps of a write say of the ECU's memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from appliance.contract.places import Start
from appliance.contract.report import Word
from appliance.flashing.journal import FlashRecord, Journal, Step, StepRecord

TOUCHING = frozenset({Step.ERASE_INTENT, Step.RESCUE})
"""From such a step on, memory may be half written."""


def touched(steps: Iterable[StepRecord]) -> bool:
    """Whether the write may have erased something; one opened without its journal may always have."""
    return any(step.step in TOUCHING for step in steps)


def rescued(steps: Iterable[StepRecord]) -> bool:
    """Whether these are of a write whose first steps were lost."""
    return any(step.step is Step.RESCUE for step in steps)


def is_rescue(journal: Journal, job_id: str) -> bool:
    """Whether a write of the job took up one whose journal was lost: another job read its original."""
    return any(rescued(journal.steps(flash.id)) for flash in journal.flashes(job_id))


def words_of(journal: Journal, flash: FlashRecord) -> list[Word]:
    """Who set a write aside, why and when, as often as somebody did."""
    return [
        Word(by=str(said["by"]), reason=str(said["reason"]), at=step.at)
        for step in journal.steps(flash.id)
        if step.step is Step.SET_ASIDE and (said := json.loads(step.detail or "{}"))
    ]


def programmed(steps: Sequence[StepRecord]) -> set[Start | None]:
    """Starts of the blocks programmed, and not erased again, since the present target was chosen."""
    starts: set[Start | None] = set()
    for step in steps:
        if step.step is Step.RETARGETED:
            starts.clear()
        elif step.step is Step.PROGRAMMED:
            starts.add(step.block)
        elif step.step is Step.ERASE_INTENT:
            starts.discard(step.block)
    return starts


def begun(steps: Iterable[StepRecord]) -> set[Start | None]:
    """Starts of the blocks that the write may have erased, whatever became of them."""
    return {step.block for step in steps if step.step is Step.ERASE_INTENT}


def unfinished(steps: Sequence[StepRecord]) -> set[Start | None]:
    """Starts of the blocks whose last erase was not followed by their programming to the end."""
    starts: set[Start | None] = set()
    for step in steps:
        if step.step is Step.ERASE_INTENT:
            starts.add(step.block)
        elif step.step is Step.PROGRAMMED:
            starts.discard(step.block)
    return starts


def ended_with(steps: Iterable[StepRecord], finisher: Start) -> bool:
    """Whether that block was programmed behind everything that the write has erased."""
    last = False
    for step in steps:
        if step.step in TOUCHING:
            last = False
        elif step.step is Step.PROGRAMMED:
            last = step.block == finisher
    return last


def called_incomplete(steps: Iterable[StepRecord]) -> Counter[Start | None]:
    """How often each block was written again, to its end, because the ECU called its memory incomplete.

    What was broken off before that has not shown that writing it again does not help.
    """
    counted: Counter[Start | None] = Counter()
    called: set[Start | None] = set()
    for step in steps:
        if step.step is Step.INCOMPLETE:
            called.add(step.block)
        elif step.step is Step.PROGRAMMED and step.block in called:
            called.discard(step.block)
            counted[step.block] += 1
    return counted
