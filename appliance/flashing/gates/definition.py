"""Gate: the kind of ECU the file is for."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest


class DefinitionFits(PaperGate):
    """File and job are of one definition."""

    name = "definition"
    question = "Is the file for the definition of this job?"

    def judge(self, request: WriteRequest) -> Judgement:
        """The own original is of it by itself."""
        wanted, own = request.papers.definition, request.definition.id
        if request.restores or wanted == own:
            return passed("definition_same", definition=own)
        return failed("definition_other", wanted=str(wanted), own=own)
