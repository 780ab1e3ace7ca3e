"""Gate: what the file covers."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest


class Regions(PaperGate):
    """The file holds what its manifest names, and all of that may be written."""

    name = "regions"
    question = "Does the file hold writable regions, and those that its manifest names?"

    def judge(self, request: WriteRequest) -> Judgement:
        """By name and place."""
        if request.tuned is None:
            return passed("regions_of_original")
        named = request.papers.regions
        if not named:
            return failed("no_region_named")
        known = {r.name: r.place for r in request.regions if r.writable}
        strange = tuple(name for name, place in named.items() if known.get(name) != place)
        if strange:
            return failed("regions_not_writable", regions=strange)
        if {place.at for place in named.values()} != set(request.tuned.spans):
            return failed("regions_not_of_manifest")
        return passed("regions_named", regions=tuple(named))
