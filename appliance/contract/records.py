"""What a stored or signed file says about itself: identity, regions, segments, and how they must fit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Annotated, ClassVar, Self

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator
from pydantic.dataclasses import dataclass

from appliance.contract.places import FLASH, Range

SEGMENT_MAX_BYTES = 256 * 1024
SEAL_OVERHEAD_MAX_BYTES = 4096
"""Room for an age header with a few recipients, its random grease stanza and the chunk tags."""
IMAGE_MAX_BYTES = 32 * 1024 * 1024
ADDRESS_SPACE = 1 << 32
_NAME_MAX = 128

_STRICT = ConfigDict(extra="forbid", strict=True)


def _is_uuid(text: str) -> str:
    if str(uuid.UUID(text)) != text:
        raise ValueError("not a UUID in lower case with dashes")
    return text


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileId = Annotated[str, AfterValidator(_is_uuid)]
Name = Annotated[str, Field(min_length=1, max_length=_NAME_MAX)]


def _place(value: object) -> Range:
    """A range that lies in an address space of 32 bits."""
    if isinstance(value, Mapping):
        value = Range.from_json(value)
    if not isinstance(value, Range):
        raise ValueError("not a memory, a start and a length")
    if not 0 < len(value.memory) <= _NAME_MAX:
        raise ValueError("a memory has a name of 1 to 128 characters")
    if value.start < 0 or value.length < 1 or value.end > ADDRESS_SPACE:
        raise ValueError(f"{value} is empty, or not in an address space of 32 bits")
    return value


def _of_a_region(place: Range) -> Range:
    if place.length > IMAGE_MAX_BYTES:
        raise ValueError(f"{place} is longer than {IMAGE_MAX_BYTES} bytes")
    return place


def _of_a_segment(place: Range) -> Range:
    if place.length > SEGMENT_MAX_BYTES:
        raise ValueError(f"{place} is longer than {SEGMENT_MAX_BYTES} bytes")
    return place


Place = Annotated[Range, PlainValidator(_place), PlainSerializer(asdict)]


class Record(BaseModel):
    """A frozen JSON record that refuses unknown fields and wrong types."""

    model_config = ConfigDict(**_STRICT, frozen=True)
    WITHOUT_MEMORIES: ClassVar[int] = 0
    """Up to this version (`v`) the record named no memory: its ECU had one."""

    @classmethod
    def read(cls, stated: bytes) -> Self:
        """From its JSON in this version's form, or in an earlier one's. Raises ValueError."""
        value = json.loads(stated)
        version = value.get("v") if isinstance(value, dict) else None
        if type(version) is not int or not 0 < version <= cls.WITHOUT_MEMORIES:
            return cls.model_validate_json(stated)
        return cls.model_validate_json(json.dumps(_with_memories(value) | {"v": cls.WITHOUT_MEMORIES + 1}))

    def canonical(self) -> bytes:
        """The record as RFC 8785 canonical JSON, the form that is signed and hashed."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def stated(self) -> dict[str, object]:
        """The keys its writer stated, in JSON's types, without those that this build would add by default."""
        return self.model_dump(mode="json", exclude_unset=True)


class EcuIdentity(Record):
    """Which ECU a file belongs to; `vin_hmac` is the box's keyed hash of the VIN (`KeyRing.vin_hmac`)."""

    hw: Name
    sw: Name
    boot: Name | None = None
    vin_hmac: Sha256 | None = None


class Region(Record):
    """A named range of an ECU's memory."""

    name: Name
    place: Annotated[Place, AfterValidator(_of_a_region)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Segment:
    """One sealed object: where its plaintext belongs and the hashes and lengths (bytes) of both forms."""

    place: Annotated[Place, AfterValidator(_of_a_segment)]
    pt_sha256: Sha256
    ct_sha256: Sha256
    ct_len: Annotated[int, Field(ge=1, le=SEGMENT_MAX_BYTES + SEAL_OVERHEAD_MAX_BYTES)]


def placed(stated: object, start: str, length: str) -> object:
    """What named its place by a start and a length under these keys, in the one memory its ECU had.

    None, which no record allows there, for anything else: two forms are not mixed.
    """
    if not isinstance(stated, dict) or "place" in stated or not {start, length} <= stated.keys():
        return None
    rest = {key: value for key, value in stated.items() if key not in (start, length)}
    return rest | {"place": {"memory": FLASH, "start": stated[start], "length": stated[length]}}


def _with_memories(stated: dict[str, object]) -> dict[str, object]:
    """A record in the form that named no memory, as it is stated now; what is odd in it stays odd."""
    forms: dict[str, Callable[[object], object]] = {
        "regions": lambda one: placed(one, "start", "size"),
        "segments": lambda one: placed(one, "address", "length"),
        "changed_ranges": _from_pair,
    }
    return {
        key: [forms[key](one) for one in value] if key in forms and isinstance(value, list) else value
        for key, value in stated.items()
    }


def _from_pair(pair: object) -> object:
    """From a first address and the one behind the last."""
    match pair:
        case [int(start), int(end)]:
            return {"memory": FLASH, "start": start, "length": end - start}
    return None


def parse_canonical(data: bytes) -> object:
    """JSON value of `data`, which must be in its RFC 8785 form; `ValueError` otherwise.

    Refusing every other spelling leaves no room for doubled keys or for two readers that disagree.
    """
    try:
        value: object = json.loads(data)
        canonical = rfc8785.dumps(value)  # type: ignore[arg-type]
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    if canonical != data:
        raise ValueError("JSON is not in canonical form")
    return value


def check_layout(regions: Sequence[Region], segments: Sequence[Segment]) -> None:
    """`ValueError` when regions share a name or bytes, segments overlap, or one lies outside its region."""
    if len({region.name for region in regions}) != len(regions):
        raise ValueError("two regions have one name")
    if sum(region.place.length for region in regions) > IMAGE_MAX_BYTES:
        raise ValueError(f"regions together exceed {IMAGE_MAX_BYTES} bytes")
    _refuse_overlap("regions", [region.place for region in regions])
    _refuse_overlap("segments", [segment.place for segment in segments])
    for segment in segments:
        if not any(region.place.contains(segment.place) for region in regions):
            raise ValueError(f"segment {segment.place} is not inside one region")


def _refuse_overlap(what: str, places: list[Range]) -> None:
    for lower, upper in pairwise(sorted(places)):
        if lower.overlaps(upper):
            raise ValueError(f"{what} overlap at {upper}")


def gaps(regions: Sequence[Region], segments: Sequence[Segment]) -> tuple[Range, ...]:
    """What of the regions no segment holds: what a resumed read still has to read."""
    held = sorted(segment.place for segment in segments)
    return tuple(gap for whole in sorted(region.place for region in regions) for gap in _gaps_in(whole, held))


def _gaps_in(whole: Range, held: Sequence[Range]) -> Iterator[Range]:
    position = whole.start
    for place in held:
        if not place.overlaps(whole):
            continue
        if place.start > position:
            yield Range.between(whole.memory, position, place.start)
        position = place.end
    if position < whole.end:
        yield Range.between(whole.memory, position, whole.end)
