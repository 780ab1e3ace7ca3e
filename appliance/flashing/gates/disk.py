"""Gate: room on the box."""

from __future__ import annotations

from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, passed_if

_TIMES_IMAGE = 3


class Disk(CarGate):
    """Room for every record of a write."""

    name = "disk"
    question = "Has the box room for its records?"

    async def judge(self, check: CarCheck) -> Judgement:
        """Three times the ECU's memory."""
        free = check.conditions.free_bytes()
        wanted = _TIMES_IMAGE * sum(region.size_bytes for region in check.job.definition.regions)
        return passed_if(free >= wanted, "disk_room", free_mib=free >> 20, wanted_mib=wanted >> 20)
