"""What a write did and proved, kept with its job; what an earlier one did is set aside for it."""

from __future__ import annotations

from appliance.contract.jobs import JobState
from appliance.contract.results import BlockCounts, Proof, WriteFacts, Written
from appliance.engine.context import EngineContext
from appliance.engine.earlier_original import earlier_of
from appliance.flashing.context import JobContext
from appliance.flashing.diagnosis import read_dtcs
from appliance.flashing.journal import JobRecord
from appliance.flashing.progress import wire_share
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import Dtc

_OUTCOME = ("result", "blocks", "verify", "write_efficiency", "dtcs_after", "identity_after", "left_out")


def set_outcome_aside(box: EngineContext, job: JobRecord) -> None:
    """What an earlier write of this job did and proved is kept, but is not what this one does.

    Reads of ECUs of its kind that stopped begin anew: half of one from before a write, and half of it from
    after, would be an original that no ECU ever held.
    """
    outcome = {key: job.detail.get(key) for key in _OUTCOME}
    earlier = job.detail.get("earlier")
    kept = list(earlier) if isinstance(earlier, list) else []
    if outcome["verify"] is not None:
        kept.append(outcome)
    box.journal.note(job.id, **dict.fromkeys(_OUTCOME), earlier=kept)
    if job.state is JobState.READING and job.original_file:
        box.journal.move(job.id, JobState.READ_VERIFIED)
    for other in box.journal.jobs():
        if other.definition_id == job.definition_id:
            box.journal.forget_chunks(other.id)


async def keep_outcome(box: EngineContext, result: WriteResult, ecu: JobContext) -> Written:
    """Keep what the write proved before anything else is asked of the ECU."""
    job_id, spent, figures = ecu.id, result.programming_s, ecu.access.memory.meter()
    sent_bytes = result.programmed_bytes * figures.sent_per_memory
    facts = WriteFacts(
        result=result.outcome.value,
        blocks=BlockCounts(total=result.total, written=result.written, skipped=result.skipped),
        verify=Proof(
            method=result.verify_method,
            blocks=result.verified_blocks,
            result="partial" if result.unproven else "pass",
            sha256=result.target_sha256 or None,
            unproven=list(result.unproven),
        ),
        write_efficiency=wire_share(sent_bytes / spent, figures.ceiling_bytes_per_s) if spent else None,
        identity_after=result.identity_after,
        left_out=list(result.left_out),
    )
    box.journal.note(job_id, **facts)
    after = codes_of(await read_dtcs(ecu))
    box.journal.note(job_id, dtcs_after=after)
    rituals = [ritual.text for ritual in ecu.access_definition.rituals if ritual.when == "after_write"]
    went_back = result.outcome is JobState.RESTORED
    earlier = earlier_of(box, box.journal.job(job_id).original_file) if went_back else None
    return Written(job=job_id, **facts, dtcs_after=after, rituals=rituals, earlier=earlier)


def codes_of(dtcs: tuple[Dtc, ...] | None) -> list[str] | None:
    """Fault codes by their names; None where nobody told them."""
    return None if dtcs is None else [dtc.code for dtc in dtcs]
