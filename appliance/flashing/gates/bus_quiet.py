"""Gate: the traffic of others on the bus."""

from __future__ import annotations

from appliance.contract.gates import Verdict, found
from appliance.flashing.gates.gate import Judgement, WireGate, passed_if
from appliance.flashing.gates.wire_check import WireCheck

_QUIET_LOAD = 0.6


class BusQuiet(WireGate):
    """Room for a write."""

    name = "bus_quiet"
    question = "Is the bus quiet enough?"

    async def judge(self, check: WireCheck) -> Judgement:
        """By the share of the wire in use."""
        link = await check.link()
        if link is None:
            return Judgement(Verdict.NOT_APPLICABLE, (found("no_bus"),))
        return passed_if(link.load <= _QUIET_LOAD, "bus_load", load=link.load)
