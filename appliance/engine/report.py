"""The report of a job, put together from the journal alone: it is the same after a power cut."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from appliance.definitions.schema import Definition
from appliance.flashing.journal import Journal, Step
from appliance.flashing.order import WriteOrder
from appliance.protocols.access import EcuIdentity


def report_of(journal: Journal, job_id: str, definition: Definition | None) -> dict[str, Any]:
    """Identity, reads, gates, blocks, verification, DTCs, voltages, wire figures, interruptions."""
    job = journal.job(job_id)
    known = job.detail
    return {
        "job": job.id,
        "result": known.get("result") or job.state.value,
        "definition": job.definition_id,
        "evidence": definition.evidence.level if definition else None,
        "identity": asdict(job.identity or EcuIdentity()),
        "method": job.method,
        "reads": known.get("reads", []),
        "sealed": known.get("sealed", []),
        "gates": [
            {"name": name, "verdict": verdict, "detail": detail}
            for name, verdict, detail in _list(known.get("gates"))
        ],
        "blocks": known.get("blocks"),
        "verify": known.get("verify"),
        "dtcs": {"before": known.get("dtcs_before"), "after": known.get("dtcs_after")},
        "voltage": known.get("voltage"),
        "wire": {
            "read_efficiency": known.get("read_efficiency"),
            "write_efficiency": known.get("write_efficiency"),
            "bitrate": definition.bus.bitrate_bps if definition else None,
        },
        "interruptions": [*_list(known.get("read_interruptions")), *write_interruptions(journal, job_id)],
        "seconds": known.get("seconds", 0.0),
    }


def write_interruptions(journal: Journal, job_id: str) -> list[dict[str, Any]]:
    """Where each interruption of the job's last write struck, and whether the write was taken up again."""
    flash = journal.last_flash(job_id)
    if flash is None:
        return []
    sizes = {block.start: block.size for block in WriteOrder.from_json(flash.write_order).blocks}
    found: list[dict[str, Any]] = []
    programmed: set[int] = set()
    for step in journal.steps(flash.id):
        if step.step is Step.PROGRAMMED and step.block_start is not None:
            programmed.add(step.block_start)
        elif step.step is Step.INTERRUPTED:
            at_byte = sum(sizes.get(start, 0) for start in programmed)
            found.append({"phase": "write", "at_byte": at_byte, "resumed": False})
        elif step.step in (Step.RESUMED, Step.RETARGETED) and found:
            found[-1]["resumed"] = True
    return found


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
