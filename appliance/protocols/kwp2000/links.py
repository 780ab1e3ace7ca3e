"""KWP2000 over the K-line of a box: opened, looked for, and given back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.access.kwp2000 import KwpAccessDefinition
from appliance.definitions.library import Way
from appliance.protocols.access import EcuAccess, EcuState, LinkLostError
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.session import KwpSession
from appliance.protocols.ports import CarInterface
from appliance.protocols.protection import Protection, ProtectionKind
from appliance.protocols.registry import Answer, KeptSession
from appliance.protocols.transforms import SecretNamed, none_supplied


def over_kwp(access: AccessDefinition) -> KwpAccessDefinition:
    """The access as the registry found it. Raises TypeError for one of another protocol."""
    if not isinstance(access, KwpAccessDefinition):
        raise TypeError(f"the access {access.name} is over {access.protocol}")
    return access


@asynccontextmanager
async def open_ecu(
    car: CarInterface, way: Way, secret: SecretNamed, *, kept: bool = False
) -> AsyncIterator[EcuAccess]:
    """The line open; the ECU is woken by the first that is asked of it. Raises PitboxError."""
    async with _opened(car, way, secret) as access:
        yield access


async def discover(car: CarInterface, ways: Sequence[Way], *, every: bool) -> tuple[Answer, ...]:
    """Who wakes up.

    Raises LinkLostError where nobody does and the line tells why, PitboxError, PORT_MISSING of a box without
    a K-line among them.
    """
    answers: list[Answer] = []
    alike: dict[tuple[object, ...], list[Way]] = {}
    trouble: LinkLostError | None = None
    for way in ways:
        how = over_kwp(way.access)
        alike.setdefault((how.line, how.times, how.identity), []).append(way)
    for group in alike.values():
        async with _opened(car, group[0]) as access:
            state = await access.lifecycle.state()
            trouble = access.identity.trouble or trouble
            if state is not EcuState.SILENT:
                nothing_seen = Protection(ProtectionKind.NONE)
                answers.append(Answer(tuple(group), await access.identity.identify(), nothing_seen, state))
    if not answers and trouble is not None and trouble.fault is not None:
        raise trouble
    return tuple(answers)


async def require_alone(car: CarInterface, access: AccessDefinition) -> None:
    """Two that wake at one address speak into each other, which their checksums show: nothing is asked."""


def keep(car: CarInterface, access: AccessDefinition) -> KeptSession | None:
    """None: tester present wants an answer, so the session ends by itself after P3max."""
    return None


@asynccontextmanager
async def _opened(
    car: CarInterface, way: Way, secret: SecretNamed = none_supplied
) -> AsyncIterator[KwpAccess]:
    line = car.kline()
    session = KwpSession(line, over_kwp(way.access), way.definition.id, secret)
    try:
        yield KwpAccess(session, way.definition, secret)
    finally:
        await session.leave()
        line.close()
