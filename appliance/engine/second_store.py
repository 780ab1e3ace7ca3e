"""Looking after sealed files while the box is idle: rot is told and mended before it is in the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from appliance.contract.alarm_texts import Trouble, trouble
from appliance.contract.catalogue import Phrase, told
from appliance.contract.events import AlarmEvent, Tell
from appliance.contract.places import Range
from appliance.contract.told import Rot as RotTold
from appliance.contract.told import StoredFiles
from appliance.vault.errors import VaultError
from appliance.vault.images import ImageKind, ImageStore, SealedImage
from appliance.vault.store import BlobStore

PAUSE_S = 0.05
"""Between two looks, each at one segment of at most 256 KiB."""
REST_S = 6 * 3600.0
"""Between two rounds over all stored files."""
AGAIN_S = 60.0
"""Between two looks, within that rest, at what is known not to be whole: somebody may have mended it."""
_Spot = tuple[str, Range | None]
"""A stored file by its id, and which part of it; None for its record."""
_SECOND: _Spot = ("", None)
"""The second place itself."""
log = logging.getLogger("pitbox.engine")


@dataclass(frozen=True, slots=True)
class Rot:
    """What of a stored file cannot be had from any place."""

    file: str
    place: Range | None
    """None where it is all of the file, or the place of all files."""
    code: str
    what: Phrase


class Keeper:
    """Compares every stored file with its hashes, and mends what one of two places has lost."""

    def __init__(self, images: ImageStore, blobs: BlobStore, tell: Tell) -> None:
        self._images = images
        self._blobs = blobs
        self._tell_all = tell
        images.saved = self._look_again_at
        self._round: Iterator[None] | None = None
        self._known: dict[_Spot, tuple[Rot, ...]] = {}
        """By where it was found, when that was looked at last."""
        self._rounds = 0

    def look(self) -> bool:
        """One short look, at one record or segment; False when that was the end of a round."""
        if self._round is None:
            self._round = self._all()
        try:
            next(self._round)
        except StopIteration:
            self._round = None
            self._rounds += 1
            return False
        return True

    def look_again(self) -> bool:
        """At what is known not to be whole alone: whether some of it still is not."""
        for spot in tuple(self._known):
            self._see(spot)
        return bool(self._known)

    def health(self) -> StoredFiles:
        """For the snapshot: rounds since the start, and all that is known not to be whole."""
        known = dict.fromkeys(rot for found in self._known.values() for rot in found)
        return StoredFiles(
            rounds=self._rounds,
            rot=[
                RotTold(
                    file=rot.file,
                    place=rot.place.as_dict() if rot.place else None,
                    code=rot.code,
                    what=rot.what.text,
                    key=rot.what.key,
                    fields=told(rot.what.fields),
                )
                for rot in known
            ],
        )

    def _look_again_at(self, file_id: str) -> None:
        """A file was stored or sealed again: what of it had rotted may be whole."""
        for spot in [one for one in self._known if one[0] == file_id]:
            self._see(spot)

    def _all(self) -> Iterator[None]:
        seen: set[_Spot] = {_SECOND}
        self._see(_SECOND)
        for file_id in self._images.file_ids():
            for spot in self._spots_of(file_id):
                seen.add(spot)
                self._see(spot)
                yield
        for gone in self._known.keys() - seen:
            self._know(gone, ())

    def _spots_of(self, file_id: str) -> Iterator[_Spot]:
        """The record, and then, as far as that is whole by now, each segment."""
        yield file_id, None
        image = self._image(file_id)
        if image is not None and image.kind is not ImageKind.RESCUE:
            yield from ((file_id, segment.place) for segment in image.segments)

    def _image(self, file_id: str) -> SealedImage | None:
        try:
            return self._images.load(file_id)
        except VaultError:
            return None

    def _see(self, spot: _Spot) -> None:
        """Look there, mend what can be mended, and know what cannot."""
        file_id, place = spot
        if spot == _SECOND:
            missing = trouble("second_store_missing")
            what = Phrase(missing.key, missing.fields, missing.text)
            lost = (Rot("", None, "SECOND_STORE_MISSING", what),)
            self._know(spot, lost if self._blobs.second_is_missing() else ())
            return
        if place is None:
            errors = self._images.mend(file_id)
        else:
            image = self._image(file_id)
            segments = () if image is None else image.segments
            errors = tuple(error for one in segments if one.place == place for error in self._blobs.mend(one))
        self._know(spot, tuple(Rot(file_id, place, error.code, error.said) for error in errors))

    def _know(self, spot: _Spot, found: tuple[Rot, ...]) -> None:
        before = self._known.pop(spot, ())
        if found:
            self._known[spot] = found
        for rot in found:
            if rot not in before:
                self._tell(_trouble(rot), raised=True)
        if before and not found:
            self._tell(_mended(before[0]), raised=False)

    def _tell(self, found: Trouble, *, raised: bool) -> None:
        log.warning("%s", found.text)
        self._tell_all(AlarmEvent(None, "STORED_FILE_ROT", found.key, raised, found.fields))


def _trouble(rot: Rot) -> Trouble:
    if not rot.file:
        return trouble("second_store_missing")
    return trouble("stored_file_rots", file=rot.file, problem=rot.what)


def _mended(rot: Rot) -> Trouble:
    if not rot.file:
        return trouble("second_store_back")
    return trouble("stored_file_whole", file=rot.file)


async def keep(
    keeper: Keeper, idle: Callable[[], bool], call: Callable[[Callable[[], bool]], Awaitable[bool]]
) -> None:
    """Look on for ever, only while the box is idle. `call` runs a short function in the worker's thread."""
    loop = asyncio.get_running_loop()
    while True:
        more = await call(keeper.look) if idle() else True
        if more:
            await asyncio.sleep(PAUSE_S)
            continue
        until = loop.time() + REST_S
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(AGAIN_S, left))
            if idle():
                await call(keeper.look_again)
