"""Before an erase: what is to be written, and the way back, lie whole on the disk at that moment.

What the disk has lost is sealed again from whatever still holds it, the box's memory or the ECU itself,
always proven by the hash of what was sealed. A copy in the box's memory alone is none: the power may go now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from appliance.contract.records import Segment
from appliance.flashing import history
from appliance.flashing.context import JobContext
from appliance.flashing.errors import WayBackLostError
from appliance.flashing.gaps import held
from appliance.flashing.image import MemoryImage
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block, Purpose
from appliance.vault.contents import sha256_hex
from appliance.vault.errors import VaultError
from appliance.vault.images import SealedImage

_BELIEVED_S = 5.0
"""What was found whole is not looked at again for so long: many small blocks share a segment."""
_READS = 3
"""So often the ECU is read before what it holds counts as something else: a read may be spoilt on its way."""


class Safekeeping:
    """The sealed files of one write: its target, and the original that goes back if it comes to that."""

    def __init__(
        self, job: JobContext, flash_id: int, order: WriteOrder, opened: Sequence[MemoryImage]
    ) -> None:
        """`opened` are images in memory that hold what was sealed, or may."""
        self._job = job
        self._flash_id = flash_id
        self._order = order
        self._opened = opened
        self._records: dict[str, SealedImage] = {}
        self._seen_whole: dict[str, float] = {}
        self._given_up: set[str] = set()

    async def keep(self, blocks: Sequence[Block], purpose: Purpose, *, touched: bool) -> None:
        """Have all that lies under these blocks whole on the disk; the ECU is open for `purpose`.

        A write that has begun goes on where its way back is not to be had any more, and that is told.
        Raises WayBackLostError where nothing was erased yet, VaultError, AccessError.
        """
        if not blocks:
            return
        lost = [str(block.place) for block in blocks if self._record(self._order.original_file) is None]
        for file_id, segment in self.mend(blocks):
            content = await self._as_the_ecu_holds_it(segment, purpose)
            if content is None:
                lost.append(str(segment.place))
            else:
                self._reseal(file_id, segment, content)
        if lost and not touched:
            raise WayBackLostError(self._job.id, lost)
        for place in lost:
            if place not in self._given_up:
                self._given_up.add(place)
                self._job.note("way_back_lost", place=place)

    def mend(self, blocks: Sequence[Block]) -> list[tuple[str, Segment]]:
        """Seal again what the disk has lost and memory still holds; gives what of it memory does not hold.

        Raises VaultError.
        """
        left = []
        for file_id, segment in self._lost(blocks):
            content = self._as_opened(segment)
            if content is None:
                left.append((file_id, segment))
            else:
                self._reseal(file_id, segment, content)
        return left

    def _lost(self, blocks: Sequence[Block]) -> Iterator[tuple[str, Segment]]:
        for file_id in filter(None, (self._order.tuned_file, self._order.original_file)):
            image = self._record(file_id)
            for segment in () if image is None else image.segments:
                under = any(segment.place.overlaps(block.place) for block in blocks)
                if under and not self._is_whole(segment):
                    yield file_id, segment

    def _record(self, file_id: str) -> SealedImage | None:
        """What a file is made of; one that the disk lost since this write began is put back."""
        if self._just_seen(file_id):
            return self._records[file_id]
        try:
            self._records[file_id] = self._job.copies.load(file_id)
        except VaultError:
            if file_id not in self._records:
                return None
            self._job.copies.save(self._records[file_id])
        self._see(file_id)
        return self._records[file_id]

    def _is_whole(self, segment: Segment) -> bool:
        if self._just_seen(segment.ct_sha256):
            return True
        if not self._job.copies.is_whole(segment):
            return False
        self._see(segment.ct_sha256)
        return True

    def _just_seen(self, what: str) -> bool:
        seen = self._seen_whole.get(what)
        return seen is not None and asyncio.get_running_loop().time() - seen < _BELIEVED_S

    def _see(self, what: str) -> None:
        self._seen_whole[what] = asyncio.get_running_loop().time()

    def _as_opened(self, segment: Segment) -> bytes | None:
        for image in self._opened:
            if image.covers(segment.place) and _fits(segment, content := image.slice(segment.place)):
                return content
        return None

    async def _as_the_ecu_holds_it(self, segment: Segment, purpose: Purpose) -> bytes | None:
        if str(segment.place) in self._given_up:
            return None
        for _ in range(1 if self._was_begun(segment) else _READS):
            content = await held(self._job, segment.place, purpose)
            if content is not None and _fits(segment, content):
                return content
        return None

    def _was_begun(self, segment: Segment) -> bool:
        """Whether this write has erased something there: most likely the ECU holds something else now."""
        begun = history.begun(self._job.journal.steps(self._flash_id))
        under = (one for one in self._order.blocks if one.place.overlaps(segment.place))
        return any(block.place.at in begun for block in under)

    def _reseal(self, file_id: str, segment: Segment, content: bytes) -> None:
        self._job.copies.reseal(file_id, segment, content)
        self._seen_whole.pop(file_id, None)  # it names other sealed bytes now
        self._job.note("copy_resealed", place=str(segment.place))


def _fits(segment: Segment, content: bytes) -> bool:
    return sha256_hex(content) == segment.pt_sha256
