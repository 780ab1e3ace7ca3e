"""Gate: the errors on the bus."""

from __future__ import annotations

from appliance.contract.gates import Verdict, found
from appliance.flashing.gates.gate import Judgement, WireGate, failed, passed_if
from appliance.flashing.gates.wire_check import WireCheck

_MOST_ERRORS = 95
"""From 96 on a CAN controller warns."""


class LinkClean(WireGate):
    """A plug that has contact."""

    name = "link_clean"
    question = "Is the link clean?"

    async def judge(self, check: WireCheck) -> Judgement:
        """Errors are few and do not grow, and all that arrives is taken."""
        link = await check.link()
        if link is None:
            return Judgement(Verdict.NOT_APPLICABLE, (found("no_bus"),))
        if link.lost_frames:
            return failed("link_lost_frames", frames=link.lost_frames)
        clean = not link.bus_off and link.new_errors <= 0 and link.errors <= _MOST_ERRORS
        return passed_if(clean, "link_errors", errors=link.errors)
