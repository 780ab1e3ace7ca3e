"""The keys of one box in memory: all but a master's are derived from one seed."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field

from appliance.vault.agekey import RAW_KEY_BYTES, AgeIdentity

KEY_TIER = 0
_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
"""In front of the key's 32 bytes (RFC 8410, 4 and 10.1)."""
HexKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Role(StrEnum):
    """What a box may do with plaintext: a master may export it and sign, a slave may only flash it."""

    MASTER = "master"
    SLAVE = "slave"


class Record(BaseModel):
    """What is said of keys on disk or to others: strict, and nothing besides."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MasterPublic(Record):
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


class Pairing(Record):
    """Content of `master.json`: the master and how many times this box has been paired."""

    epoch: Annotated[int, Field(ge=1)]
    master: MasterPublic


class DevicePublic(Record):
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
    """The keys of one box in memory; `key_files.py` makes it, nothing changes it."""

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
