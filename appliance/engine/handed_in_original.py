"""An original that the box lost, and that was exported before: handed in again, and proven by its own record.

The record keeps the hash of every sealed segment. What hashes to it is what was sealed, byte for byte,
wherever it comes from; nothing else takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.contract.errors import EngineError
from appliance.contract.events import NoteEvent
from appliance.contract.phrases import named
from appliance.contract.places import Range
from appliance.contract.records import Segment
from appliance.engine.context import EngineContext
from appliance.engine.plainfile import is_records, runs_in
from appliance.engine.tuned_package import is_package
from appliance.flashing.image import MemoryImage
from appliance.vault.contents import sha256_hex
from appliance.vault.images import SealedImage


def prove(original: SealedImage, data: bytes) -> MemoryImage:
    """What the file holds of the original, all of it proven; a file is of one memory.

    Raises PitboxError FILE_FORMAT, FILE_LENGTH, SOURCE_UNFIT; SOURCE_DIFFERS with the ranges that differ.
    """
    if is_package(data):
        raise EngineError("SOURCE_UNFIT.package")
    read_as = [one for memory in sorted(original.memories) if (one := _of_memory(original, memory, data))]
    strange = [list(_strange(original, image)) for image in read_as]
    proven = [image for image, ranges in zip(read_as, strange, strict=True) if not ranges]
    if not read_as:
        raise _fits_nowhere(original, data)
    if not proven:
        raise _differs(original, min(strange, key=len))
    return MemoryImage({at: content for image in proven for at, content in image.spans.items()})


def put_back(box: EngineContext, job_id: str | None, original: SealedImage, data: bytes) -> None:
    """Seal again what of the original the disk has lost. Raises PitboxError, and then nothing was changed."""
    found = prove(original, data)
    lost = [one for one in original.segments if found.covers(one.place) and not box.images.is_whole(one)]
    for segment in lost:
        box.images.reseal(original.file_id, segment, found.slice(segment.place))
    if lost:
        box.journal.events.tell(
            NoteEvent(job_id, "original_handed_in", {"file": original.file_id, "places": len(lost)})
        )


def _of_memory(original: SealedImage, memory: str, data: bytes) -> MemoryImage | None:
    """The file taken for one of that memory; None where it cannot be one."""
    places = sorted(one.place for one in original.regions if one.place.memory == memory)
    whole = sum(place.length for place in places)
    if is_records(data):
        runs = runs_in(original.definition, whole, data)
        image = MemoryImage({(memory, start): content for start, content in runs})
        return image if any(image.covers(one.place) for one in original.segments) else None
    if len(data) != whole:
        return None
    ends = [sum(place.length for place in places[: count + 1]) for count in range(len(places))]
    pairs = zip(places, ends, strict=True)
    return MemoryImage({place.at: data[end - place.length : end] for place, end in pairs})


def _strange(original: SealedImage, image: MemoryImage) -> Iterator[Range]:
    for segment in original.segments:
        if image.covers(segment.place) and not _is_it(segment, image):
            yield segment.place


def _is_it(segment: Segment, image: MemoryImage) -> bool:
    return sha256_hex(image.slice(segment.place)) == segment.pt_sha256


def _fits_nowhere(original: SealedImage, data: bytes) -> EngineError:
    sizes = {memory: _size(original, memory) for memory in sorted(original.memories)}
    wanted = tuple(f"{memory} {size}" for memory, size in sizes.items())
    return EngineError("SOURCE_UNFIT", file=original.file_id, bytes=len(data), wanted=wanted)


def _size(original: SealedImage, memory: str) -> int:
    return sum(one.place.length for one in original.regions if one.place.memory == memory)


def _differs(original: SealedImage, ranges: Sequence[Range]) -> EngineError:
    points = named(ranges)
    return EngineError("SOURCE_DIFFERS", points=points, file=original.file_id, places=len(points))
