"""Gate: the ECU on the wire, by whatever this access can tell of it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.contract.gates import Finding, found
from appliance.flashing.errors import EcuChangedError
from appliance.flashing.fingerprint import Fingerprint, fingerprint
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.gate import CarGate, Judgement, failed, failed_for, passed, unknown
from appliance.flashing.gates.request import NOT_TOLD, Authorisation
from appliance.flashing.image import MemoryImage
from appliance.flashing.same_ecu import OF_ONE_ECU, Likeness, compare
from appliance.protocols.access import AccessError, EcuIdentity, EcuState, Purpose, told_identity

_NUMBERS = ("hw", "sw", "boot", "serial", "vin")
_OF_THE_READ = ("hw", "sw", "boot", "vin")
_OF_THE_ORIGINAL = ("hw", "boot", "vin")
"""Its software may be another by now: that is what goes away."""


class Identity(CarGate):
    """Numbers asked again now; a chip id; or memory against the sealed original, with a person's word.

    An application that is dead keeps nothing but the ECU's own original from being written.
    """

    name = "identity"
    question = "Is the ECU on the wire the one that was read, and the one the file is for?"

    async def judge(self, check: CarCheck) -> Judgement:
        """By every number it tells, else by what it holds."""
        access, request = check.job.access, check.request
        known = check.job.journal.job(check.job.id).identity
        try:
            state = await access.lifecycle.state()
            check.job.car.application_dead = state is EcuState.BOOTLOADER
            if state is EcuState.SILENT or (check.job.car.application_dead and not request.restores):
                return failed("identity_no_application")
            now = await told_identity(access)
            if known is None or (state is EcuState.APPLICATION and _speaks_in_numbers(check, now, known)):
                return _by_numbers(now, known, request.papers)
            return await _by_what_is_left(check, now, known)
        except EcuChangedError as error:
            return failed("identity_changed", differences=error.points)
        except AccessError as error:
            return failed("identity_unasked", error=error.said)


def _speaks_in_numbers(check: CarCheck, now: EcuIdentity, known: EcuIdentity) -> bool:
    """Not an access without any, nor one that tells a chip id instead; silence alone is no reason.

    An ECU that never told its hardware number is known by what belongs to one ECU alone, or by its memory.
    """
    if any(getattr(now, name) is not None for name in _NUMBERS):
        return now.hw is not None or known.hw is not None
    if check.job.access.identity is None or now.chip_id is not None:
        return False
    return any(getattr(known, name) is not None for name in _NUMBERS)


def _by_numbers(now: EcuIdentity, known: EcuIdentity | None, papers: Authorisation) -> Judgement:
    problems = list(_mismatches(now, known, papers))
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
    for field in ("serial", "chip_id"):
        asked, kept = getattr(now, field), getattr(known, field)
        if None not in (asked, kept) and asked != kept:
            yield found("identity_other", field=field.upper(), now=str(asked), known=str(kept))
    yield from _not_of_the_file(now, papers)


def _not_of_the_file(ecu: EcuIdentity, papers: Authorisation) -> Iterator[Finding]:
    for field, wanted in (("hw", papers.ecu_hw), ("sw", papers.ecu_sw), ("boot", papers.ecu_boot)):
        is_now = getattr(ecu, field)
        if wanted is not None and wanted not in (is_now, NOT_TOLD if is_now is None else is_now):
            yield found("identity_of_file", field=field.upper(), wanted=wanted, now=str(is_now))
    if papers.vin_matches is False:
        yield found("identity_other_vin")


async def _by_what_is_left(check: CarCheck, now: EcuIdentity, known: EcuIdentity) -> Judgement:
    """A number that it still tells and that belongs to one ECU alone, or memory and a person's word."""
    likeness = compare(now, known)
    problems = [
        found(
            "identity_other",
            field=name.upper(),
            now=str(getattr(now, name)),
            known=str(getattr(known, name)),
        )
        for name in likeness.strange
    ]
    if not check.request.restores and None not in (now.sw, known.sw) and now.sw != known.sw:
        problems.append(found("identity_other", field="SW", now=str(now.sw), known=str(known.sw)))
    problems += _not_of_the_file(known, check.request.papers)
    if problems:
        return failed_for(problems)
    if likeness.proven:
        by = next(name for name in OF_ONE_ECU if name in likeness.agreed)
        return passed("identity_by_one", field=by.upper(), value=str(getattr(now, by)))
    original = check.request.original
    if original is None:
        return failed("no_read_stored")
    return _by_memory(check, likeness, await _looked_at(check, original), known)


async def _looked_at(check: CarCheck, original: MemoryImage) -> Fingerprint:
    purpose = Purpose.RECOVER if check.job.car.application_dead else Purpose.READ
    request = check.request
    return await fingerprint(check.job, original, request.tuned, purpose, request.last_proven())


def _by_memory(check: CarCheck, likeness: Likeness, seen: Fingerprint, known: EcuIdentity) -> Judgement:
    """What memory says against it outweighs every word; for it, it needs one: it tells content, not a car."""
    outside, inside = seen.outside, seen.inside
    if outside.other:
        return failed("identity_memory_other", places=outside.other)
    if check.request.restores:
        evidence = bool(seen.own or seen.blank or likeness.agreed)
    else:
        whole = outside.compared == outside.own and (outside.own or inside.compared == inside.own)
        evidence = bool(whole and seen.own)
    if not evidence and seen.compared:
        return failed("identity_memory_strange", equal=seen.own, compared=seen.compared)
    if not evidence:
        return unknown("identity_nothing_told")
    if not check.job.car.confirmed:
        named = "the job's id" if known.vin is None else "the VIN read off this car"
        return unknown("identity_needs_name", equal=seen.own, compared=seen.compared, named=named)
    return passed(
        "identity_by_person", equal=seen.own, written=seen.written, compared=seen.compared, blank=seen.blank
    )
