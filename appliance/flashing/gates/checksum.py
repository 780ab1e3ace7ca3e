"""Gate: the file's own checksums."""

from __future__ import annotations

from appliance.checksums import Verdict as ChecksumVerdict
from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed, unknown
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
        if judgement.verdict is ChecksumVerdict.OK:
            return passed("checksum_found", why=judgement.why)
        if judgement.verdict is not ChecksumVerdict.UNKNOWN:
            return failed("checksum_found", why=judgement.why)
        if request.papers.checksum_by_master:
            return passed("checksum_by_master", why=judgement.why)
        return unknown("checksum_found", why=judgement.why)
