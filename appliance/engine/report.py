"""The report of a job, put together from the journal alone: it is the same after a power cut."""

from __future__ import annotations

from typing import Any, cast

from appliance.contract.gates import GateTold
from appliance.contract.jobs import JobState
from appliance.contract.report import FaultCodesAround, Report, VoltageSpan, Wire
from appliance.contract.results import BlockCounts, Identity, SealedSegment
from appliance.definitions.evidence import badge
from appliance.definitions.schema import Definition
from appliance.engine.interruptions import read_interruptions, write_interruptions
from appliance.engine.job_access import access_of
from appliance.flashing.history import words_of
from appliance.flashing.journal import JobRecord, Journal, Step
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import EcuIdentity

_PROVEN = (JobState.DONE.value, JobState.RESTORED.value)


def report_of(journal: Journal, job_id: str, definition: Definition | None) -> Report:
    """Identity, reads, gates, blocks, verification, DTCs, voltages, wire figures, interruptions."""
    job = journal.job(job_id)
    known: dict[str, Any] = job.detail
    access = access_of(job, definition) if definition else None
    return Report(
        job=job.id,
        result=known.get("result") or job.state.value,
        definition=job.definition_id,
        evidence=badge(definition, access) if definition else None,
        identity=identity_told(job.identity or EcuIdentity()),
        method=job.method,
        reads=known.get("reads", []),
        sealed=[
            SealedSegment(path=str(journal.path.parent / one["path"]), ct_sha256=one["ct_sha256"])
            for one in _list(known.get("sealed"))
        ],
        gates=[_gate(one) for one in _list(known.get("gates"))],
        blocks=_blocks(journal, job),
        verify=known.get("verify"),
        identity_after=known.get("identity_after"),
        car_confirmed=_list(known.get("car_confirmed")),
        waived=_list(known.get("waived")),
        settled=_list(known.get("settled")),
        set_aside=[word for flash in reversed(journal.flashes(job_id)) for word in words_of(journal, flash)],
        earlier=_list(known.get("earlier")),
        dtcs=FaultCodesAround(before=known.get("dtcs_before"), after=known.get("dtcs_after")),
        voltage=_voltage(known.get("voltage")),
        wire=Wire(
            read_efficiency=known.get("read_efficiency"),
            write_efficiency=known.get("write_efficiency"),
            bitrate=access.bitrate_bps if access else None,
        ),
        interruptions=[*read_interruptions(job), *write_interruptions(journal, job_id)],
        seconds=known.get("seconds", 0.0),
    )


def identity_told(identity: EcuIdentity) -> Identity:
    """What an ECU says of itself, in its JSON form."""
    return Identity(
        hw=identity.hw,
        sw=identity.sw,
        boot=identity.boot,
        serial=identity.serial,
        vin=identity.vin,
        calid=list(identity.calid),
        cvn=list(identity.cvn),
        bootloader_hw=identity.bootloader_hw,
        chip_id=identity.chip_id,
    )


def _blocks(journal: Journal, job: JobRecord) -> BlockCounts | None:
    """Blocks of the job's write over all its interruptions; what was skipped is known once all is proven."""
    flash = journal.last_flash(job.id)
    if flash is None:
        return None
    proven = flash.outcome in _PROVEN
    if proven and job.detail.get("blocks") is None:  # a later write got no further than its gates
        return None
    ordered = {block.place.at for block in WriteOrder.from_json(flash.write_order).blocks}
    counted = Step.ERASE_INTENT if proven else Step.PROGRAMMED
    written = ordered & {step.block for step in journal.steps(flash.id) if step.step is counted}
    skipped = len(ordered) - len(written) if proven else None
    return BlockCounts(total=len(ordered), written=len(written), skipped=skipped)


def _voltage(kept: dict[str, Any] | None) -> VoltageSpan | None:
    """Earlier releases noted no times."""
    if not kept:
        return None
    return VoltageSpan(
        min_v=kept["min_v"],
        max_v=kept["max_v"],
        min_at=kept.get("min_at"),
        max_at=kept.get("max_at"),
        source=kept.get("source"),
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _gate(stored: Any) -> GateTold:
    """As it was judged; earlier releases kept three words of it."""
    if isinstance(stored, dict):
        return cast(GateTold, stored)
    name, verdict, detail = stored
    return GateTold(name=name, verdict=verdict, detail=detail)
