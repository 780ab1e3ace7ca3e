"""Gate: the height of the supply."""

from __future__ import annotations

from appliance.flashing.gates.gate import Judgement, WireGate, failed, passed_if
from appliance.flashing.gates.wire_check import WireCheck


class VoltageWindow(WireGate):
    """Inside the window, at every sample."""

    name = "voltage_window"
    question = "Is the supply inside the definition's window?"

    async def judge(self, check: WireCheck) -> Judgement:
        """Lowest and highest sample; no reading is a fail."""
        try:
            supply = await check.supply()
        except ConnectionError as error:
            return failed("supply_unread", technical_text=str(error))
        reading, window = supply.reading, check.job.power.window
        return passed_if(
            window.min_v <= reading.min_v and reading.max_v <= window.max_v,
            "supply_window",
            low_v=reading.min_v,
            high_v=reading.max_v,
            age_s=supply.age_s,
            source=supply.source,
            min_v=window.min_v,
            max_v=window.max_v,
            target_v=window.target_v,
        )
