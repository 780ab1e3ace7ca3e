"""Gate: what is to be written, as it lies sealed."""

from __future__ import annotations

from appliance.contract.gates import Verdict, found
from appliance.flashing.gates.gate import Judgement, ResumptionGate, failed, passed
from appliance.flashing.resumption import Resumption


class TargetWhole(ResumptionGate):
    """Nothing is begun that cannot be finished; what was begun is brought as far as it goes."""

    name = "target_whole"
    question = "Is all that is to be written still there?"

    def judge(self, resumption: Resumption) -> Judgement:
        """By the blocks that no copy tells."""
        lost = tuple(str(block) for block in resumption.lost)
        if not lost:
            return passed("target_whole")
        if resumption.touched:
            return Judgement(Verdict.NOT_APPLICABLE, (found("target_lost_and_begun", places=lost),))
        return failed("target_lost", places=lost)
