"""The key directory of one box: its seed, and a master's two keys more, each file twice.

Tier T0: seed and master keys are files (directory 0700, files 0600). See the package docstring for what that
does not protect against.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, model_validator

from appliance.vault import durable
from appliance.vault.agekey import RAW_KEY_BYTES, AgeIdentity
from appliance.vault.errors import VaultError
from appliance.vault.keys import HexKey, KeyRing, MasterKeys, MasterPublic, Pairing, Record, Role

SEED_FILE = "seed"
BOX_FILE = "box.json"
PAIRING_FILE = "master.json"
MASTER_AGE_FILE = "master-age.key"
MASTER_SIGNING_FILE = "master-sign.key"

_KEY_FILE_MAX_BYTES = 64 * 1024
_OTHERS_MASK = 0o077
Parsed = TypeVar("Parsed")
log = logging.getLogger("pitbox.vault")


class _Box(Record):
    """Version 1 had no sums and every file once."""

    v: Literal[1, 2] = 1
    role: Annotated[Role, Field(strict=False)]
    device_id: Annotated[str, Field(min_length=1, max_length=64)]
    sums: dict[str, HexKey] = Field(default_factory=dict)
    """SHA-256 of the key files, which tells which copy is whole, and of random bytes nothing else."""
    check: HexKey | None = None

    def own_sum(self) -> str:
        """Hash of everything else in here."""
        stated = self.model_dump(mode="json", include={"role", "device_id", "sums"})
        return hashlib.sha256(rfc8785.dumps(stated)).hexdigest()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.v > 1 and self.check != self.own_sum():
            raise ValueError("it is not what was written")
        return self


def create(directory: Path, role: Role, device_id: str | None = None) -> KeyRing:
    """Make new keys in `directory`, which must not exist yet or be empty; durable when it returns.

    `device_id` defaults to a random one. `VaultError` VAULT_KEYS_EXIST, or from the disk.
    """
    durable.make_directory(directory.parent)
    with durable.disk_errors(directory):
        # A half-made key directory must never be taken for a whole one, so it appears in one rename.
        building = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            _write_keys(building, role, device_id or f"pitbox-{secrets.token_hex(8)}")
            _move_into_place(building, directory)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        durable.sync_directory(directory.parent)
    return load(directory)


def _write_keys(directory: Path, role: Role, device_id: str) -> None:
    files = {SEED_FILE: os.urandom(RAW_KEY_BYTES)}
    if role is Role.MASTER:
        keys = MasterKeys.generate()
        files[MASTER_AGE_FILE] = keys.identity.secret.encode()
        files[MASTER_SIGNING_FILE] = keys.signing_key.private_bytes_raw()
    files[BOX_FILE] = _box_of(role, device_id, files)
    for name, data in files.items():
        for path in _copies(directory, name):
            durable.write_new(path, data)
    durable.sync_directory(directory)


def _box_of(role: Role, device_id: str, files: Mapping[str, bytes]) -> bytes:
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    draft = _Box(role=role, device_id=device_id, sums=sums)
    whole = _Box(v=2, role=role, device_id=device_id, sums=sums, check=draft.own_sum())
    return whole.model_dump_json().encode()


def _copies(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / name, directory / f"{name}.copy"


def _move_into_place(building: Path, directory: Path) -> None:
    try:
        building.rename(directory)
    except OSError as error:
        if directory.is_dir() and any(directory.iterdir()):
            raise VaultError("VAULT_KEYS_EXIST", directory=str(directory)) from error
        raise


def load(directory: Path) -> KeyRing:
    """The key ring in `directory`; VAULT_KEYS_MISSING, VAULT_KEYS_EXPOSED or VAULT_KEYS_DAMAGED."""
    _refuse_exposed(directory)
    try:
        return _ring(directory, _box(directory))
    except ValueError as error:
        raise VaultError("VAULT_KEYS_DAMAGED", directory=str(directory)) from error


def _ring(directory: Path, box: _Box) -> KeyRing:
    return KeyRing(
        role=box.role,
        device_id=box.device_id,
        seed=_raw_key(directory, SEED_FILE, box),
        pairing=_pairing(directory),
        master_keys=_load_master_keys(directory, box) if box.role is Role.MASTER else None,
    )


def _box(directory: Path) -> _Box:
    """From the first of the two copies that is whole. `ValueError` when none is."""
    return _first_whole(directory, BOX_FILE, _Box.model_validate_json)


def _pairing(directory: Path) -> Pairing | None:
    if not any(path.exists() for path in _copies(directory, PAIRING_FILE)):
        return None
    return _first_whole(directory, PAIRING_FILE, Pairing.model_validate_json)


def _first_whole(directory: Path, name: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """VAULT_KEYS_MISSING when neither copy is there, `ValueError` when neither is whole."""
    damage: ValueError | None = None
    for path in _copies(directory, name):
        data = _read_key(path)
        try:
            if data is not None:
                return parse(data)
        except ValueError as error:
            damage = error
    if damage is None:
        raise _missing(directory / name)
    raise damage


def load_or_create(directory: Path, role: Role) -> KeyRing:
    """The key ring in `directory`, made on first use; VAULT_ROLE_MISMATCH when it has another role."""
    if not directory.is_dir() or not any(directory.iterdir()):
        return create(directory, role)
    keys = load(directory)
    if keys.role is not role:
        raise VaultError("VAULT_ROLE_MISMATCH", own_role=keys.role, asked_role=role)
    try:
        _keep_twice(directory, keys)
    except VaultError as error:  # one whole copy is enough to work with
        log.warning("the keys are not kept twice: %s", error.what)
    return keys


def _keep_twice(directory: Path, keys: KeyRing) -> None:
    """Make every missing or damaged copy whole again, and those that an earlier version never made."""
    files = {SEED_FILE: keys.seed}
    if keys.master_keys:
        files[MASTER_AGE_FILE] = keys.master_keys.identity.secret.encode()
        files[MASTER_SIGNING_FILE] = keys.master_keys.signing_key.private_bytes_raw()
    files[BOX_FILE] = _box_of(keys.role, keys.device_id, files)
    if keys.pairing:
        files[PAIRING_FILE] = keys.pairing.model_dump_json().encode()
    for name, data in files.items():
        for path in _copies(directory, name):
            if _read_key(path) != data:
                durable.write_atomic(path, data)


def pair(directory: Path, master: MasterPublic) -> KeyRing:
    """Make the slave whose keys are in `directory` trust `master`; grants of earlier pairings die."""
    keys = load(directory)
    if keys.role is Role.MASTER:
        raise VaultError("VAULT_MASTER_NOT_PAIRED")
    pairing = Pairing(epoch=keys.epoch + 1, master=master)
    for path in _copies(directory, PAIRING_FILE):
        durable.write_atomic(path, pairing.model_dump_json().encode())
    return load(directory)


def _load_master_keys(directory: Path, box: _Box) -> MasterKeys:
    secret = _first_whole(directory, MASTER_AGE_FILE, _as_recorded(box, MASTER_AGE_FILE)).decode("ascii")
    signing_key = Ed25519PrivateKey.from_private_bytes(_raw_key(directory, MASTER_SIGNING_FILE, box))
    return MasterKeys(AgeIdentity(secret), signing_key)


def _raw_key(directory: Path, name: str, box: _Box) -> bytes:
    raw = _first_whole(directory, name, _as_recorded(box, name))
    if len(raw) != RAW_KEY_BYTES:
        raise ValueError(f"{name} has {len(raw)} bytes")
    return raw


def _as_recorded(box: _Box, name: str) -> Callable[[bytes], bytes]:
    """Lets key material pass that has the sum on record, or any where a box of version 1 has none."""

    def check(data: bytes) -> bytes:
        if box.sums.get(name, hashlib.sha256(data).hexdigest()) != hashlib.sha256(data).hexdigest():
            raise ValueError(f"{name} is not what was written")
        return data

    return check


def _read_key(path: Path) -> bytes | None:
    if not path.exists():
        return None
    _refuse_exposed(path)
    return durable.read(path, _KEY_FILE_MAX_BYTES)


def _refuse_exposed(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _missing(path) from error
    if mode & _OTHERS_MASK:
        raise VaultError("VAULT_KEYS_EXPOSED", path=str(path), mode=mode & 511)


def _missing(path: Path) -> VaultError:
    return VaultError("VAULT_KEYS_MISSING", path=str(path))
