"""The box's own organs: state directory, keys, journal, vault and definitions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.checksums import ChecksumModule, module_for
from appliance.contract.errors import PitboxError
from appliance.contract.events import Emit, Event
from appliance.definitions.library import Library
from appliance.definitions.loader import load_all
from appliance.definitions.schema import Definition
from appliance.engine.connection import Connection
from appliance.engine.interruptions import settle
from appliance.engine.pinned import PinnedDefinitions
from appliance.engine.settings import EngineSettings
from appliance.flashing.journal import Journal
from appliance.flashing.recovering import mark_interrupted
from appliance.vault import keys as vault_keys
from appliance.vault.images import ImageStore
from appliance.vault.keys import KeyRing, Role
from appliance.vault.store import BlobStore


@dataclass
class Box:
    """Everything an operation works with. Used by the worker's thread only."""

    settings: EngineSettings
    connection: Connection
    keys: KeyRing
    journal: Journal
    blobs: BlobStore
    images: ImageStore
    library: Library
    pinned: PinnedDefinitions
    emit: Emit
    now: Callable[[], float] = time.time
    uploads: dict[str, bytes] = field(default_factory=dict)
    """Files handed in by a client, in memory only and until they are used."""

    def definition(self, definition_id: str, sha256: str | None = None) -> Definition:
        """The definition of that id, or the very version a job was begun with. Raises PitboxError."""
        if sha256 is None:
            return self.library.get(definition_id)
        pinned = self.pinned.get(sha256)
        if pinned is not None:
            return pinned
        definition = self.library.get(definition_id)
        if definition.digest() != sha256:
            raise PitboxError(
                "DEFINITION_CHANGED",
                f"the definition {definition_id} is not the one this job was begun with",
                do_now="Put the definition's former version back, or start a new job with a fresh read.",
            )
        return definition

    def take_upload(self, upload_id: str) -> bytes:
        """A file that was handed in; the box forgets it. Raises PitboxError."""
        if upload_id not in self.uploads:
            raise PitboxError("UPLOAD_UNKNOWN", "the file was not handed in", do_now="Send the file again.")
        return self.uploads.pop(upload_id)


def open_box(settings: EngineSettings, connection: Connection, emit: Callable[[Event], None]) -> Box:
    """Open or create the state directory; what a power cut interrupted is noted. Raises PitboxError."""
    state = settings.state_dir
    if settings.set_journal_aside:
        _set_aside(settings)
    keys = vault_keys.load_or_create(state / "keys", Role(settings.role))
    blobs = BlobStore(state, keys)
    images = ImageStore(state, keys, blobs)
    blobs.remove_temporaries()
    images.remove_temporaries()
    journal = Journal(state / "journal.db", time.time, keys.record_mac)
    mark_interrupted(journal)
    settle(journal)
    library = load_all(settings.definition_dirs)
    pinned = PinnedDefinitions(state)
    return Box(settings, connection, keys, journal, blobs, images, library, pinned, emit)


def checksum_module(definition: Definition) -> ChecksumModule | None:
    """The module a definition names. Raises PitboxError for an unknown one."""
    spec = definition.checksum
    if spec is None:
        return None
    try:
        return module_for(spec.module, spec.parameters)
    except ValueError as error:
        raise PitboxError(
            "DEFINITION_CHECKSUM",
            f"definition {definition.id}: {error}",
            do_now="Correct checksum.module or checksum.parameters in the definition.",
        ) from error


def _set_aside(settings: EngineSettings) -> None:
    """Keep a damaged journal under another name; nothing of it is deleted."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix in ("", "-wal", "-shm"):
        path = settings.state_dir / f"journal.db{suffix}"
        if path.exists():
            path.rename(path.with_name(f"{path.name}.{stamp}.damaged"))
