"""What a master signs about a tuned file: the manifest, and the grant that releases its key to one box."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from appliance.contract.records import (
    EcuIdentity,
    FileId,
    Name,
    Place,
    Record,
    Region,
    Segment,
    Sha256,
    check_layout,
    gaps,
)
from appliance.contract.uses import Use

CHANGED_RANGES_MAX = 1024
SEALED_KEY_BYTES = 122
"""HPKE encapsulated key (32) + `AGE-SECRET-KEY-1…` (74) + Poly1305 tag (16)."""

UnixSeconds = Annotated[int, Field(ge=0, lt=1 << 40)]
SealedKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{163}$")]


class Verdict(StrEnum):
    """What the maker's checksum check said; `unknown` is not a pass."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


class GrantOp(StrEnum):
    """What a grant releases the plaintext for."""

    WRITE = "write"
    VERIFY = "verify"


class Manifest(Record):
    """A tuned file: for which box, job and ECU, made from what, changing what, sealed in which segments."""

    WITHOUT_MEMORIES: ClassVar[int] = 1

    v: Literal[2] = 2
    suite: Literal["age1-x25519"] = "age1-x25519"
    kind: Literal["tuned"] = "tuned"
    file_id: FileId
    job_id: Name
    device_id: Name
    definition: Name
    ecu: EcuIdentity
    method: Name
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    segments: Annotated[tuple[Segment, ...], Field(min_length=1)]
    base_sha256: Sha256
    """`records.content_sha256` of the original read this file was made from."""
    changed_ranges: Annotated[tuple[Place, ...], Field(max_length=CHANGED_RANGES_MAX)]
    """Outside of them the file equals the original read."""
    checksum: Annotated[Verdict, Field(strict=False)]
    use: Annotated[Use, Field(strict=False)]
    version: Annotated[int, Field(ge=1)]
    consents: tuple[Name, ...] = ()
    parent: FileId | None = None
    """`file_id` of the original."""
    iat: UnixSeconds

    @model_validator(mode="after")
    def _layout(self) -> Self:
        check_layout(self.regions, self.segments)
        if gaps(self.regions, self.segments):
            raise ValueError("the segments do not fill the regions")
        self._check_changed_ranges()
        return self

    def _check_changed_ranges(self) -> None:
        for place in self.changed_ranges:
            if not any(region.place.contains(place) for region in self.regions):
                raise ValueError(f"changed range {place} is not inside one region")
        for lower, upper in pairwise(self.changed_ranges):
            if lower > upper or lower.overlaps(upper):
                raise ValueError(f"changed ranges overlap or are not sorted at {upper}")


class GrantTerms(Record):
    """Everything a grant binds its key to; the HPKE `info` is computed over exactly what is stated."""

    v: Literal[1] = 1
    grant_id: FileId
    device_id: Name
    epoch: Annotated[int, Field(ge=0)]
    tier: Annotated[int, Field(ge=0, le=2)]
    job_id: Name
    file_id: FileId
    manifest_sha256: Sha256
    """SHA-256 of the manifest's compact JWS."""
    op: Annotated[GrantOp, Field(strict=False)]
    ecu: EcuIdentity
    nbf: UnixSeconds
    exp: UnixSeconds
    max_starts: Annotated[int, Field(ge=1, le=100)]


class Grant(GrantTerms):
    """The terms and, sealed to one box in one pairing epoch, the key that opens the tuned file."""

    sealed: SealedKey

    def terms(self) -> GrantTerms:
        """The grant without its sealed key."""
        return GrantTerms.model_validate(self.model_dump(exclude={"sealed"}))
