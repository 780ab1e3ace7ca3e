"""Identify an ECU, read it twice and seal the original."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from appliance.contract.errors import EcuSafety, EngineError, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.contract.results import (
    Identified,
    Protection,
    ReadDone,
    ReadPass,
    ReadSummary,
    RecommendedMethod,
    Ritual,
    SealedSegment,
)
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.evidence import badge
from appliance.definitions.memory import Region
from appliance.engine.context import EngineContext
from appliance.engine.earlier_original import earlier_of, read_before_a_tune
from appliance.engine.ecu import on_ecu, require_same_ecu
from appliance.engine.ecu_discovery import Found, find_ecu, in_bootloader
from appliance.engine.interruptions import (
    is_read_interrupted,
    leave_reading,
    mark_read_resumed,
    note_interrupted_read,
)
from appliance.engine.job_access import access_of
from appliance.engine.originals import save_image
from appliance.engine.plaintext import wipe_image
from appliance.engine.report import identity_told
from appliance.flashing.context import JobContext
from appliance.flashing.journal import JobRecord
from appliance.flashing.progress import wire_share
from appliance.flashing.reading import ReadResult, read_twice
from appliance.flashing.safety import standing
from appliance.flashing.set_aside import refuse_same_ecu
from appliance.protocols.access import EcuRefusedError, EcuState, Purpose, Refusal, told_identity
from appliance.protocols.protection import ProtectionKind
from appliance.vault.images import ImageKind


async def identify(
    box: EngineContext, definition_id: str | None = None, access_name: str | None = None
) -> Identified:
    """Find the ECU, recognise its definition, open a job for it; over the named access, if there is one."""
    found = await find_ecu(box, definition_id, access_name)
    job_id = uuid.uuid4().hex[:12]
    box.journal.create_job(job_id)
    definition = found.definition
    pin, access = box.pinned.pin(definition), found.access
    box.journal.describe(job_id, definition.id, pin, access.method, found.identity, access.name)
    box.journal.move(job_id, JobState.IDENTIFIED)
    protection = Protection(
        kind=found.protection.kind.value,
        evidence=list(found.protection.evidence),
        advice=found.protection.advice,
    )
    box.journal.note(job_id, protection=protection, found=found.others)
    return Identified(
        job=job_id,
        definition=definition.id,
        name=definition.name,
        evidence=badge(definition, found.access),
        identity=identity_told(found.identity),
        protection=protection,
        method=_recommended(found),
        rituals=[Ritual(when=ritual.when, text=ritual.text) for ritual in found.access.rituals],
        others=found.others,
    )


def _recommended(found: Found) -> RecommendedMethod:
    """The definition's method, or the bench where a gateway or a certificate stands in the way."""
    if found.protection.kind is ProtectionKind.NONE:
        recommended = found.definition.recommended
        return RecommendedMethod(recommended=recommended.method, reason=recommended.reason)
    return RecommendedMethod(recommended="bench", reason=found.protection.advice)


async def read(box: EngineContext, job_id: str, regions: Sequence[str] = ()) -> ReadDone:
    """Read twice, compare, seal; a job that was interrupted while reading goes on where it stopped.

    The first full read is the job's original and is never replaced: a later one is kept beside it.
    """
    job = box.journal.job(job_id)
    definition = box.definition(job.definition_id or "", job.definition_sha256)
    access = access_of(job, definition)
    reached = access.regions(definition.memories)
    _require_readable(access, reached)
    chosen = _chosen(definition.id, reached, regions)
    _begin_or_go_on(box, job)
    try:
        async with on_ecu(box, job_id, definition, purpose=Purpose.READ) as ecu:
            await require_same_ecu(ecu)
            if job.original_file is None:
                await _refuse_half_written(box, ecu)
            result = await _read_all(box, ecu, chosen)
            ceiling = ecu.access.memory.meter().ceiling_bytes_per_s
    except BaseException:
        leave_reading(box.journal, job_id)
        raise
    wipe_image(result.image)
    full = {region.name for region in chosen} >= {r.name for r in reached if r.readable}
    kind = ImageKind.ORIGINAL if full and job.original_file is None else ImageKind.RESCUE
    first = kind is ImageKind.ORIGINAL
    before = read_before_a_tune(box, box.journal.job(job_id), result.segments) if first else None
    file_id = save_image(box, kind, job, chosen, result.segments, before)
    summary = _summary(box, result, ceiling)
    box.journal.note(job_id, result=None, **summary)
    mark_read_resumed(box.journal, job_id)
    original = job.original_file or (file_id if full else None)
    if original is None:
        box.journal.move(job_id, JobState.IDENTIFIED)
    else:
        box.journal.read_verified(job_id, original)
    earlier = earlier_of(box, file_id)
    return ReadDone(job=job_id, file=file_id, full=full, earlier=earlier, **summary)


async def _refuse_half_written(box: EngineContext, job: JobContext) -> None:
    """What such an ECU holds is no original. Raises PitboxError ECU_IN_BOOTLOADER or WRITE_OPEN."""
    if await job.access.lifecycle.state() is EcuState.BOOTLOADER:
        raise in_bootloader(box, job.definition.id, await told_identity(job.access))
    if standing(box.journal, job.id).ecu in (EcuSafety.HALF_WRITTEN, EcuSafety.UNKNOWN):
        box.journal.refuse_second_write()
        refuse_same_ecu(box.journal, box.journal.job(job.id))


async def _read_all(box: EngineContext, job: JobContext, chosen: Sequence[Region]) -> ReadResult:
    """Both passes, from one and the same ECU to the end."""
    try:
        result = await read_twice(job, chosen)
    except EcuRefusedError as error:
        if error.refusal is not Refusal.UNSUPPORTED:
            raise
        raise _unreadable(box, job.id, chosen, error) from error
    await require_same_ecu(job)
    return result


def _unreadable(
    box: EngineContext, job_id: str, chosen: Sequence[Region], error: EcuRefusedError
) -> PitboxError:
    """The ECU will not have the region read that was due: the rest can still be."""
    if box.journal.job(job_id).original_file is None:
        box.journal.move(job_id, JobState.IDENTIFIED)
    due = _due(box, job_id, chosen)
    others = [region.name for region in chosen if region is not due]
    if not others:
        return EngineError("REGION_UNREADABLE", region=due.name, problem=error.said)
    return EngineError(
        "REGION_UNREADABLE.others", region=due.name, problem=error.said, others=",".join(others)
    )


def _due(box: EngineContext, job_id: str, chosen: Sequence[Region]) -> Region:
    """The region that the present pass has not finished."""
    for reading_pass in (1, 2):
        chunks = box.journal.chunks(job_id, reading_pass)
        for region in chosen:
            inside = (one.segment.place for one in chunks.values())
            if sum(place.length for place in inside if region.place.contains(place)) < region.size_bytes:
                return region
    return chosen[-1]


def _begin_or_go_on(box: EngineContext, job: JobRecord) -> None:
    """Only an interrupted read is resumed: a finished one is no proof of what the memory holds now."""
    if job.state is JobState.READING:
        note_interrupted_read(box.journal, job)
    elif not is_read_interrupted(job):
        box.journal.forget_chunks(job.id)


def _require_readable(access: AccessDefinition, reached: Sequence[Region]) -> None:
    """Raises PitboxError NOTHING_READABLE: a read of nothing would be sealed as an original."""
    if not any(region.readable for region in reached):
        raise EngineError("NOTHING_READABLE", access=access.name, author_text=access.reason)


def _chosen(definition_id: str, reached: Sequence[Region], names: Sequence[str]) -> list[Region]:
    readable = {region.name: region for region in reached if region.readable}
    unknown = [name for name in names if name not in readable]
    if unknown:
        raise EngineError(
            "REGION_UNKNOWN.readable",
            definition=definition_id,
            unknown=tuple(unknown),
            readable=tuple(readable),
            points=tuple(
                phrase("region.unreadable", region=region.name, author_text=region.unreadable_because)
                for region in reached
                if region.name in unknown and region.unreadable_because
            ),
        )
    return [region for name, region in readable.items() if not names or name in names]


def _summary(box: EngineContext, result: ReadResult, ceiling_bytes_per_s: float) -> ReadSummary:
    moved = sum(one.bytes for one in result.passes)
    seconds = sum(one.seconds for one in result.passes)
    return ReadSummary(
        reads=[
            ReadPass(sha256=one.sha256, bytes=one.bytes, seconds=one.seconds, voted_blocks=one.voted_blocks)
            for one in result.passes
        ],
        sealed=[
            SealedSegment(
                path=str(box.blobs.path(segment.ct_sha256).relative_to(box.settings.state_dir)),
                ct_sha256=segment.ct_sha256,
            )
            for segment in result.segments
        ],
        read_efficiency=wire_share(moved / seconds, ceiling_bytes_per_s) if seconds else None,
    )
