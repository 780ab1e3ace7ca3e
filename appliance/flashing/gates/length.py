"""Gate: the file's length."""

from __future__ import annotations

from appliance.contract.gates import found
from appliance.flashing.gates.gate import Judgement, PaperGate, failed_for, passed
from appliance.flashing.gates.request import WriteRequest


class Length(PaperGate):
    """Each region to the byte."""

    name = "length"
    question = "Is each region in the file as long as in the ECU?"

    def judge(self, request: WriteRequest) -> Judgement:
        """Looks at no content: a file of a wrong length needs no reading."""
        if request.tuned is None:
            return passed("length_of_original")
        sizes = {region.place.at: region.size_bytes for region in request.regions}
        wrong = [
            found("length_wrong", place=str(place), bytes=place.length, wanted_bytes=sizes.get(place.at, 0))
            for place, _ in request.tuned.pieces
            if sizes.get(place.at) != place.length
        ]
        return failed_for(wrong) if wrong else passed("length_right", bytes=request.tuned.size_bytes)
