"""Gate: the way in that the file was made for."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest


class Method(PaperGate):
    """File and connection are of one method."""

    name = "method"
    question = "Is the file for this way into the ECU?"

    def judge(self, request: WriteRequest) -> Judgement:
        """The own original was read this way."""
        wanted = request.papers.method
        if request.restores or wanted == request.method:
            return passed("method_same", method=request.method)
        return failed("method_other", wanted=str(wanted), own=request.method)
