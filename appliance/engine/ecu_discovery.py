"""Finding the ECU: who answers over any protocol, and which definition fits what answers."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from appliance.contract.errors import PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.choreography import Choreography
from appliance.definitions.library import Way
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.entering import entered
from appliance.engine.job_access import unknown_access
from appliance.flashing.errors import access_problem
from appliance.flashing.set_aside import unfinished_job
from appliance.protocols.access import (
    AccessError,
    DuplicateEcuError,
    EcuIdentity,
    EcuState,
    LineFault,
    LinkLostError,
)
from appliance.protocols.port_missing import PortMissingError
from appliance.protocols.protection import Protection
from appliance.protocols.registry import Answer, Legislated, offer_of, offered, surveys

log = logging.getLogger("pitbox.engine")


@dataclass(frozen=True, slots=True)
class Found:
    """The recognised ECU, and other answers on the same wire."""

    definition: Definition
    access: AccessDefinition
    identity: EcuIdentity
    protection: Protection
    others: list[str] = field(default_factory=list)


async def find_ecu(box: EngineContext, definition_id: str | None, access: str | None = None) -> Found:
    """Ask in every way that the library (or the named definition) knows, protocol after protocol.

    `access` is the one access of the named definition to ask over. Raises PitboxError.
    """
    asked = _ways([box.definition(definition_id)] if definition_id else box.library)
    asked = _over(asked, box.definition(definition_id), access) if definition_id and access else asked
    answers = await _answers(box, asked, every=definition_id is None)
    if not answers:
        raise await _without_definition(box, len(asked), named=definition_id is not None)
    named = definition_id is not None
    recognised = [(answer, fit) for answer in answers if (fit := _fit(box, answer, named)) is not None]
    if not recognised:
        applications = [answer for answer in answers if answer.state is EcuState.APPLICATION]
        raise _unknown(box, (applications or answers)[0], definition_id)
    answer, way = recognised[0]
    if answer.state is EcuState.BOOTLOADER:
        raise in_bootloader(box, way.definition.id, answer.identity)
    if not named:
        _refuse_rivals(box, answer, way)
    return Found(
        way.definition,
        way.access,
        answer.identity,
        answer.protection,
        [f"{fit.definition.id}: {other.identity.hw}" for other, fit in recognised[1:]],
    )


def _ways(definitions: Iterable[Definition]) -> list[Way]:
    """Every access that this box can speak."""
    known = offered()
    return [
        Way(definition, access)
        for definition in definitions
        for access in definition.accesses
        if access.protocol in known
    ]


def _over(ways: list[Way], definition: Definition, access: str) -> list[Way]:
    """Those over the named access. Raises PitboxError."""
    named = [way for way in ways if way.access.name == access]
    if not named:
        raise unknown_access(definition, access)
    return named


async def _answers(box: EngineContext, asked: Sequence[Way], *, every: bool) -> tuple[Answer, ...]:
    """The first protocol that anybody answers to.

    An ECU that has to be powered and strapped first, or tells nothing of itself, is looked for by its
    name alone; by that of its access too, where it may as well be in its car. A port that this box has not
    got, and a line that says what is wrong with it, are told where no other way answers: of a named ECU
    always, of all known ones where none of them could be asked.
    """
    alike: defaultdict[tuple[str, Choreography], list[Way]] = defaultdict(list)
    unpowered = [way for way in asked if not way.access.entry.steps]
    for way in unpowered if every else unpowered or asked:
        if not every or way.access.recognition.given():
            alike[way.access.protocol, way.access.choreography].append(way)
    missing: list[PitboxError] = []
    for ways in alike.values():
        try:
            async with entered(box, ways[0].access):
                answers = await offer_of(ways[0].access).discover(box.connection, ways, every=every)
        except PortMissingError as error:
            missing.append(error)
            continue
        except DuplicateEcuError as error:
            raise _two_ecus(error) from error
        except AccessError as error:
            missing += _told_by_the_line(error, ways, every=every)
            continue
        if answers:
            return answers
    if missing and (not every or len(missing) == len(alike)):
        raise missing[0]
    return ()


def _told_by_the_line(error: AccessError, ways: Sequence[Way], *, every: bool) -> list[PitboxError]:
    """What is told where no other way answers; whoever speaks something else may be asked by OBD-II.

    Raises PitboxError where the search ends.
    """
    problem = access_problem(error, *(way.access for way in ways))
    if not isinstance(error, LinkLostError) or error.fault is None:
        raise problem from error
    return [] if every and error.fault is LineFault.OTHER_PROTOCOL else [problem]


async def refuse_two_ecus(box: EngineContext, access: AccessDefinition) -> None:
    """Raises PitboxError TWO_ECUS_AT_ONE_ID; a bus that does not work is for the gates to tell.

    One that has to be brought in first has been asked so when it was identified: nothing answers here yet.
    """
    if access.entry.steps:
        return
    try:
        await offer_of(access).require_alone(box.connection, access)
    except DuplicateEcuError as error:
        raise _two_ecus(error) from error
    except AccessError as error:
        log.info("whether one ECU answers was not found out: %s", error)


def _two_ecus(error: DuplicateEcuError) -> PitboxError:
    return PitboxError(
        "TWO_ECUS_AT_ONE_ID",
        str(error),
        do_now="Unplug one of the two (a bench ECU beside the car's?). Neither was written.",
    )


def _fit(box: EngineContext, answer: Answer, named: bool) -> Way | None:
    """By what it tells; where its access has nothing to tell it by, by the name that a person gave."""
    by_name = {(way.definition.id, way.access.name): way for way in answer.ways}
    recognised = box.library.recognise(_names(answer))
    fitting = (by_name.get((one.id, access.name)) for one, access in recognised)
    by_name_alone = (way for way in answer.ways if named and not way.access.recognition.given())
    return next((way for way in (*fitting, *by_name_alone) if way is not None), None)


def _names(answer: Answer) -> dict[str, str | None]:
    return {name: getattr(answer.identity, name) for name in ("hw", "sw", "boot", "chip_id")}


def _refuse_rivals(box: EngineContext, answer: Answer, way: Way) -> None:
    """Raises PitboxError DEFINITION_AMBIGUOUS: the wrong memory map would brick the ECU."""
    asked = {one.definition.id for one in answer.ways}
    rivals = {one.definition.id for one in box.library.rivals(way, _names(answer))} & asked
    if rivals:
        fitting = sorted({way.definition.id, *rivals})
        raise PitboxError(
            "DEFINITION_AMBIGUOUS",
            f"an ECU answers ({_told(answer.identity)}), and {len(fitting)} definitions fit it equally well: "
            f"{', '.join(fitting)}",
            do_now="Name the right one, if you know it: `pitbox identify --definition ID`. Else make the "
            "patterns of one of them more exact, or take it out.",
        )


async def _without_definition(box: EngineContext, ways: int, *, named: bool) -> PitboxError:
    """What a car tells that no definition knows; silence, where it tells nothing or one ECU was meant."""
    for ask in () if named else surveys():
        try:
            told = await ask(box.connection)
        except PortMissingError:
            continue
        except AccessError as error:
            woke = isinstance(error, LinkLostError) and error.fault is LineFault.OTHER_PROTOCOL
            if woke or not ways:
                return access_problem(error)
            return _nobody(box, ways, str(error))
        if told is not None:
            return _legislated(told)
    return _nobody(box, ways)


def _legislated(told: Legislated) -> PitboxError:
    pids = " ".join(f"{pid:02X}" for pid in told.pids)
    return PitboxError(
        "ECU_UNKNOWN",
        f"a car answers by OBD-II ({told.spoken}, key bytes {told.key_bytes}; "
        f"VIN {told.vin or 'not told'}), and no definition fits it",
        do_now="Look for a definition pack that knows its ECU; do not force another one.",
        details=(
            f"protocol: {told.spoken}",
            f"key bytes: {told.key_bytes}",
            f"VIN: {told.vin or 'not told'}",
            f"calibration: {', '.join(told.calid) or 'not told'}",
            f"supported PIDs: {pids or 'not told'}",
        ),
    )


def _nobody(box: EngineContext, ways: int, *details: str) -> PitboxError:
    """Silence, with the write that may be its cause."""
    what = f"nothing answered in any of {ways} known ways"
    for flash in box.journal.open_flashes():
        return PitboxError(
            "ECU_NOT_FOUND",
            f"{what}, and the write of job {flash.job_id} is not finished",
            do_now=f"If this is that ECU: ignition on, then `pitbox recover --job {flash.job_id}`.",
            details=details,
        )
    return PitboxError(
        "ECU_NOT_FOUND",
        what,
        do_now="Ignition on, engine off, plug seated, supply above 12 V? Try again, or choose the bench. An "
        "ECU that has to be powered first is named: `pitbox identify --definition ID`, on a bench with "
        "`--access bench`. On a K-line: are K and L (pins 7 and 15) swapped?",
        details=details,
    )


def in_bootloader(box: EngineContext, definition_id: str | None, identity: EcuIdentity) -> PitboxError:
    """The error for an ECU whose memory is no original, and whose identity is incomplete: no job reads it."""
    unfinished = unfinished_job(box.journal)
    return PitboxError(
        "ECU_IN_BOOTLOADER",
        f"only the bootloader answers ({_told(identity)}): the application is missing or incomplete",
        do_now=f"Keep it powered, then `pitbox recover --job {unfinished}`."
        if unfinished
        else "Keep it powered. If this box read it once, `pitbox recover --definition "
        f"{definition_id or 'ID'}` puts the sealed original back; else the bench.",
    )


def _told(identity: EcuIdentity) -> str:
    return f"HW {identity.hw or 'not told'}, SW {identity.sw or 'not told'}"


def _unknown(box: EngineContext, answer: Answer, definition_id: str | None) -> PitboxError:
    if answer.state is EcuState.BOOTLOADER:
        return in_bootloader(box, definition_id, answer.identity)
    told = _told(answer.identity)
    return PitboxError(
        "DEFINITION_MISMATCH" if definition_id else "ECU_UNKNOWN",
        f"an ECU answers ({told}), but {definition_id or 'no definition'} does not fit it"
        if definition_id
        else f"an ECU answers ({told}), and no definition fits it",
        do_now="Look for a definition pack that knows it; do not force another one.",
    )
