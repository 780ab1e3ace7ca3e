"""The sealed copies that a write lives on, as the heart asks for them."""

from __future__ import annotations

from typing import Protocol

from appliance.contract.records import Segment
from appliance.vault.images import SealedImage


class Copies(Protocol):
    """Files of the vault by their ids."""

    def load(self, file_id: str) -> SealedImage:
        """What a file is made of. Raises VaultError where its record is lost."""

    def save(self, image: SealedImage) -> None:
        """Its record, durable on return. Raises VaultError."""

    def is_whole(self, segment: Segment) -> bool:
        """Whether a part of it can be had from the disk, as that is now."""

    def reseal(self, file_id: str, segment: Segment, content: bytes) -> None:
        """Seal a damaged part anew, durable on return. Raises VaultError; ValueError for other bytes."""
