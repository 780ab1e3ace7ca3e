"""Finding the ECU: which bit rates and addresses answer, and which definition fits what answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from appliance.contract.errors import PitboxError
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.schema import Definition
from appliance.engine.car_interface import CarInterface
from appliance.engine.context import EngineContext
from appliance.engine.ecu import uds_client
from appliance.engine.entering import entered
from appliance.flashing.errors import access_problem
from appliance.flashing.set_aside import unfinished_job
from appliance.protocols.access import AccessError, EcuIdentity, EcuState, LinkLostError, told_identity
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import link_settings, physical_address
from appliance.protocols.uds.bitrate import detect_bitrate
from appliance.protocols.uds.discovery import DuplicateEcuError, require_single_ecu
from appliance.protocols.uds.protection import Protection, assess_protection
from drivers.can.interface import CanPort

log = logging.getLogger("pitbox.engine")


@dataclass(frozen=True, slots=True)
class Found:
    """The recognised ECU, and other answers on the same bus."""

    definition: Definition
    access: UdsAccessDefinition
    identity: EcuIdentity
    protection: Protection
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Way:
    """One access over UDS of one definition."""

    definition: Definition
    access: UdsAccessDefinition


@dataclass(frozen=True, slots=True)
class _Answer:
    signature: UdsAccessDefinition
    identity: EcuIdentity
    protection: Protection
    state: EcuState


async def find_ecu(box: EngineContext, definition_id: str | None) -> Found:
    """Ask at every bit rate and address that the library (or the named definition) knows."""
    asked = _ways([box.definition(definition_id)]) if definition_id else await _at_the_bus_rate(box)
    answers = await _answers(box, asked)
    if not answers:
        raise _nobody(box, len(_distinct(asked)))
    recognised = [(answer, fit) for answer in answers if (fit := _fit(box, answer, asked)) is not None]
    if not recognised:
        applications = [answer for answer in answers if answer.state is EcuState.APPLICATION]
        raise _unknown(box, (applications or answers)[0], definition_id)
    answer, way = recognised[0]
    if answer.state is EcuState.BOOTLOADER:
        raise in_bootloader(box, way.definition.id, answer.identity)
    return Found(
        way.definition,
        way.access,
        answer.identity,
        answer.protection,
        [f"{fit.definition.id}: {other.identity.hw}" for other, fit in recognised[1:]],
    )


def _ways(definitions: Iterable[Definition]) -> list[_Way]:
    return [
        _Way(definition, access)
        for definition in definitions
        for access in definition.accesses
        if isinstance(access, UdsAccessDefinition)
    ]


async def _at_the_bus_rate(box: EngineContext) -> list[_Way]:
    """Ways in at the rate of this bus: a frame sent at a wrong rate would disturb every other node.

    An ECU that has to be powered and strapped first is looked for by its name alone.
    """
    ways = [way for way in _ways(box.library) if not way.access.entry.steps]
    known = sorted({way.access.bus.bitrate_bps for way in ways}, reverse=True)
    rates = box.connection.usable_rates(known)
    found = await _detected(box.connection, rates) if len(rates) > 1 else next(iter(rates), None)
    return [way for way in ways if way.access.bus.bitrate_bps == found]


async def _detected(connection: CarInterface, rates_bps: tuple[int, ...]) -> int | None:
    async def open_port(bitrate_bps: int, listen_only: bool) -> CanPort:
        if listen_only:
            return connection.open_listener(bitrate_bps)
        return connection.open_port(bitrate_bps, None)

    found = await detect_bitrate(open_port, rates_bps)
    if found is None:  # a controller goes on sending what nobody acknowledged, until it may only listen
        connection.open_listener(rates_bps[0]).close()
    return found


async def _answers(box: EngineContext, asked: Sequence[_Way]) -> list[_Answer]:
    """A CAN FD frame is an error to classic nodes: it is sent only where nothing answers classic ones."""
    classic = [one for one in asked if one.access.bus.data_bitrate_bps is None]
    fd = [one for one in asked if one.access.bus.data_bitrate_bps is not None]
    if classic and fd and not box.connection.fd:
        fd = []
    for group in (classic, fd):
        answers = [answer for one in _distinct(group) if (answer := await _ask(box, one)) is not None]
        if answers:
            return answers
    return []


def _distinct(ways: Iterable[_Way]) -> list[_Way]:
    """One way per bit rate, address, set of identity fields and entry."""
    found: dict[tuple[object, ...], _Way] = {}
    for way in ways:
        found.setdefault((way.access.bus, way.access.addressing, way.access.identity, way.access.entry), way)
    return list(found.values())


async def _ask(box: EngineContext, way: _Way) -> _Answer | None:
    async with entered(box, way.access):
        return await _ask_on_wire(box, way)


async def _ask_on_wire(box: EngineContext, way: _Way) -> _Answer | None:
    how = way.access
    port = box.connection.open_port(how.bus.bitrate_bps, how.bus.data_bitrate_bps)
    try:
        await _refuse_two_at_one_address(box, how, port)
        async with uds_client(box, how, port) as client:
            access = UdsAccess(how, client, way.definition)
            state = await access.lifecycle.state()
            if state is EcuState.SILENT:
                return None
            return _Answer(how, await told_identity(access), await assess_protection(client), state)
    except LinkLostError:  # nobody acknowledges at this bit rate
        return None
    except AccessError as error:
        raise access_problem(error) from error
    finally:
        port.close()


async def refuse_two_ecus(box: EngineContext, access: UdsAccessDefinition) -> None:
    """Raises PitboxError TWO_ECUS_AT_ONE_ID; a bus that does not work is for the gates to tell.

    One that has to be brought in first has been asked so when it was identified: nothing answers here yet.
    """
    if access.entry.steps:
        return
    port = box.connection.open_port(access.bus.bitrate_bps, access.bus.data_bitrate_bps)
    try:
        await _refuse_two_at_one_address(box, access, port)
    except AccessError as error:
        log.info("whether one ECU answers was not found out: %s", error)
    finally:
        port.close()


async def _refuse_two_at_one_address(box: EngineContext, access: UdsAccessDefinition, port: CanPort) -> None:
    address = physical_address(access.addressing)
    link = box.connection.open_link(port, address, link_settings(access))
    try:
        await require_single_ecu(link, address)
    except DuplicateEcuError as error:
        raise PitboxError(
            "TWO_ECUS_AT_ONE_ID",
            str(error),
            do_now="Unplug one of the two (a bench ECU beside the car's?). Neither was written.",
        ) from error
    finally:
        link.close()


def _fit(box: EngineContext, answer: _Answer, asked: list[_Way]) -> _Way | None:
    names = {"hw": answer.identity.hw, "sw": answer.identity.sw, "boot": answer.identity.boot}
    by_name = {(way.definition.id, way.access.name): way for way in asked}
    for definition, access in box.library.recognise(names):
        way = by_name.get((definition.id, access.name))
        told_by = (answer.signature.addressing, answer.signature.identity)
        if way is not None and (way.access.addressing, way.access.identity) == told_by:
            return way
    return None


def _nobody(box: EngineContext, addresses: int) -> PitboxError:
    """Silence, with the write that may be its cause."""
    what = f"nothing answered at {addresses} known addresses"
    for flash in box.journal.open_flashes():
        return PitboxError(
            "ECU_NOT_FOUND",
            f"{what}, and the write of job {flash.job_id} is not finished",
            do_now=f"If this is that ECU: ignition on, then `pitbox recover --job {flash.job_id}`.",
        )
    return PitboxError(
        "ECU_NOT_FOUND",
        what,
        do_now="Ignition on, engine off, plug seated, supply above 12 V? Try again, or choose the bench. An "
        "ECU that has to be powered first is named: `pitbox identify --definition ID`.",
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


def _unknown(box: EngineContext, answer: _Answer, definition_id: str | None) -> PitboxError:
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
