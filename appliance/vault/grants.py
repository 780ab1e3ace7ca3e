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

from appliance.contract.manifest import Grant, GrantOp, GrantTerms, Manifest
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
        raise VaultError(
            "VAULT_GRANT_SEALED",
            "the grant does not open on this box",
            do_now="Ask the file service for a new grant for this box.",
        ) from error


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
        raise VaultError(
            f"VAULT_GRANT_{misfits[0][0]}",
            f"the grant does not cover this: {misfits[0][1]}",
            do_now="Ask the file service for a new grant for this box, this job and this ECU.",
            details=tuple(reason for _, reason in misfits),
        )


def _misfits_of_box(
    grant: Grant, manifest: Manifest, keys: KeyRing, use: GrantUse
) -> Iterator[tuple[str, str]]:
    if not grant.device_id == manifest.device_id == keys.device_id:
        yield "DEVICE", f"it is for the box {grant.device_id}, and this is {keys.device_id}"
    if grant.epoch != keys.epoch and not (use.recovering and grant.epoch < keys.epoch):
        yield "EPOCH", f"it is for pairing {grant.epoch} of this box, and this is pairing {keys.epoch}"
    if grant.tier != KEY_TIER:
        yield "TIER", f"it is for key protection tier {grant.tier}, and this box has {KEY_TIER}"


def _misfits_of_file(grant: Grant, manifest: Manifest, manifest_sha256: str) -> Iterator[tuple[str, str]]:
    if grant.file_id != manifest.file_id:
        yield "FILE", f"it is for the file {grant.file_id}, and this is {manifest.file_id}"
    if grant.manifest_sha256 != manifest_sha256:
        yield "MANIFEST", "it is for another manifest than the one in the package"


def _misfits_of_use(grant: Grant, manifest: Manifest, use: GrantUse) -> Iterator[tuple[str, str]]:
    if not grant.job_id == manifest.job_id == use.job_id:
        yield "JOB", f"it is for the job {grant.job_id}, and this is {use.job_id}"
    if not grant.ecu == manifest.ecu == use.ecu:
        yield "ECU", f"it is for the ECU {_spell(grant.ecu)}, and this is {_spell(use.ecu)}"
    if grant.op != use.op:
        yield "OP", f"it allows {grant.op}, and {use.op} was asked for"
    if manifest.version < use.newest_version and not use.recovering:
        yield (
            "VERSION",
            f"it is version {manifest.version}, and version {use.newest_version} was begun already",
        )


def _misfits_of_time(grant: Grant, use: GrantUse) -> Iterator[tuple[str, str]]:
    if use.recovering:
        return
    if use.now_s < grant.nbf:
        yield "NOT_YET", f"it is not valid yet: valid from {grant.nbf}, now {use.now_s} (Unix seconds)"
    if use.now_s >= grant.exp:
        yield "EXPIRED", f"it has expired: valid until {grant.exp}, now {use.now_s} (Unix seconds)"
    if use.starts >= grant.max_starts:
        yield "STARTS", f"it allows {grant.max_starts} starts, and {use.starts} were made"


def _spell(ecu: EcuIdentity) -> str:
    return f"hw {ecu.hw}, sw {ecu.sw}, boot {ecu.boot or '-'}, VIN hash {(ecu.vin_hmac or '-')[:8]}"


def _info(stated: Mapping[str, object]) -> bytes:
    """Binds the key to the terms as the master stated them, not to what this build's model makes of them."""
    return _INFO_PREFIX + hashlib.sha256(rfc8785.dumps(dict(stated))).digest()  # type: ignore[arg-type]
