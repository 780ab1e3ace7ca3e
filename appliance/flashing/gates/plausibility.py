"""Gate: whether the file can be a tune of the read at all."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, failed_for, passed
from appliance.flashing.gates.request import WriteRequest, whole_regions
from appliance.flashing.plausibility import implausible


class PlausibilityGate(PaperGate):
    """Right papers do not make a picture a calibration."""

    name = "plausibility"
    question = "Can the file be a tune of this read?"

    def judge(self, request: WriteRequest) -> Judgement:
        """By the definition's limits."""
        if request.restores:
            return passed("as_it_was_read")
        if request.original is None or request.tuned is None or not request.tuned.spans:
            return failed("nothing_to_compare")
        pairs = list(whole_regions(request, request.original))
        if len(pairs) < len(request.tuned.spans):
            return failed("not_whole_regions")
        limits = request.definition.plausibility
        lowest: dict[str, int] = {}
        for region in request.regions:
            lowest[region.memory] = min(region.start, lowest.get(region.memory, region.start))
        own = [text for text in (request.papers.ecu_hw, request.papers.ecu_sw) if text]
        problems = [
            problem
            for region, old, new in pairs
            for problem in implausible(region, old, new, limits, region.start == lowest[region.memory], own)
        ]
        return failed_for(problems) if problems else passed("plausible")
