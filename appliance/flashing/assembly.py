"""Memory put together from sealed segments, each of which is opened once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.contract.places import Range
from appliance.contract.records import Segment
from appliance.definitions.memory import Region
from appliance.flashing.image import MemoryImage
from appliance.vault.contents import wipe
from appliance.vault.store import BlobStore


class Assembly:
    """The bytes of whole regions, as far as their segments were opened."""

    def __init__(self, blobs: BlobStore, regions: Sequence[Region]) -> None:
        self._blobs = blobs
        self._content = {region.place: bytearray(region.size_bytes) for region in regions}

    def open(self, segments: Iterable[Segment]) -> None:
        """Put segments in their places, in the stead of what was there. Raises VaultError."""
        for segment in segments:
            self.view(segment.place)[:] = self._blobs.get(segment)

    def view(self, place: Range) -> memoryview:
        """Bytes of a range inside one region, not copied."""
        home = next(region for region in self._content if region.contains(place))
        return memoryview(self._content[home])[place.start - home.start : place.end - home.start]

    def image(self) -> MemoryImage:
        """All regions; the bytes are shared with this."""
        return MemoryImage({place.at: data for place, data in self._content.items()})

    def wipe(self) -> None:
        """Overwrite the plaintext."""
        wipe(*self._content.values())
