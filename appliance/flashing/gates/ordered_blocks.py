"""Gate: the blocks of a journalled order."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, ResumptionGate, failed, passed
from appliance.flashing.resumption import Resumption


class OrderedBlocks(ResumptionGate):
    """Nothing is erased that the definition does not let be written."""

    name = "regions"
    question = "Is every block of the interrupted write writable in the definition it was begun with?"

    def judge(self, resumption: Resumption) -> Judgement:
        """Each must lie in a writable region of its name that the access reaches."""
        reached = resumption.access.regions(resumption.definition.memories)
        writable = {region.name: region.place for region in reached if region.writable}
        strange = tuple(
            str(block)
            for block in resumption.order.blocks
            if block.region not in writable or not writable[block.region].contains(block.place)
        )
        if strange:
            return failed("regions_not_writable", regions=strange)
        return passed("blocks_ordered", count=len(resumption.order.blocks))
