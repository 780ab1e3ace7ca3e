"""Seal and open whole objects with age v1, and single segments of an image with their hashes."""

from __future__ import annotations

from collections.abc import Sequence

import pyrage

from appliance.contract.phrases import phrase
from appliance.contract.places import Range, Start
from appliance.contract.records import Segment
from appliance.vault.agekey import AgeIdentity
from appliance.vault.contents import sha256_hex
from appliance.vault.errors import VaultError


def seal(plaintext: bytes | bytearray, recipients: Sequence[str]) -> bytes:
    """age v1 file that any of `recipients` (`age1…`) can open; VAULT_RECIPIENT_INVALID for a bad one."""
    try:
        native = [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]
        return pyrage.encrypt(bytes(plaintext), native)
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise VaultError("VAULT_RECIPIENT_INVALID") from error


def open_sealed(sealed: bytes, identities: Sequence[AgeIdentity]) -> bytes:
    """Plaintext of a whole age v1 file; VAULT_CANNOT_OPEN when a byte is wrong, missing or not for us.

    Never in a stream: pyrage's streaming reader hands out plaintext of a truncated file before it fails.
    """
    try:
        return pyrage.decrypt(sealed, [identity.native() for identity in identities])
    except (pyrage.DecryptError, OSError) as error:
        raise VaultError("VAULT_CANNOT_OPEN", technical_text=str(error)) from error


def seal_segment(plaintext: bytes | bytearray, at: Start, recipients: Sequence[str]) -> tuple[Segment, bytes]:
    """Seal what belongs at `at`; the segment's description and its ciphertext.

    `ValueError` when it is empty or longer than SEGMENT_MAX_BYTES.
    """
    sealed = seal(plaintext, recipients)
    segment = Segment(
        place=Range(*at, len(plaintext)),
        pt_sha256=sha256_hex(plaintext),
        ct_sha256=sha256_hex(sealed),
        ct_len=len(sealed),
    )
    return segment, sealed


def check_sealed(segment: Segment, sealed: bytes) -> None:
    """VAULT_BLOB_CHANGED unless `sealed` has the length and hash that `segment` names."""
    if len(sealed) != segment.ct_len or sha256_hex(sealed) != segment.ct_sha256:
        raise _changed(segment, "blob.sealed_bytes_other")


def open_segment(segment: Segment, sealed: bytes, identities: Sequence[AgeIdentity]) -> bytes:
    """Plaintext of a segment: ciphertext length and hash, then age, then plaintext length and hash."""
    check_sealed(segment, sealed)
    return open_checked(segment, sealed, identities)


def open_checked(segment: Segment, sealed: bytes, identities: Sequence[AgeIdentity]) -> bytes:
    """`open_segment` without the ciphertext's hash: the plaintext's own hash decides."""
    plaintext = open_sealed(sealed, identities)
    if len(plaintext) != segment.place.length or sha256_hex(plaintext) != segment.pt_sha256:
        raise _changed(segment, "blob.content_other")
    return plaintext


def _changed(segment: Segment, why: str) -> VaultError:
    return VaultError("VAULT_BLOB_CHANGED", place=str(segment.place), why=phrase(why))
