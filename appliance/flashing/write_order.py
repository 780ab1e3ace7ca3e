"""What a write is to do, as data: kept in the journal from the first intent until the write is closed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from appliance.contract.errors import EngineError
from appliance.contract.places import FLASH, Range
from appliance.protocols.access import Block


@dataclass(frozen=True, slots=True)
class WriteOrder:
    """Blocks to make equal to the target, blocks that must stay, and where the bytes lie sealed."""

    kind: str
    """`tuned` or `original`: decides whether success is called done or restored."""
    definition_id: str
    method: str
    original_file: str
    tuned_file: str | None
    """Path or id of the sealed target; None when the target is the original."""
    blocks: tuple[Block, ...]
    guarded: tuple[Block, ...]
    target_sha256: str
    """Empty where the sealed original was damaged already when the order was made."""

    def check_target(self, sha256: str) -> None:
        """Raises PitboxError when the memory about to be written is not the one this order was made for."""
        if self.target_sha256 and sha256 != self.target_sha256:
            raise EngineError("TARGET_CHANGED")

    def to_json(self) -> str:
        """Text for the journal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WriteOrder:
        """Inverse of to_json."""
        data = json.loads(text)
        data.pop("definition_sha256", None)  # stated by earlier builds; the job's is the one that counts
        for key in ("blocks", "guarded"):
            data[key] = tuple(_block(block) for block in data[key])
        return cls(**data)


def _block(stated: dict[str, Any]) -> Block:
    """Earlier builds stated start and size alone: their ECUs had one memory."""
    place = stated.get("place") or {
        "memory": FLASH,
        "start": stated["start"],
        "length": stated["size"],
    }
    return Block(stated["region"], Range.from_json(place), stated["block_id"])
