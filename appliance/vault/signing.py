"""Compact JWS (RFC 7515) with Ed25519 (RFC 9864) over RFC 8785 JSON, for manifests and grants."""

from __future__ import annotations

import base64
import binascii
import json
from enum import StrEnum
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.contract.records import Record, parse_canonical
from appliance.vault.errors import VaultError
from appliance.vault.keys import MasterKeys, MasterPublic

ALGORITHM = "Ed25519"
JWS_MAX_BYTES = 120 * 1024
_HEADER_FIELDS = frozenset({"alg", "kid", "typ"})

RecordT = TypeVar("RecordT", bound=Record)


class Typ(StrEnum):
    """JWS media types; the one a signature was made for is the only one it counts for."""

    MANIFEST = "ecu-manifest+jwt"
    GRANT = "ecu-grant+jwt"


def sign(record: Record, typ: Typ, master: MasterKeys) -> str:
    """Compact JWS over the canonical JSON of `record`; `ValueError` when it would exceed JWS_MAX_BYTES."""
    header = {"alg": ALGORITHM, "kid": master.public().kid, "typ": typ.value}
    signed = f"{encode(json.dumps(header, separators=(',', ':')).encode())}.{encode(record.canonical())}"
    token = f"{signed}.{encode(master.signing_key.sign(signed.encode()))}"
    if len(token) > JWS_MAX_BYTES:
        raise ValueError(f"{typ} is longer than {JWS_MAX_BYTES} bytes")
    return token


def verify(token: bytes, typ: Typ, master: MasterPublic, model: type[RecordT]) -> RecordT:
    """The signed record: first the header's allow-list, then the signature, then the schema.

    VAULT_SIGNATURE_INVALID, VAULT_SIGNER_UNKNOWN (another master's key) or VAULT_SCHEMA_INVALID.
    """
    payload = _verified_payload(token, typ, master)
    try:
        parse_canonical(payload)
        return model.read(payload)
    except ValueError as error:
        raise VaultError("VAULT_SCHEMA_INVALID", document=typ, points=_reasons(error)) from error


def _verified_payload(token: bytes, typ: Typ, master: MasterPublic) -> bytes:
    try:
        if len(token) > JWS_MAX_BYTES:
            raise ValueError("it is too long")
        header_part, payload_part, signature_part = token.decode("ascii").split(".")
        _check_header(decode(header_part), typ, master)
        payload = decode(payload_part)
        master.public_key().verify(decode(signature_part), f"{header_part}.{payload_part}".encode())
    except InvalidSignature as error:
        raise _refused(typ, phrase("signature.not_the_masters")) from error
    except ValueError as error:
        raise _refused(typ, phrase("malformed", technical_text=str(error))) from error
    return payload


def _refused(typ: Typ, why: Phrase) -> VaultError:
    return VaultError("VAULT_SIGNATURE_INVALID", document=typ, why=why)


def _check_header(header_json: bytes, typ: Typ, master: MasterPublic) -> None:
    header = json.loads(header_json)
    if not isinstance(header, dict) or header.keys() != _HEADER_FIELDS:
        raise ValueError("its header does not have exactly alg, kid and typ")
    if header["alg"] != ALGORITHM or header["typ"] != typ:
        raise ValueError("its algorithm or type is not on the allow-list")
    if header["kid"] != master.kid:
        raise VaultError("VAULT_SIGNER_UNKNOWN", document=typ)


def encode(data: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Bytes of unpadded base64url; `ValueError` for any spelling but the canonical one."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data


def _reasons(error: ValueError) -> tuple[Phrase, ...]:
    reasons = [str(error)]
    if isinstance(error, ValidationError):
        reasons = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return tuple(phrase("malformed", technical_text=reason) for reason in reasons)
