"""The shape of a definition file. Unknown keys are refused; every number's unit is in its key."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import rfc8785
from pydantic import (
    Field,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from appliance.definitions.access import parse_access
from appliance.definitions.access.base import AccessDefinition, MethodName, Misfit, regions_of
from appliance.definitions.access.block_order import order_misfits
from appliance.definitions.checksum import Checksum
from appliance.definitions.errors import not_simulated
from appliance.definitions.fields import Strict, admitting, refuse
from appliance.definitions.memory import Memories, Memory, Region
from appliance.definitions.plausible import Plausibility
from appliance.definitions.secrets import Secret
from appliance.definitions.simulation import Simulation

SCHEMA_VERSION = 2
AnyAccess = Annotated[SerializeAsAny[AccessDefinition], PlainValidator(parse_access)]
"""Shaped by its protocol's own file."""
_COMES_BACK = ("bootloader", "bench", "none")


class Evidence(Strict):
    """Where the facts of this definition come from, and what is assumed."""

    sources: tuple[str, ...] = Field(min_length=1)
    """Where each fact was read: keys of docs/sources.md, documents, own measurements."""
    assumptions: tuple[str, ...] = ()
    """What is assumed and was not seen."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which method to take for this ECU, and why."""

    method: MethodName
    reason: str


class Definition(Strict):
    """One ECU."""

    schema_version: Literal[2]
    """Version of this schema; files of version 1 are read too."""
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{2,60}$")
    """Name by which jobs and commands call the definition; never used twice."""
    name: str = Field(min_length=1)
    """What people call the ECU."""
    kind: Literal["engine", "gearbox"]
    """What it controls."""
    maker: str
    """Who made the ECU."""
    cpu: str
    """Processor and flash, in words."""
    evidence: Evidence
    """Where the facts come from."""
    memories: Memories
    """Every memory of the ECU, each an address space of its own."""
    accesses: tuple[AnyAccess, ...] = Field(alias="access", max_length=16)
    """Every way in."""
    checksums: tuple[Checksum, ...] = Field(default=(), max_length=64)
    """Judged and corrected in this order."""
    secrets: tuple[Secret, ...] = Field(default=(), max_length=16)
    """What only the owner has. Named here, never kept here."""
    plausibility: Plausibility = Plausibility()
    """How far a tuned file may be from the read it was made from."""
    simulation: Simulation | None = None
    """How the simulated ECU behaves; not needed for real ones."""

    @field_validator("accesses")
    @classmethod
    def _fit_the_memories(
        cls, accesses: tuple[AccessDefinition, ...], info: ValidationInfo
    ) -> tuple[AccessDefinition, ...]:
        refuse(() if accesses else ["there is no access"])
        names = Counter(access.name for access in accesses)
        refuse(f"the name {name!r} is used {n} times" for name, n in names.items() if n > 1)
        if memories := info.data.get("memories"):
            _refuse_at(
                ((index, *path), reason)
                for index, access in enumerate(accesses)
                for path, reason in _access_misfits(access, memories)
            )
        return accesses

    @field_validator("checksums")
    @classmethod
    def _checksums_fit(cls, checksums: tuple[Checksum, ...], info: ValidationInfo) -> tuple[Checksum, ...]:
        if memories := info.data.get("memories"):
            regions = {region.name: region for region in regions_of(memories)}
            _refuse_at(_misfits(checksums, regions, info.data.get("accesses", ())))
        return checksums

    @model_validator(mode="after")
    def _proven_where_it_can_be(self) -> Definition:
        claims = [access.name for access in self.accesses if access.evidence == "simulated"]
        if claims and self.simulation is None:
            refuse([f"access {claims[0]!r} says 'simulated', and there is no [simulation] table"])
        return self

    @model_validator(mode="after")
    def _secrets_known(self) -> Definition:
        named = Counter(secret.name for secret in self.secrets)
        refuse(f"the secret {name!r} is named {n} times" for name, n in named.items() if n > 1)
        wanted = {name for access in self.accesses for name in access.secret_names}
        refuse(f"no [[secrets]] is called {name!r}" for name in sorted(wanted - set(named)))
        refuse(f"the secret {name!r} is used by no access" for name in sorted(set(named) - wanted))
        refuse(self._wrong_roles())
        for secret in self.secrets:
            refuse(self._wrong_lengths(secret))
            refuse(self._wrong_invention(secret))
        if self.simulation is not None:
            missing = set(named) ^ set(self.simulation.secrets)
            refuse(f"[[secrets]] and [simulation.secrets] differ in {name!r}" for name in sorted(missing))
        return self

    def _wrong_roles(self) -> Iterator[str]:
        unlocking = {name for access in self.accesses for name in access.unlock_secrets}
        for secret in self.secrets:
            if (secret.name in unlocking) != (secret.role == "unlock"):
                yield f"the secret {secret.name!r} has role = 'unlock' if it answers a seed, and only then"

    def _wrong_invention(self, secret: Secret) -> Iterator[str]:
        invented = self.simulation.secrets.get(secret.name) if self.simulation else None
        if invented is not None and not secret.least_bytes <= len(invented) // 2 <= secret.most_bytes:
            yield f"[simulation.secrets] {secret.name!r} is not as long as the secret may be"

    def _wrong_lengths(self, secret: Secret) -> Iterator[str]:
        for access in self.accesses:
            possible = access.secret_bytes.get(secret.name)
            lengths = secret.least_bytes, secret.most_bytes
            if possible and (lengths[0] != lengths[1] or lengths[0] not in possible):
                told = " or ".join(map(str, possible))
                yield f"the secret {secret.name!r} has least_bytes = most_bytes = {told}"

    @property
    def regions(self) -> tuple[Region, ...]:
        """Every region of every memory."""
        return regions_of(self.memories)

    def open_secrets(self) -> Iterator[str]:
        """Why it gives away what unlocks a real ECU, which is its owner's: a definition is handed around."""
        if self.simulation is not None:
            return
        for access in self.accesses:
            for key, level in access.security_levels.items():
                if level.inline:
                    yield (
                        f"access {access.name!r}: {level.inline} stands in {key}, and this ECU has no "
                        "[simulation]: set secret to a name, and give that a [[secrets]] table"
                    )

    @property
    def twin(self) -> Simulation:
        """How the simulated ECU behaves. Raises DefinitionError for a definition of real ECUs alone."""
        if self.simulation is None:
            raise not_simulated(self.id)
        return self.simulation

    @property
    def best_access(self) -> AccessDefinition:
        """The one to take where nobody says which: what comes back by itself, then the first listed."""
        return min(self.accesses, key=lambda one: _COMES_BACK.index(one.recovery.recoverability))

    @property
    def recommended(self) -> Recommendation:
        """Which method to take, and why."""
        best = self.best_access
        return Recommendation(best.prefer or best.method, best.reason)

    def region(self, name: str) -> Region:
        """The region of that name. Raises KeyError."""
        for region in self.regions:
            if region.name == name:
                return region
        raise KeyError(name)

    def access_named(self, name: str) -> AccessDefinition:
        """The access of that name. Raises KeyError."""
        for access in self.accesses:
            if access.name == name:
                return access
        raise KeyError(name)

    def canonical(self) -> bytes:
        """The canonical JSON (RFC 8785) with every default filled in."""
        return rfc8785.dumps(self.model_dump(mode="json", by_alias=True))

    def digest(self) -> str:
        """SHA-256, in hex, of the canonical form; jobs pin it."""
        return hashlib.sha256(self.canonical()).hexdigest()


def _access_misfits(access: AccessDefinition, memories: Sequence[Memory]) -> Iterator[Misfit]:
    for name in sorted(set(access.memories) - {memory.name for memory in memories}):
        yield ("memories",), f"no memory is called {name!r}"
    reached = access.reached(memories)
    yield from order_misfits(access.recovery, regions_of(reached))
    yield from access.misfits(reached)


def _misfits(
    checksums: Iterable[Checksum], regions: dict[str, Region], accesses: Iterable[AccessDefinition]
) -> Iterator[Misfit]:
    for index, checksum in enumerate(checksums):
        region = regions.get(checksum.region)
        if region is None or checksum.memory not in (None, region.memory):
            where = f" in memory {checksum.memory!r}" if checksum.memory else ""
            yield (index,), f"no region is called {checksum.region!r}{where}"
            continue
        for reason in checksum.misfits(region):
            yield (index,), reason
        for access in accesses:
            for reason in access.blind_to(checksum.module):
                yield (index,), reason


def _refuse_at(problems: Iterable[Misfit]) -> None:
    """Raises ValidationError that names every problem at its own key, of a definition that comes in."""
    if not admitting():
        return
    found: dict[tuple[int | str, ...], list[str]] = {}
    for path, reason in problems:
        found.setdefault(path, []).append(reason)
    details = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{error}", {"error": "; ".join(reasons)}),
            loc=path,
            input=None,
        )
        for path, reasons in found.items()
    ]
    if details:
        raise ValidationError.from_exception_data("definition", details)
