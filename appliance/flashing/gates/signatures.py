"""Gate: who lets this file be written."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, failed_for, passed
from appliance.flashing.gates.request import WriteRequest


class Signatures(PaperGate):
    """Manifest and grant, or the ECU's own original."""

    name = "signatures"
    question = "Are the papers of the file signed by the paired master?"

    def judge(self, request: WriteRequest) -> Judgement:
        """The own original needs no papers; no other file may come with its own."""
        if request.restores:
            return passed("original_needs_nobody")
        if request.papers.own_original:
            return failed("papers_of_original")
        if request.papers.signatures:
            return failed_for(request.papers.signatures)
        return passed("signed_by_master")
