"""Plaintext leaves the engine's memory as soon as nobody needs it. Best effort: Python makes copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.flashing.image import MemoryImage
from appliance.vault.contents import wipe


class Opened:
    """Images that an operation opened."""

    def __init__(self) -> None:
        self._images: list[MemoryImage] = []

    def keep(self, image: MemoryImage) -> MemoryImage:
        """Remember an image until the operation ends; gives it back."""
        self._images.append(image)
        return image

    def wipe(self) -> None:
        """Overwrite what was kept."""
        for image in self._images:
            wipe_image(image)


def wipe_image(image: MemoryImage) -> None:
    """Overwrite what of an image can be overwritten."""
    wipe(*(data for data in image.spans.values() if isinstance(data, bytearray)))


@contextmanager
def wiped_afterwards() -> Iterator[Opened]:
    """Wipe every image kept in here at the end, however it ends."""
    opened = Opened()
    try:
        yield opened
    finally:
        opened.wipe()
