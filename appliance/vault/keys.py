"""The key ring of one box: everything is derived from one seed, and a master holds two keys more.

Tier T0: seed and master keys are files (directory 0700, files 0600). See the package docstring for what that
does not protect against.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import rfc8785
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, model_validator

from appliance.vault import durable
from appliance.vault.agekey import RAW_KEY_BYTES, AgeIdentity
from appliance.vault.errors import VaultError

KEY_TIER = 0
SEED_FILE = "seed"
BOX_FILE = "box.json"
PAIRING_FILE = "master.json"
MASTER_AGE_FILE = "master-age.key"
MASTER_SIGNING_FILE = "master-sign.key"

_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
"""In front of the key's 32 bytes (RFC 8410, 4 and 10.1)."""
_KEY_FILE_MAX_BYTES = 64 * 1024
_OTHERS_MASK = 0o077
_RESTORE = "Restore the key directory from its backup. Without it the sealed files of this box stay closed."
HexKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Parsed = TypeVar("Parsed")
log = logging.getLogger("pitbox.vault")


class Role(StrEnum):
    """What a box may do with plaintext: a master may export it and sign, a slave may only flash it."""

    MASTER = "master"
    SLAVE = "slave"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Box(_Record):
    """Version 1 had no sums and every file once."""

    v: Literal[1, 2] = 1
    role: Annotated[Role, Field(strict=False)]
    device_id: Annotated[str, Field(min_length=1, max_length=64)]
    sums: dict[str, HexKey] = {}
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


class MasterPublic(_Record):
    """What a slave knows of its master: whom to seal reads to and whose signature to believe."""

    age_recipient: Annotated[str, Field(pattern=r"^age1[a-z0-9]{58}$")]
    verify_key: HexKey

    @property
    def kid(self) -> str:
        """Key id of the signing key: first 16 hex digits of SHA-256 over its SPKI DER."""
        spki = _ED25519_SPKI + bytes.fromhex(self.verify_key)
        return hashlib.sha256(spki).hexdigest()[:16]

    def public_key(self) -> Ed25519PublicKey:
        """The Ed25519 key that verifies manifests and grants."""
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.verify_key))


class Pairing(_Record):
    """Content of `master.json`: the master and how many times this box has been paired."""

    epoch: Annotated[int, Field(ge=1)]
    master: MasterPublic


class DevicePublic(_Record):
    """What a master knows of a box, enough to issue it grants."""

    device_id: str
    epoch: Annotated[int, Field(ge=0)]
    tier: Annotated[int, Field(ge=0, le=2)]
    hpke_public: HexKey


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The private half a master-role box holds: the age identity for originals and the signing key."""

    identity: AgeIdentity = field(repr=False)
    signing_key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> MasterKeys:
        """A fresh random pair."""
        return cls(AgeIdentity.generate(), Ed25519PrivateKey.generate())

    def public(self) -> MasterPublic:
        """The public half, to be given to slaves."""
        return MasterPublic(
            age_recipient=self.identity.recipient,
            verify_key=self.signing_key.public_key().public_bytes_raw().hex(),
        )


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one box in memory; `load` and `create` below make it, nothing changes it."""

    role: Role
    device_id: str
    seed: bytes = field(repr=False)
    pairing: Pairing | None = None
    master_keys: MasterKeys | None = None

    @property
    def epoch(self) -> int:
        """How many times this box was paired; grants of an earlier epoch are dead."""
        return self.pairing.epoch if self.pairing else 0

    def recovery_identity(self, epoch: int) -> AgeIdentity:
        """Age identity that opens the originals this box sealed in `epoch`."""
        return AgeIdentity.from_raw(self._derive(f"pitbox/v1/recovery/{epoch}"))

    def grant_key(self, epoch: int) -> X25519PrivateKey:
        """HPKE private key that grants of `epoch` are sealed to."""
        return X25519PrivateKey.from_private_bytes(self._derive(f"pitbox/v1/hpke/{epoch}"))

    def secret_identity(self) -> AgeIdentity:
        """Age identity that the owner's keys and loaders are sealed to; no pairing changes it."""
        return AgeIdentity.from_raw(self._derive("pitbox/v1/owner-secret"))

    def vin_hmac(self, vin: str) -> str:
        """Keyed hash of a VIN (64 hex digits): recognises the same car again without storing whose it is."""
        return hmac.digest(self._derive("pitbox/v1/local"), vin.strip().upper().encode(), "sha256").hex()

    def serial_hmac(self, serial: str) -> str:
        """Keyed hash of an ECU's serial number (64 hex digits), as `vin_hmac` is one of a VIN."""
        return hmac.digest(self._derive("pitbox/v1/serial"), serial.strip().encode(), "sha256").hex()

    def record_mac(self, record: bytes) -> str:
        """Keyed hash of a record on disk (64 hex digits), so that only this box can have written it."""
        return hmac.digest(self._derive("pitbox/v1/record"), record, "sha256").hex()

    def recipients(self) -> tuple[str, ...]:
        """Whom reads are sealed to: this box's own recovery key, and the master's when there is one."""
        own = self.recovery_identity(self.epoch).recipient
        master = self.known_master()
        return (own, master.age_recipient) if master else (own,)

    def identities(self) -> tuple[AgeIdentity, ...]:
        """Every identity that can open a read on this box, this epoch's first."""
        own = tuple(self.recovery_identity(epoch) for epoch in range(self.epoch, -1, -1))
        return (*own, self.master_keys.identity) if self.master_keys else own

    def known_master(self) -> MasterPublic | None:
        """The master this box believes: itself in the master role, else the paired one, else nobody."""
        if self.master_keys:
            return self.master_keys.public()
        return self.pairing.master if self.pairing else None

    def device_public(self) -> DevicePublic:
        """What a master needs to issue grants to this box."""
        hpke_public = self.grant_key(self.epoch).public_key().public_bytes_raw().hex()
        return DevicePublic(
            device_id=self.device_id, epoch=self.epoch, tier=KEY_TIER, hpke_public=hpke_public
        )

    def _derive(self, label: str) -> bytes:
        return _derived(self.seed, label)


@lru_cache(maxsize=64)
def _derived(seed: bytes, label: str) -> bytes:
    """Every row of the journal is checked under such a key."""
    return HKDF(hashes.SHA256(), RAW_KEY_BYTES, salt=None, info=label.encode()).derive(seed)


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
            raise VaultError(
                "VAULT_KEYS_EXIST",
                f"there are keys in {directory} already",
                do_now="Nothing was overwritten. Use the keys that are there.",
            ) from error
        raise


def load(directory: Path) -> KeyRing:
    """The key ring in `directory`; VAULT_KEYS_MISSING, VAULT_KEYS_EXPOSED or VAULT_KEYS_DAMAGED."""
    _refuse_exposed(directory)
    try:
        return _ring(directory, _box(directory))
    except ValueError as error:
        raise VaultError(
            "VAULT_KEYS_DAMAGED", f"the keys in {directory} are damaged", do_now=_RESTORE
        ) from error


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
        raise VaultError(
            "VAULT_ROLE_MISMATCH",
            f"this box was made a {keys.role}, and {role} was asked for",
            do_now="Start the engine in the role the keys were made for; a box does not change its role.",
        )
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
        raise VaultError(
            "VAULT_MASTER_NOT_PAIRED",
            "a master-role box is its own master",
            do_now="Pair boxes in the slave role with this one instead.",
        )
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
        raise VaultError(
            "VAULT_KEYS_EXPOSED",
            f"others can read {path} (mode {mode & 0o777:04o})",
            do_now="Treat these keys as known to others: re-pair the box, or set the modes to 0700 and 0600.",
        )


def _missing(path: Path) -> VaultError:
    return VaultError("VAULT_KEYS_MISSING", f"there is no key at {path}", do_now=_RESTORE)
