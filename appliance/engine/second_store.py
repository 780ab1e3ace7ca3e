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
from appliance.vault.images import ImageKind, ImageStore
from appliance.vault.store import BlobStore

PAUSE_S = 0.05
"""Between two looks, each at one segment of at most 256 KiB."""
REST_S = 6 * 3600.0
"""Between two rounds over all stored files."""
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
        self._round: Iterator[None] | None = None
        self._found: list[Rot] = []
        self._before: tuple[Rot, ...] = ()
        self._rounds = 0
        self._told: set[Rot] = set()

    def look(self) -> bool:
        """One short look, at one record or segment; False when that was the end of a round."""
        if self._round is None:
            self._round, self._before, self._found = self._all(), tuple(self._found), []
        try:
            next(self._round)
        except StopIteration:
            self._round, self._before = None, ()
            self._rounds += 1
            return False
        return True

    def health(self) -> StoredFiles:
        """For the snapshot: rounds since the start, and all that is known not to be whole."""
        known = dict.fromkeys((*self._before, *self._found))
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

    def _all(self) -> Iterator[None]:
        if self._blobs.second_is_missing():
            self._tell(Rot("", None, "SECOND_STORE_MISSING", trouble("second_store_missing").said))
        for file_id in self._images.file_ids():
            for error in self._images.mend(file_id):
                self._tell(Rot(file_id, None, error.code, error.said))
            yield
            yield from self._segments(file_id)

    def _segments(self, file_id: str) -> Iterator[None]:
        try:
            image = self._images.load(file_id)
        except VaultError:
            return
        if image.kind is ImageKind.RESCUE:
            return
        for segment in image.segments:
            for error in self._blobs.mend(segment):
                self._tell(Rot(file_id, segment.place, error.code, error.said))
            yield

    def _tell(self, rot: Rot) -> None:
        self._found.append(rot)
        if rot in self._told:
            return
        self._told.add(rot)
        found = _trouble(rot)
        log.warning("%s", found.text)
        self._tell_all(AlarmEvent(None, "STORED_FILE_ROT", found.key, True, found.fields))


def _trouble(rot: Rot) -> Trouble:
    if not rot.file:
        return trouble("second_store_missing")
    return trouble("stored_file_rots", file=rot.file, problem=rot.what)


async def keep(
    keeper: Keeper, idle: Callable[[], bool], call: Callable[[Callable[[], bool]], Awaitable[bool]]
) -> None:
    """Look on for ever, only while the box is idle. `call` runs a short function in the worker's thread."""
    while True:
        more = await call(keeper.look) if idle() else True
        await asyncio.sleep(PAUSE_S if more else REST_S)
