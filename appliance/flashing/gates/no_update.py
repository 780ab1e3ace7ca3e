"""Gate: updates of the box."""

from __future__ import annotations

from appliance.contract.gates import Verdict
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, passed


class NoUpdate(CarGate):
    """No update comes in between."""

    name = "no_update"
    question = "Is no update of the box waiting?"
    waivable = frozenset({Verdict.FAIL})
    """The own original goes back all the same: no update is ever in its way."""

    async def judge(self, check: CarCheck) -> Judgement:
        """An update that waits is let through first."""
        return failed("update_waits") if check.conditions.update_pending() else passed("update_none")
