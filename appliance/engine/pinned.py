"""The definitions that jobs were begun with, kept beside the journal.

An update of a pack, or its removal, must not stand in the way of a recovery (design, rule 6).
"""

from __future__ import annotations

from pathlib import Path

import rfc8785
from pydantic import ValidationError

from appliance.definitions.schema import Definition
from appliance.vault import durable

_MAX_BYTES = 1 << 20


class PinnedDefinitions:
    """`<state>/definitions/<digest>.json`, in the form the digest is taken over."""

    def __init__(self, state: Path) -> None:
        """Raises VaultError from the disk."""
        self._root = state / "definitions"
        durable.make_directory(self._root)

    def pin(self, definition: Definition) -> str:
        """Keep this version; it survives a power cut once its digest is returned. Raises VaultError."""
        digest = definition.digest()
        durable.write_atomic(self._path(digest), rfc8785.dumps(definition.model_dump(mode="json")))
        return digest

    def get(self, digest: str) -> Definition | None:
        """The version with this digest; None when it is not there or no longer whole."""
        data = durable.read(self._path(digest), _MAX_BYTES)
        if data is None:
            return None
        try:
            definition = Definition.model_validate_json(data)
        except ValidationError:
            return None
        return definition if definition.digest() == digest else None

    def _path(self, digest: str) -> Path:
        return self._root / f"{Path(digest).name}.json"
