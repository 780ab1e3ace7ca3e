"""Where reads and writes of a job were interrupted, and whether they were taken up again."""

from __future__ import annotations

from appliance.contract.events import Phase
from appliance.contract.jobs import JobState
from appliance.contract.places import Start
from appliance.contract.report import Interruption
from appliance.flashing.borrowed_access import give_back
from appliance.flashing.journal import JobRecord, Journal, Step
from appliance.flashing.write_order import WriteOrder


def settle(journal: Journal) -> None:
    """At the start of the box nothing is being read or checked: jobs in such a state were interrupted."""
    for job in journal.jobs():
        give_back(journal, job.id)
        leave_reading(journal, job.id)
        if job.state is JobState.PREFLIGHT:
            journal.move(job.id, JobState.READ_VERIFIED if job.original_file else JobState.IDENTIFIED)


def leave_reading(journal: Journal, job_id: str) -> None:
    """A read that stopped: it can go on where it stopped, and hides no original that is there already."""
    job = journal.job(job_id)
    note_interrupted_read(journal, job)
    if job.state is JobState.READING and job.original_file:
        journal.move(job_id, JobState.READ_VERIFIED)


def is_read_interrupted(job: JobRecord) -> bool:
    """Whether the job's last read stopped before its end."""
    return any(not one["resumed"] for one in read_interruptions(job))


def note_interrupted_read(journal: Journal, job: JobRecord) -> None:
    """Note where the job's reading stopped, once per place; nothing where it is not being read."""
    if job.state is not JobState.READING:
        return
    found, here = read_interruptions(job), _where(journal, job.id)
    if here not in found:
        journal.note(job.id, read_interruptions=[*found, here])


def mark_read_resumed(journal: Journal, job_id: str) -> None:
    """The read is finished: it went on after every interruption."""
    found = read_interruptions(journal.job(job_id))
    if found:
        journal.note(job_id, read_interruptions=[{**one, "resumed": True} for one in found])


def read_interruptions(job: JobRecord) -> list[Interruption]:
    """Interruptions of the job's reads: phase, bytes of that phase that were sealed, resumed."""
    known = job.detail.get("read_interruptions")
    return known if isinstance(known, list) else []


def write_interruptions(journal: Journal, job_id: str) -> list[Interruption]:
    """Where each interruption of the job's last write struck, and whether the write was taken up again."""
    flash = journal.last_flash(job_id)
    if flash is None:
        return []
    sizes = {block.place.at: block.size for block in WriteOrder.from_json(flash.write_order).blocks}
    found: list[Interruption] = []
    programmed: set[Start] = set()
    for step in journal.steps(flash.id):
        if step.step is Step.PROGRAMMED and step.block is not None:
            programmed.add(step.block)
        elif step.step is Step.INTERRUPTED:
            at_byte = sum(sizes.get(block, 0) for block in programmed)
            found.append(Interruption(phase="write", at_byte=at_byte, resumed=False))
        elif step.step in (Step.RESUMED, Step.RETARGETED) and found:
            found[-1]["resumed"] = True
    return found


def _where(journal: Journal, job_id: str) -> Interruption:
    second = journal.chunks(job_id, 2)
    chunks = second or journal.chunks(job_id, 1)
    return Interruption(
        phase=(Phase.READ_2 if second else Phase.READ_1).value,
        at_byte=sum(chunk.segment.place.length for chunk in chunks.values()),
        resumed=False,
    )
