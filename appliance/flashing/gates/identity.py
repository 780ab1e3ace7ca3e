"""Gate: the ECU on the wire."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.contract.gates import Finding, found
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, failed_for, passed
from appliance.flashing.gates.request import Authorisation
from appliance.protocols.access import AccessError, EcuIdentity, EcuState, told_identity

_OF_THE_READ = ("hw", "sw", "boot", "vin")
_OF_THE_ORIGINAL = ("hw", "boot", "vin")
"""Its software may be another by now: that is what goes away."""


class Identity(CarGate):
    """HW, SW, boot and VIN, asked again now, against the job and against the file's papers."""

    name = "identity"
    question = "Is the ECU on the wire the one that was read, and the one the file is for?"

    async def judge(self, check: CarCheck) -> Judgement:
        """By every number it tells."""
        access = check.job.access
        try:
            if await access.lifecycle.state() is not EcuState.APPLICATION:
                return failed("identity_no_application")
            now = await told_identity(access)
        except AccessError as error:
            return failed("identity_unasked", error=str(error))
        known = check.job.journal.job(check.job.id).identity
        problems = list(_mismatches(now, known, check.request.papers))
        if problems:
            return failed_for(problems)
        if now.vin is None:
            return passed("identity_same_no_vin", hw=str(now.hw), sw=str(now.sw))
        return passed("identity_same", hw=str(now.hw), sw=str(now.sw), vin=now.vin)


def _mismatches(now: EcuIdentity, known: EcuIdentity | None, papers: Authorisation) -> Iterator[Finding]:
    if now.hw is None:
        yield found("identity_no_hw")
    if known is None:
        yield found("identity_job_without")
        known = now
    for field in _OF_THE_ORIGINAL if papers.own_original else _OF_THE_READ:
        asked, kept = getattr(now, field), getattr(known, field)
        if asked != kept:
            yield found("identity_other", field=field.upper(), now=str(asked), known=str(kept))
    if None not in (now.serial, known.serial) and now.serial != known.serial:
        yield found("identity_other", field="SERIAL", now=str(now.serial), known=str(known.serial))
    for field, wanted in (("hw", papers.ecu_hw), ("sw", papers.ecu_sw), ("boot", papers.ecu_boot)):
        if wanted is not None and wanted != getattr(now, field):
            yield found("identity_of_file", field=field.upper(), wanted=wanted, now=str(getattr(now, field)))
    if papers.vin_matches is False:
        yield found("identity_other_vin")
