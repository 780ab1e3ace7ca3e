"""Sealed images: a JSON record per file read, tuned or rescued, over segments in the blob store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.contract.places import Range, Start
from appliance.contract.records import (
    EcuIdentity,
    FileId,
    Name,
    Record,
    Region,
    Segment,
    Sha256,
    check_layout,
    gaps,
)
from appliance.vault import durable
from appliance.vault.authentic import NewerRecordError, opened_record, sealed_record
from appliance.vault.contents import assemble, sha256_hex
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from appliance.vault.store import BlobStore

RECORD_MAX_BYTES = 16 * 1024 * 1024
"""Thousands of regions have as many segments: what was sealed must be read back."""
VERSION: Final = 4
"""1: without the job and the definition's digest. 2: without the serial number's keyed hash.
3: without memories, a start and a size alone."""
_NAME = "image"
_SUFFIX = ".json"


class ImageKind(StrEnum):
    """Where an image came from."""

    ORIGINAL = "original"
    """Read from the ECU twice and proven equal: what a restore writes back."""
    TUNED = "tuned"
    RESCUE = "rescue"
    """Whatever could be read from an ECU in trouble."""


class SealedImage(Record):
    """What the box knows of one stored file; its bytes are in the blob store."""

    WITHOUT_MEMORIES: ClassVar[int] = 3

    v: Literal[4] = VERSION
    file_id: FileId
    kind: Annotated[ImageKind, Field(strict=False)]
    definition: Name
    identity: EcuIdentity
    method: Name
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    segments: tuple[Segment, ...]
    parent: FileId | None = None
    job: Name | None = None
    """The job it was read or sealed for."""
    definition_sha256: Sha256 | None = None
    """The very version of the definition it was read with."""
    serial_hmac: Sha256 | None = None
    """The box's keyed hash of the ECU's serial number, which its bootloader may tell too."""

    @model_validator(mode="after")
    def _layout(self) -> Self:
        check_layout(self.regions, self.segments)
        return self

    @property
    def memories(self) -> frozenset[str]:
        """Names of the memories that it holds something of."""
        return frozenset(region.place.memory for region in self.regions)

    def missing(self) -> tuple[Range, ...]:
        """The ranges that are not sealed yet; empty when the image is complete."""
        return gaps(self.regions, self.segments)


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of an image that cannot be had from any place."""

    place: Range
    why: Phrase


@dataclass(frozen=True, slots=True)
class Salvage:
    """An image as far as it is whole: runs of bytes by where they begin, and the ranges between them."""

    contents: dict[Start, bytearray] = field(repr=False)
    damaged: tuple[Damage, ...]


class ImageStore:
    """`<state>/images/<file_id>.json` next to the blob store, each with the box's own keyed hash over it.

    age does not say who sealed a file. The hash keeps someone with access to the disk, but not to the keys,
    from handing a restore another image.
    """

    def __init__(self, state: Path, keys: KeyRing, blobs: BlobStore, second: Path | None = None) -> None:
        """`second` is a directory laid out like `state`. `VaultError` when the folder cannot be made."""
        self._root = state / "images"
        self._second = None if second is None else second / "images"
        self._keys = keys
        self._blobs = blobs
        self.saved: Callable[[str], None] = lambda file_id: None
        """Called with the id of a file whose record was stored, by whoever looks after them."""
        durable.make_directory(self._root)

    def save(self, image: SealedImage) -> None:
        """Store or replace the record of `image`; it survives a power cut once this returns."""
        stored = sealed_record(_NAME, image.canonical(), self._keys.record_mac)
        durable.write_atomic(_path(self._root, image.file_id), stored)
        self.saved(image.file_id)

    def load(self, file_id: str) -> SealedImage:
        """The record of `file_id`, from the first place that has it whole.

        VAULT_IMAGE_MISSING, VAULT_IMAGE_DAMAGED when a byte of it changed, VAULT_IMAGE_NEWER.
        """
        try:
            return self._load(self._root, file_id)[0]
        except VaultError:
            if self._second is None:
                raise
            try:
                return self._load(self._second, file_id)[0]
            except VaultError:
                pass
            raise

    def mend(self, file_id: str) -> tuple[VaultError, ...]:
        """Have both places hold the record, the one that lacks it from the other; what is left wrong."""
        places = [self._root]
        if self._second is not None and self._second.parent.is_dir():
            places.append(self._second)
        wrong: list[tuple[Path, VaultError]] = []
        whole: bytes | None = None
        for place in places:
            try:
                whole = self._load(place, file_id)[1]
            except VaultError as error:
                wrong.append((place, error))
        if whole is None:
            return tuple(error for _, error in wrong)
        return tuple(left for place, _ in wrong if (left := self._copied(place, file_id, whole)) is not None)

    def is_whole(self, segment: Segment) -> bool:
        """Whether some place holds the segment as it was sealed, by what the disk itself gives now."""
        return self._blobs.is_whole(segment)

    def reseal(self, file_id: str, segment: Segment, content: bytes) -> None:
        """Seal a damaged segment's bytes anew, in both places; they survive a power cut once this returns.

        `ValueError` for other bytes than those that were sealed, by their hash. Raises VaultError.
        """
        if sha256_hex(content) != segment.pt_sha256:
            raise ValueError(f"that is not what was sealed for {segment.place}")
        image, again = self.load(file_id), self._blobs.put(content, segment.place.at)
        segments = tuple(again if one.place == segment.place else one for one in image.segments)
        self.save(image.model_copy(update={"segments": segments}))
        if self._second is not None and self._second.parent.is_dir():
            self._blobs.mend(again)
            self._copied(self._second, file_id, self._load(self._root, file_id)[1])

    def _load(self, root: Path, file_id: str) -> tuple[SealedImage, bytes]:
        """The record in one place, and its bytes. Raises VaultError."""
        data = durable.read(_path(root, file_id), RECORD_MAX_BYTES)
        if data is None:
            raise VaultError("VAULT_IMAGE_MISSING", file=file_id)
        try:
            return self._checked(data, file_id), data
        except NewerRecordError as error:
            raise VaultError("VAULT_IMAGE_NEWER", file=file_id, why=error.said) from error
        except ValueError as error:
            raise VaultError("VAULT_IMAGE_DAMAGED", file=file_id, technical_text=str(error)) from error

    def _copied(self, root: Path, file_id: str, data: bytes) -> VaultError | None:
        try:
            durable.make_directory(root)
            durable.write_atomic(_path(root, file_id), data)
            self._load(root, file_id)
        except VaultError as error:
            return error
        return None

    def file_ids(self) -> tuple[str, ...]:
        """Ids of all stored files in either place, sorted."""
        places = [self._root] if self._second is None else [self._root, self._second]
        return tuple(sorted({path.stem for place in places for path in place.glob(f"*{_SUFFIX}")}))

    def read_plaintext(self, image: SealedImage) -> dict[Start, bytearray]:
        """The image's bytes by where a region begins, in memory only; `wipe` them after use.

        VAULT_IMAGE_INCOMPLETE when a part was never read: bytes are not invented. Else what `BlobStore.get`
        raises.
        """
        missing = image.missing()
        if missing:
            raise VaultError(
                "VAULT_IMAGE_INCOMPLETE",
                file=image.file_id,
                points=tuple(phrase("image.part_missing", place=str(place)) for place in missing),
            )
        return assemble(image.regions, image.segments, self._blobs.get)

    def salvage(self, image: SealedImage) -> Salvage:
        """Everything of the image that is whole, and exactly what is not. `wipe` the contents after use."""
        contents: dict[Start, bytearray] = {}
        run, behind = bytearray(), None
        damaged = [Damage(place, phrase("image.never_read")) for place in image.missing()]
        for segment in sorted(image.segments, key=lambda one: one.place):
            try:
                data = self._blobs.get(segment)
            except VaultError as error:
                damaged.append(Damage(segment.place, error.said))
                continue
            if segment.place.at != behind:
                run = contents[segment.place.at] = bytearray()
            run += data
            behind = (segment.place.memory, segment.place.end)
        return Salvage(contents, tuple(sorted(damaged, key=lambda one: one.place)))

    def remove_temporaries(self) -> int:
        """Delete what a power cut left half-written; how many files. Call once at start."""
        return durable.remove_temporaries(self._root)

    def _checked(self, data: bytes, file_id: str) -> SealedImage:
        body = opened_record(_NAME, data, self._keys.record_mac, VERSION)
        image = SealedImage.read(body)
        if image.file_id != file_id:
            raise ValueError(f"it describes {image.file_id}")
        return image


def _path(root: Path, file_id: str) -> Path:
    return root / f"{Path(file_id).name}{_SUFFIX}"
