"""What gates of the car and the box are given before a fresh write."""

from __future__ import annotations

from appliance.flashing.context import JobContext
from appliance.flashing.gates.conditions import Conditions
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.gates.wire_check import WireCheck


class CarCheck(WireCheck):
    """One look at car and box before a write."""

    def __init__(self, job: JobContext, request: WriteRequest, conditions: Conditions) -> None:
        super().__init__(job, conditions.listen)
        self.request = request
        self.conditions = conditions
