"""Gate: the file's own checksums."""

from __future__ import annotations

from appliance.checksums import Verdict as ChecksumVerdict
from appliance.contract.gates import Verdict, found
from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest, target_of
from appliance.flashing.own_checksums import judged


class ChecksumGate(PaperGate):
    """What the ECU would say of its memory."""

    name = "checksum"
    question = "Are the checksums of the file right?"

    def judge(self, request: WriteRequest) -> Judgement:
        """Where the box cannot tell, the master's signed word counts; where it can, it does not."""
        target = target_of(request)
        if target is None or request.original is None:
            return failed("checksum_no_image")
        if request.restores:
            return passed("as_it_was_read")
        judgement = judged(request.checksums, request.original, target)
        if judgement.verdict is not ChecksumVerdict.UNKNOWN:
            right = judgement.verdict is ChecksumVerdict.OK
            return Judgement(Verdict.PASS if right else Verdict.FAIL, judgement.findings)
        if request.papers.checksum_by_master:
            return Judgement(Verdict.PASS, (*judgement.findings, found("checksum_by_master")))
        return Judgement(Verdict.UNKNOWN, judgement.findings)
