"""Releasing the key of a tuned file to one box: HPKE (RFC 9180, base mode) and the conditions around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from appliance.contract.catalogue import Phrase
from appliance.contract.manifest import Grant, GrantOp, GrantTerms, Manifest
from appliance.contract.phrases import phrase
from appliance.contract.records import EcuIdentity
from appliance.vault.agekey import AgeIdentity
from appliance.vault.errors import VaultError
from appliance.vault.keys import KEY_TIER, DevicePublic, KeyRing
from appliance.vault.signing import decode, encode

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_INFO_PREFIX = b"pitbox/grant/v1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantUse:
    """What the box is about to do with a grant, as it knows it itself.

    `starts` counts the writes already begun under this grant. `recovering` says that the journal of a write
    begun under it is open: then its expiry, its start count and a pairing made since do not count, because
    an ECU is never left half-written over a licence. `newest_version` is the highest version of a tuned file
    that a write of this job was begun with: an older one is not written over it again.
    """

    now_s: int
    job_id: str
    ecu: EcuIdentity
    op: GrantOp = GrantOp.WRITE
    starts: int = 0
    newest_version: int = 0
    recovering: bool = False


def seal_grant(terms: GrantTerms, file_identity: AgeIdentity, device: DevicePublic) -> Grant:
    """Seal the key of a tuned file to `device`, bound to every field of `terms`."""
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(device.hpke_public))
    stated = json.loads(terms.canonical())
    sealed = _SUITE.encrypt(file_identity.secret.encode(), public, info=_info(stated))
    return Grant.model_validate(stated | {"sealed": encode(sealed)})


def open_grant(grant: Grant, keys: KeyRing) -> AgeIdentity:
    """The tuned file's key; VAULT_GRANT_SEALED when it is not for this box or a term was changed."""
    stated = grant.stated()
    sealed = str(stated.pop("sealed"))
    try:
        secret = _SUITE.decrypt(decode(sealed), keys.grant_key(grant.epoch), info=_info(stated))
        return AgeIdentity(secret.decode("ascii"))
    except (InvalidTag, ValueError) as error:
        raise VaultError("VAULT_GRANT_SEALED") from error


def check_grant(grant: Grant, manifest: Manifest, manifest_sha256: str, keys: KeyRing, use: GrantUse) -> None:
    """Refuse a grant whose terms do not fit box, manifest, job, ECU, operation or time.

    The error's code is that of the first misfit, its details list them all: VAULT_GRANT_DEVICE, _EPOCH,
    _TIER, _FILE, _MANIFEST, _JOB, _ECU, _OP, _VERSION, _NOT_YET, _EXPIRED, _STARTS.
    """
    misfits = [
        *_misfits_of_box(grant, manifest, keys, use),
        *_misfits_of_file(grant, manifest, manifest_sha256),
    ]
    misfits += [*_misfits_of_use(grant, manifest, use), *_misfits_of_time(grant, use)]
    if misfits:
        first = misfits[0]
        raise VaultError(f"VAULT_GRANT_{first.key.partition('.')[2].upper()}", why=first, points=misfits)


def _misfits_of_box(grant: Grant, manifest: Manifest, keys: KeyRing, use: GrantUse) -> Iterator[Phrase]:
    if not grant.device_id == manifest.device_id == keys.device_id:
        yield phrase("grant.device", wanted=grant.device_id, own=keys.device_id)
    if grant.epoch != keys.epoch and not (use.recovering and grant.epoch < keys.epoch):
        yield phrase("grant.epoch", wanted=grant.epoch, own=keys.epoch)
    if grant.tier != KEY_TIER:
        yield phrase("grant.tier", wanted=grant.tier, own=KEY_TIER)


def _misfits_of_file(grant: Grant, manifest: Manifest, manifest_sha256: str) -> Iterator[Phrase]:
    if grant.file_id != manifest.file_id:
        yield phrase("grant.file", wanted=grant.file_id, own=manifest.file_id)
    if grant.manifest_sha256 != manifest_sha256:
        yield phrase("grant.manifest")


def _misfits_of_use(grant: Grant, manifest: Manifest, use: GrantUse) -> Iterator[Phrase]:
    if not grant.job_id == manifest.job_id == use.job_id:
        yield phrase("grant.job", wanted=grant.job_id, own=use.job_id)
    if not grant.ecu == manifest.ecu == use.ecu:
        yield phrase("grant.ecu", wanted=_spell(grant.ecu), own=_spell(use.ecu))
    if grant.op != use.op:
        yield phrase("grant.op", allowed=grant.op, asked=use.op)
    if manifest.version < use.newest_version and not use.recovering:
        yield phrase("grant.version", version=manifest.version, newest=use.newest_version)


def _misfits_of_time(grant: Grant, use: GrantUse) -> Iterator[Phrase]:
    if use.recovering:
        return
    if use.now_s < grant.nbf:
        yield phrase("grant.not_yet", from_s=grant.nbf, now_s=use.now_s)
    if use.now_s >= grant.exp:
        yield phrase("grant.expired", until_s=grant.exp, now_s=use.now_s)
    if use.starts >= grant.max_starts:
        yield phrase("grant.starts", most=grant.max_starts, made=use.starts)


def _spell(ecu: EcuIdentity) -> Phrase:
    vin_hash = (ecu.vin_hmac or "-")[:8]
    return phrase("grant.numbers", hw=ecu.hw, sw=ecu.sw, boot=ecu.boot or "-", vin_hash=vin_hash)


def _info(stated: Mapping[str, object]) -> bytes:
    """Binds the key to the terms as the master stated them, not to what this build's model makes of them."""
    return _INFO_PREFIX + hashlib.sha256(rfc8785.dumps(dict(stated))).digest()  # type: ignore[arg-type]
