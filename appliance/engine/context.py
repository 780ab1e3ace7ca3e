"""The box's own organs: state directory, keys, journal, vault and definitions."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.contract.errors import EngineError
from appliance.contract.events import AlarmEvent, Heard, NoteEvent
from appliance.definitions.library import Library
from appliance.definitions.loader import load_all
from appliance.definitions.schema import Definition
from appliance.engine.held_files import HeldFiles
from appliance.engine.interruptions import settle
from appliance.engine.pinned import PinnedDefinitions
from appliance.engine.second_store import Keeper
from appliance.engine.session_keeper import Vigil
from appliance.engine.settings import EngineSettings
from appliance.flashing.database import JournalDamagedError, StorageError
from appliance.flashing.entry_record import tell_cut_entry
from appliance.flashing.journal import Journal
from appliance.flashing.known_wiring import Wirings
from appliance.flashing.power import PowerGuard
from appliance.flashing.recovering import mark_interrupted
from appliance.flashing.safety import job_not_over
from appliance.protocols.known import register_all
from appliance.protocols.ports import CarInterface
from appliance.vault import key_files
from appliance.vault.images import ImageStore
from appliance.vault.keys import KeyRing, Role
from appliance.vault.owner_secrets import SecretStore
from appliance.vault.store import BlobStore

log = logging.getLogger("pitbox.engine")


@dataclass
class EngineContext:
    """Everything an operation works with. Used by the worker's thread only."""

    settings: EngineSettings
    connection: CarInterface
    keys: KeyRing
    journal: Journal
    blobs: BlobStore
    images: ImageStore
    library: Library
    pinned: PinnedDefinitions
    keeper: Keeper
    secrets: SecretStore
    held: HeldFiles
    now: Callable[[], float] = time.time
    wirings: Wirings = field(default_factory=Wirings)
    vigil: Vigil = field(default_factory=Vigil)
    uploads: dict[str, bytes] = field(default_factory=dict)
    """Files handed in by a client, in memory only and until they are used."""
    power: PowerGuard | None = None
    """Of the operation that is running, or ran last: it knows the supply as it was measured last."""
    proposed: dict[str, bytes] = field(default_factory=dict)
    """The file of the proposal that is being started: no upload takes its place meanwhile."""
    writing: bool = False
    """Whether an operation that writes is running: a journal that could not be written says so for ever."""

    def definition(self, definition_id: str, sha256: str | None = None) -> Definition:
        """The definition of that id, or the very version a job was begun with. Raises PitboxError."""
        if sha256 is None:
            return self.library.get(definition_id)
        pinned = self.pinned.get(sha256)
        if pinned is not None:
            return pinned
        definition = self.library.get(definition_id)
        if definition.digest() != sha256:
            raise EngineError("DEFINITION_CHANGED", definition=definition_id)
        return definition

    def upload(self, upload_id: str) -> bytes:
        """A file that was handed in. Raises PitboxError."""
        return _handed_in(self.proposed.get(upload_id) or self.uploads.get(upload_id))

    def take_upload(self, upload_id: str) -> bytes:
        """A file that was handed in; the box forgets it. Raises PitboxError."""
        return _handed_in(self.proposed.pop(upload_id, None) or self.uploads.pop(upload_id, None))


def _handed_in(data: bytes | None) -> bytes:
    """One look alone: another file may be handed in at any moment, in another thread."""
    if data is None:
        raise EngineError("UPLOAD_UNKNOWN")
    return data


def open_box(
    settings: EngineSettings, connection: CarInterface, heard: Heard = lambda recorded: None
) -> EngineContext:
    """Open or create the state directory; what a power cut interrupted is noted. Raises PitboxError.

    `heard` is called with each event of the journal, in the thread that uses the box.
    """
    register_all()
    state = settings.state_dir
    _refuse_lost_keys(state)
    keys = key_files.load_or_create(state / "keys", Role(settings.role))
    if settings.set_journal_aside:
        _set_aside(state / "journal.db", keys)
    blobs = BlobStore(state, keys, settings.second_dir)
    images = ImageStore(state, keys, blobs, settings.second_dir)
    blobs.remove_temporaries()
    images.remove_temporaries()
    journal = Journal(state / "journal.db", time.time, keys.record_mac, heard)
    for difference in journal.differences:
        journal.events.tell(AlarmEvent(None, "JOURNAL_DIFFERED", difference.key, True, difference.fields))
    mark_interrupted(journal)
    _interrupt_running(journal)
    settle(journal)
    tell_cut_entry(journal, connection)
    library = load_all(settings.definition_dirs)
    pinned = PinnedDefinitions(state)
    keeper = Keeper(images, blobs, journal.events.tell)
    secrets = SecretStore(state, keys, lambda place: job_not_over(journal, place.definition) is not None)
    _seal_secrets(secrets, journal)
    held = HeldFiles(state, keys)
    journal.proposals.expire()
    held.keep_only({one.id for one in journal.proposals.waiting()})
    return EngineContext(
        settings, connection, keys, journal, blobs, images, library, pinned, keeper, secrets, held
    )


def _interrupt_running(journal: Journal) -> None:
    """Operations only tell what was done: a disk that is full does not keep the box from starting."""
    try:
        journal.operations.interrupt_running()
    except StorageError as error:
        log.warning("operations that were interrupted are not marked: %s", error.what)


def _seal_secrets(secrets: SecretStore, journal: Journal) -> None:
    """What an owner laid there in the clear is taken over, and told."""
    for done in secrets.take_over():
        told = done.trouble
        if told is not None:
            journal.events.tell(AlarmEvent(None, "SECRET_IN_THE_CLEAR", told.key, True, told.fields))
        elif done.place is not None:
            journal.events.tell(NoteEvent(None, "secret_taken_over", done.place._asdict()))


def _refuse_lost_keys(state: Path) -> None:
    """New keys would make strangers of everything that is stored. Raises PitboxError."""
    if (state / "keys").exists() or not any((state / name).exists() for name in ("journal.db", "images")):
        return
    raise EngineError("KEYS_LOST", state=str(state))


def _set_aside(path: Path, keys: KeyRing) -> None:
    """Keep a damaged journal under a name with the date. Raises PitboxError for a whole one."""
    files = [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm")]
    if not any(os.path.lexists(file) for file in files):
        return
    try:
        Journal(path, time.time, keys.record_mac).close()
    except JournalDamagedError as error:
        log.warning("set aside: %s", error.what)
    else:
        raise EngineError("JOURNAL_WHOLE", path=str(path))
    aside = _free_names(files, time.strftime("%Y%m%d-%H%M%S"))
    for file, name in zip(files, aside, strict=True):
        if os.path.lexists(file):
            file.rename(name)


def _free_names(files: Sequence[Path], stamp: str) -> list[Path]:
    """For all that belong together, which none had before: a clock may tell the same second twice."""
    for number in itertools.count(1):
        tag = stamp if number == 1 else f"{stamp}-{number}"
        names = [file.with_name(f"{file.name}.{tag}.damaged") for file in files]
        if not any(map(os.path.lexists, names)):
            return names
    raise AssertionError
