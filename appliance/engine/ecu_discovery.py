"""Finding the ECU: who answers over any protocol, and which definition fits what answers."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.phrases import phrase
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
    return EngineError("TWO_ECUS_AT_ONE_ID", problem=error.said)


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
        raise EngineError(
            "DEFINITION_AMBIGUOUS",
            identity=_told(answer.identity),
            count=len(fitting),
            fitting=tuple(fitting),
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
            return _nobody(box, ways, error.said)
        if told is not None:
            return _legislated(told)
    return _nobody(box, ways)


def _legislated(told: Legislated) -> PitboxError:
    pids = " ".join(f"{pid:02X}" for pid in told.pids)
    vin = _or_untold(told.vin)
    return EngineError(
        "ECU_UNKNOWN.legislated",
        protocol=told.spoken,
        key_bytes=str(told.key_bytes),
        vin=vin,
        points=(
            phrase("legislated.protocol", protocol=told.spoken),
            phrase("legislated.key_bytes", key_bytes=str(told.key_bytes)),
            phrase("legislated.vin", vin=vin),
            phrase("legislated.calibration", calibration=tuple(told.calid) or phrase("untold")),
            phrase("legislated.pids", pids=_or_untold(pids)),
        ),
    )


def _nobody(box: EngineContext, ways: int, *details: Phrase) -> PitboxError:
    """Silence, with the write that may be its cause."""
    for flash in box.journal.open_flashes():
        return EngineError("ECU_NOT_FOUND.open_write", ways=ways, job=flash.job_id, points=details)
    return EngineError("ECU_NOT_FOUND", ways=ways, points=details)


def in_bootloader(box: EngineContext, definition_id: str | None, identity: EcuIdentity) -> PitboxError:
    """The error for an ECU whose memory is no original, and whose identity is incomplete: no job reads it."""
    unfinished = unfinished_job(box.journal)
    numbers = _told(identity)
    if unfinished:
        return EngineError("ECU_IN_BOOTLOADER.open_write", identity=numbers, job=unfinished)
    return EngineError("ECU_IN_BOOTLOADER", identity=numbers, definition=definition_id or "ID")


def _told(identity: EcuIdentity) -> Phrase:
    return phrase("ecu.numbers", hw=_or_untold(identity.hw), sw=_or_untold(identity.sw))


def _or_untold(told: str | None) -> str | Phrase:
    return told or phrase("untold")


def _unknown(box: EngineContext, answer: Answer, definition_id: str | None) -> PitboxError:
    if answer.state is EcuState.BOOTLOADER:
        return in_bootloader(box, definition_id, answer.identity)
    numbers = _told(answer.identity)
    if definition_id:
        return EngineError("DEFINITION_MISMATCH", identity=numbers, definition=definition_id)
    return EngineError("ECU_UNKNOWN", identity=numbers)
