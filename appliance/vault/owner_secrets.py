"""The owner's keys and loaders, sealed to this box: they go in, and nothing but a write ever uses them.

`<state>/secrets/<definition>/<name>.1` and `.2`: a record with the box's keyed hash over definition, name and
an age v1 file that a key of its own opens. Files that somebody laid there in the clear are taken over.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import rfc8785

from appliance.contract.alarm_texts import Trouble, trouble
from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.contract.records import parse_canonical
from appliance.vault import durable
from appliance.vault.authentic import NewerRecordError, opened_record, sealed_record
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from appliance.vault.sealing import open_sealed, seal
from appliance.vault.twice import TwiceKept

FOLDER = "secrets"
"""In the state directory."""
MOST_BYTES = 1 << 20
"""Longer than any key or loader that a definition may name."""
VERSION = 1
_RECORD = "secret"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}", re.ASCII)
_COPY = re.compile(r"([a-z][a-z0-9_]{0,29})\.[12]", re.ASCII)
log = logging.getLogger("pitbox.vault")


class Place(NamedTuple):
    """Whose secret, and its name."""

    definition: str
    name: str


@dataclass(frozen=True, slots=True)
class Takeover:
    """A secret that lay in the clear, and what is in the way of its sealing."""

    place: Place | None
    """None for all of them."""
    trouble: Trouble | None = None
    """None where it is sealed now, and its file wiped."""

    @property
    def sealed(self) -> bool:
        """Whether nothing of it is in the clear any more."""
        return self.trouble is None


class SecretStore:
    """Used by the worker's thread only. Values are in memory, and nowhere else, in the clear."""

    def __init__(
        self, state: Path, keys: KeyRing, needed: Callable[[Place], bool] = lambda place: False
    ) -> None:
        """`needed` says which an open write may have begun with: a file laid there changes none."""
        self._needed = needed
        self._root = state / FOLDER
        self._keys = keys

    def put(self, place: Place, value: bytes) -> None:
        """Durable on return, in the place of a former one. Raises VaultError."""
        durable.make_directory(self._plain_path(place).parent)
        sealed = seal(value, [self._keys.secret_identity().recipient])
        body: dict[str, Any] = {
            "v": VERSION,
            "definition": place.definition,
            "name": place.name,
            "age": base64.b64encode(sealed).decode("ascii"),
        }
        self._kept(place).write(sealed_record(_RECORD, rfc8785.dumps(body), self._keys.record_mac))
        self._wipe_plain(place)

    def get(self, place: Place) -> bytes | None:
        """The value; None where there is none. Raises VaultError where no copy of it is whole."""
        self._take_over(place)
        found = self._kept(place).read()
        if found.copies:
            return found.copies[0]
        if found.never_written:
            return self._plain(place)
        raise VaultError(
            "VAULT_SECRET_DAMAGED",
            name=place.name,
            definition=place.definition,
            points=tuple(one.said for one in found.problems),
        )

    def remove(self, place: Place) -> bool:
        """Whether there was one; it is gone on return. Raises VaultError from the disk."""
        paths = [path for path in (*self._kept(place).paths, self._plain_path(place)) if path.exists()]
        for path in paths:
            _wiped(path)
        return bool(paths)

    def places(self) -> list[Place]:
        """Everything that is stored."""
        names = {
            Place(folder.name, found[1])
            for folder in self._folders()
            for path in folder.iterdir()
            if (found := _COPY.fullmatch(path.name))
        }
        return sorted(names | set(self._in_the_clear()))

    def take_over(self) -> list[Takeover]:
        """Seal every file that lies there in the clear and wipe it; call once at the start.

        Nothing that is wrong with one of them keeps a box from starting.
        """
        try:
            with durable.disk_errors(self._root):
                durable.remove_temporaries(self._root)
                places = list(self._in_the_clear())
        except VaultError as error:
            return [Takeover(None, trouble("secrets_unseen", problem=error.said))]
        return [done for place in places if (done := self._take_over(place)) is not None]

    def _take_over(self, place: Place) -> Takeover | None:
        path, whose = self._plain_path(place), f"the owner's {place.name!r} for {place.definition}"
        try:
            value = self._plain(place)
            if value is None:
                return None
            if self._kept(place).read().copies not in ((), (value,), (value, value)) and self._needed(place):
                return Takeover(place, _in_the_clear(place, phrase("secret.needed")))
            self.put(place, value)
        except VaultError as error:
            log.warning("%s lies in the clear: %s", whose, error.what)
            return Takeover(place, _in_the_clear(place, error.said))
        if path.exists():
            return Takeover(
                place,
                trouble("secret_not_wiped", name=place.name, definition=place.definition, path=str(path)),
            )
        log.warning("%s lay in the clear: it is sealed now", whose)
        return Takeover(place)

    def _plain(self, place: Place) -> bytes | None:
        path = self._plain_path(place)
        with durable.disk_errors(path):
            if not os.path.lexists(path):
                return None
            if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > MOST_BYTES:
                raise VaultError(
                    "VAULT_SECRET_STRANGE", path=str(path), most_bytes=MOST_BYTES, name=place.name
                )
        return durable.read(path, MOST_BYTES)

    def _wipe_plain(self, place: Place) -> None:
        """The sealed one is durable already: what cannot be wiped is told by whoever asked."""
        path = self._plain_path(place)
        with suppress(VaultError):
            if os.path.lexists(path):
                _wiped(path)

    def _in_the_clear(self) -> Iterator[Place]:
        for folder in self._folders():
            for path in sorted(folder.iterdir()):
                if _NAME.fullmatch(path.name):
                    yield Place(folder.name, path.name)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._root.glob("*") if path.is_dir() and not path.is_symlink())

    def _plain_path(self, place: Place) -> Path:
        return self._root / Path(place.definition).name / Path(place.name).name

    def _kept(self, place: Place) -> TwiceKept[bytes]:
        path = self._plain_path(place)
        return TwiceKept(path.parent, path.name, lambda data: self._opened(place, data))

    def _opened(self, place: Place, data: bytes) -> bytes:
        """`ValueError` unless this box sealed it for this definition under this name."""
        try:
            record: Any = parse_canonical(opened_record(_RECORD, data, self._keys.record_mac, VERSION))
        except NewerRecordError as error:
            raise VaultError("VAULT_SECRET_NEWER", name=place.name, why=error.said) from error
        if (record["definition"], record["name"]) != place:
            raise ValueError("it is another secret")
        try:
            return open_sealed(base64.b64decode(record["age"]), [self._keys.secret_identity()])
        except VaultError as error:
            raise ValueError(error.what) from error


def _in_the_clear(place: Place, problem: Phrase) -> Trouble:
    return trouble("secret_in_the_clear", name=place.name, definition=place.definition, problem=problem)


def _wiped(path: Path) -> None:
    """Overwritten as far as the storage lets it, and gone. Raises VaultError from the disk."""
    with durable.disk_errors(path):
        if stat.S_ISREG(path.lstat().st_mode):
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
        path.unlink()
        durable.sync_directory(path.parent)
