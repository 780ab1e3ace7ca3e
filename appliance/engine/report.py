"""The report of a job, put together from the journal alone: it is the same after a power cut."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from appliance.definitions.schema import Definition
from appliance.engine.interruptions import read_interruptions, write_interruptions
from appliance.flashing.journal import Journal
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
        "interruptions": [*read_interruptions(job), *write_interruptions(journal, job_id)],
        "seconds": known.get("seconds", 0.0),
    }


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
