"""Gate: the ECU of an interrupted write."""

from __future__ import annotations

from appliance.flashing.errors import access_problem
from appliance.flashing.gates.gate import Judgement, WireGate, passed
from appliance.flashing.gates.wire_check import WireCheck
from appliance.flashing.recognising import require_very_ecu
from appliance.flashing.retries import asked_patiently
from appliance.flashing.same_ecu import OF_ONE_ECU
from appliance.protocols.access import AccessError


class VeryEcu(WireGate):
    """What belongs to one ECU alone, or a person's word; its application need not answer."""

    name = "identity"
    question = "Is the ECU on the wire the one whose write was interrupted?"

    async def judge(self, check: WireCheck) -> Judgement:
        """Raises EcuChangedError, CarUnconfirmedError, or another PitboxError where nothing can be asked."""
        job = check.job
        try:
            await asked_patiently(job, lambda: require_very_ecu(job))
        except AccessError as error:
            raise access_problem(error, job.access_definition) from error
        likeness = job.car.likeness
        by = next((name for name in OF_ONE_ECU if name in likeness.agreed), None)
        if by is None:
            return passed("identity_by_word")
        return passed("identity_by_one", field=by.upper(), value=str(getattr(likeness.told, by)))
