"""Memory put together from sealed segments, each of which is opened once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.contract.places import FLASH
from appliance.definitions.memory import Region
from appliance.flashing.image import MemoryImage
from appliance.vault.records import Segment, wipe
from appliance.vault.store import BlobStore


class Assembly:
    """The bytes of whole regions, as far as their segments were opened."""

    def __init__(self, blobs: BlobStore, regions: Sequence[Region]) -> None:
        self._blobs = blobs
        self._content = {region.start: bytearray(region.size_bytes) for region in regions}

    def open(self, segments: Iterable[Segment]) -> None:
        """Put segments in their places, in the stead of what was there. Raises VaultError."""
        for segment in segments:
            self.view(segment.address, segment.length)[:] = self._blobs.get(segment)

    def view(self, start: int, size: int) -> memoryview:
        """Bytes of a range inside one region, not copied."""
        home = max(at for at in self._content if at <= start)
        return memoryview(self._content[home])[start - home : start - home + size]

    def image(self) -> MemoryImage:
        """All regions; the bytes are shared with this."""
        return MemoryImage({(FLASH, start): data for start, data in self._content.items()})

    def wipe(self) -> None:
        """Overwrite the plaintext."""
        wipe(*self._content.values())
