"""Protocols by name: how each opens an ECU, looks for it, and keeps it in its session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from appliance.contract.errors import EngineError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.library import Way
from appliance.protocols.access import EcuAccess, EcuIdentity, EcuState
from appliance.protocols.ports import CarInterface
from appliance.protocols.protection import Protection
from appliance.protocols.transforms import SecretNamed


@dataclass(frozen=True, slots=True)
class Answer:
    """Whoever answered, and the ways that ask for it in just this way."""

    ways: tuple[Way, ...]
    identity: EcuIdentity
    protection: Protection
    state: EcuState


class KeptSession(Protocol):
    """A half-written ECU that is kept in its session between two operations."""

    async def release(self) -> None:
        """Hand over to whoever keeps the session from now on."""


class Opened(Protocol):
    """What opens an access."""

    def __call__(
        self, car: CarInterface, way: Way, secret: SecretNamed, *, kept: bool = False
    ) -> AbstractAsyncContextManager[EcuAccess]:
        """Ports joined, and given back at the end; `secret` gives what the ECU's owner supplied.

        `kept`: the ECU was kept in its session until now.

        Raises PitboxError for a port that is missing or an unlock that nobody provides.
        """


class Discovered(Protocol):
    """What looks for ECUs."""

    async def __call__(self, car: CarInterface, ways: Sequence[Way], *, every: bool) -> tuple[Answer, ...]:
        """Who answers to any of these ways; `every`: all known ones, not those a person named.

        Disturbs no other node. Raises AccessError, PitboxError.
        """


class RequiredAlone(Protocol):
    """What makes sure that one ECU alone answers."""

    async def __call__(self, car: CarInterface, access: AccessDefinition) -> None:
        """Raises DuplicateEcuError, AccessError, PitboxError."""


@dataclass(frozen=True, slots=True)
class Legislated:
    """What an engine controller tells to everybody who asks the questions of OBD-II."""

    spoken: str
    """Protocol and wake-up."""
    key_bytes: str
    vin: str | None
    pids: tuple[int, ...]
    """Parameters of mode 01 that it supports."""
    calid: tuple[str, ...] = ()


class Surveyed(Protocol):
    """What asks a car that no definition knows."""

    async def __call__(self, car: CarInterface) -> Legislated | None:
        """None where nobody answers. Raises AccessError, PitboxError."""


@dataclass(frozen=True, slots=True)
class ProtocolOffer:
    """All that the engine needs of a protocol."""

    open: Opened
    discover: Discovered
    require_alone: RequiredAlone
    keep: Callable[[CarInterface, AccessDefinition], KeptSession | None]
    """Keep an ECU in its session; None where nothing can. Raises PitboxError."""
    survey: Surveyed | None = None
    """None where a car without a definition is asked nothing over this protocol."""


_OFFERS: dict[str, ProtocolOffer] = {}


def register(protocol: str, offer: ProtocolOffer) -> None:
    """Make a protocol known. Raises ValueError for a name that is taken."""
    if _OFFERS.setdefault(protocol, offer) is not offer:
        raise ValueError(f"the protocol {protocol!r} is known already")


def offered() -> tuple[str, ...]:
    """Names of the protocols that this box can speak, sorted."""
    return tuple(sorted(_OFFERS))


def surveys() -> tuple[Surveyed, ...]:
    """What asks a car that no definition knows, protocol after protocol."""
    return tuple(one.survey for _, one in sorted(_OFFERS.items()) if one.survey is not None)


def offer_of(access: AccessDefinition) -> ProtocolOffer:
    """What opens an access. Raises PitboxError ACCESS_UNSUPPORTED."""
    try:
        return _OFFERS[access.protocol]
    except KeyError as error:
        raise EngineError("ACCESS_UNSUPPORTED", access=access.name, protocol=access.protocol) from error
