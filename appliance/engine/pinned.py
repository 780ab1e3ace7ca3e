"""The definitions that jobs were begun with, kept beside the journal.

An update of a pack, or its removal, must not stand in the way of a recovery (design, rule 6).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.definitions.parsing import SchemaMismatchError, pinned_definition
from appliance.definitions.schema import Definition
from appliance.engine.misfits import misfits
from appliance.vault import durable
from appliance.vault.contents import sha256_hex

_MAX_BYTES = 16 << 20
"""A file of 1 MiB, the most that is loaded, grows when its defaults are filled in."""


class PinnedDefinitions:
    """`<state>/definitions/<digest>.json` and a copy; the digest is that of the bytes, whoever reads them."""

    def __init__(self, state: Path) -> None:
        """Raises VaultError from the disk."""
        self._root = state / "definitions"
        durable.make_directory(self._root)

    def pin(self, definition: Definition) -> str:
        """Keep this version; it survives a power cut once its digest is returned. Raises VaultError."""
        data = definition.canonical()
        digest = sha256_hex(data)
        for path in self._paths(digest):
            durable.write_atomic(path, data)
        return digest

    def get(self, digest: str) -> Definition | None:
        """The version with this digest; None when it is not there or no longer whole.

        Raises PitboxError DEFINITION_UNREADABLE for a whole one that this build does not understand.
        """
        copies = (durable.read(path, _MAX_BYTES) for path in self._paths(digest))
        data = next((copy for copy in copies if copy is not None and sha256_hex(copy) == digest), None)
        if data is None:
            return None
        try:
            return pinned_definition(data, Definition)
        except (ValidationError, SchemaMismatchError) as error:
            raise EngineError("DEFINITION_UNREADABLE", points=_problems(error)) from error

    def _paths(self, digest: str) -> tuple[Path, Path]:
        name = Path(digest).name
        return self._root / f"{name}.json", self._root / f"{name}.copy.json"


def _problems(error: ValidationError | SchemaMismatchError) -> list[Phrase]:
    if isinstance(error, SchemaMismatchError):
        return [phrase("malformed", technical_text=str(error))]
    return misfits(error)
