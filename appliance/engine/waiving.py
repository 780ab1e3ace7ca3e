"""A named person's word that a gate is set aside, taken only where that gate lets anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.contract.errors import EngineError
from appliance.contract.gates import Waiver
from appliance.contract.operations import GateWaiver
from appliance.contract.phrases import phrase
from appliance.contract.report import GateWaived
from appliance.engine.context import EngineContext
from appliance.flashing.gates.judging import WAIVABLE


def refuse_unwaivable(given: Sequence[GateWaiver]) -> None:
    """Raises PitboxError WAIVER_REFUSED for a gate that nobody waives, or that does not exist."""
    never = [one.gate for one in given if one.gate not in WAIVABLE]
    if never:
        raise EngineError(
            "WAIVER_REFUSED",
            gate=never[0],
            points=tuple(phrase("gate.waivable", gate=gate, verdicts=states) for gate, states in _possible()),
        )


def waived(box: EngineContext, job_id: str, given: Sequence[GateWaiver]) -> Mapping[str, Waiver]:
    """By gate, recorded in the journal. Raises PitboxError WAIVER_REFUSED."""
    refuse_unwaivable(given)
    if given:
        known = box.journal.job(job_id).detail.get("waived")
        words = [GateWaived(gate=one.gate, by=one.by, reason=one.reason, at=box.now()) for one in given]
        box.journal.note(job_id, waived=[*(known if isinstance(known, list) else []), *words])
    return {one.gate: Waiver(one.by, one.reason) for one in given}


def _possible() -> list[tuple[str, str]]:
    return [(gate, " or ".join(sorted(verdicts))) for gate, verdicts in sorted(WAIVABLE.items())]
