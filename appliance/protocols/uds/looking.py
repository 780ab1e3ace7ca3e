"""Looks for ECUs over UDS: at which bit rate, at which addresses, and what stands before them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.library import Way
from appliance.protocols.access import EcuState, LinkLostError, told_identity
from appliance.protocols.ports import CarInterface
from appliance.protocols.registry import Answer
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.bitrate import detect_bitrate
from appliance.protocols.uds.links import joined, over_uds, require_alone_on, uds_client
from appliance.protocols.uds.protection import assess_protection
from drivers.can.interface import CanPort


async def discover(car: CarInterface, ways: Sequence[Way], *, every: bool) -> tuple[Answer, ...]:
    """Who answers. Raises DuplicateEcuError and other AccessErrors, PitboxError.

    A CAN FD frame is an error to classic nodes: it is sent only where nothing answers classic ones.
    """
    asked = await _at_the_bus_rate(car, ways) if every else list(ways)
    classic = [way for way in asked if over_uds(way.access).bus.data_bitrate_bps is None]
    fd = [way for way in asked if over_uds(way.access).bus.data_bitrate_bps is not None]
    if classic and fd and not car.fd:
        fd = []
    for group in (classic, fd):
        answers = [answer for alike in _alike(group) if (answer := await _ask(car, alike)) is not None]
        if answers:
            return tuple(answers)
    return ()


async def _at_the_bus_rate(car: CarInterface, ways: Sequence[Way]) -> list[Way]:
    """Ways in at the rate of this bus: a frame sent at a wrong rate would disturb every other node."""
    known = sorted({over_uds(way.access).bus.bitrate_bps for way in ways}, reverse=True)
    rates = car.usable_rates(known)
    found = await _detected(car, rates) if len(rates) > 1 else next(iter(rates), None)
    return [way for way in ways if over_uds(way.access).bus.bitrate_bps == found]


async def _detected(car: CarInterface, rates_bps: tuple[int, ...]) -> int | None:
    async def open_port(bitrate_bps: int, listen_only: bool) -> CanPort:
        return car.open_listener(bitrate_bps) if listen_only else car.open_port(bitrate_bps, None)

    found = await detect_bitrate(open_port, rates_bps)
    if found is None:  # a controller goes on sending what nobody acknowledged, until it may only listen
        car.open_listener(rates_bps[0]).close()
    return found


def _alike(ways: Iterable[Way]) -> list[tuple[Way, ...]]:
    """Ways with one bit rate, one address and one set of identity fields: they are asked as one."""
    found: dict[tuple[object, ...], list[Way]] = {}
    for way in ways:
        access: UdsAccessDefinition = over_uds(way.access)
        asked = (access.bus, access.addressing, access.identity, access.steps.identify)
        found.setdefault(asked, []).append(way)
    return [tuple(alike) for alike in found.values()]


async def _ask(car: CarInterface, ways: tuple[Way, ...]) -> Answer | None:
    access = over_uds(ways[0].access)
    with joined(car, access) as port:
        try:
            await require_alone_on(car, access, port)
            async with uds_client(car, access, port) as client:
                opened = UdsAccess(access, client, ways[0].definition, port=port)
                state = await opened.lifecycle.state()
                if state is EcuState.SILENT:
                    return None
                identity = await told_identity(opened)
                return Answer(ways, identity, await assess_protection(client), state)
        except LinkLostError:  # nobody acknowledges at this bit rate
            return None
