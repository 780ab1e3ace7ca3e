"""Gate: use and consent."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest

USES = frozenset({"road_compliant", "motorsport_offroad", "bench_research"})


class Consents(PaperGate):
    """A declared use, and the technician's consent."""

    name = "consents"
    question = "Is the use declared, and has the technician consented?"

    def judge(self, request: WriteRequest) -> Judgement:
        """The own original needs neither."""
        if request.restores:
            return passed("consents_for_original")
        missing: tuple[str, ...] = () if request.papers.use in USES else ("use declaration",)
        if "technician" not in request.papers.consents:
            missing += ("consent of the technician",)
        if missing:
            return failed("consents_missing", missing=missing)
        return passed("consents_given", use=str(request.papers.use))
