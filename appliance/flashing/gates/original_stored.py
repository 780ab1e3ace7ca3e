"""Gate: the way back."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest


class OriginalStored(PaperGate):
    """A verified read of this ECU is sealed."""

    name = "original_stored"
    question = "Is a verified read of everything that can be written stored?"

    def judge(self, request: WriteRequest) -> Judgement:
        """Every writable region must be in it; what goes back is that of the memories it holds."""
        if request.original is None or request.original_file is None:
            return failed("no_read_stored")
        held = {place.memory for place, _ in request.original.pieces}
        lacking = tuple(
            region.name
            for region in request.regions
            if region.writable
            and not request.original.covers(region.place)
            and not (request.restores and region.memory not in held)
        )
        if lacking:
            return failed("original_lacks", regions=lacking)
        return passed("original_sealed", file=request.original_file)
