"""Records on disk with the box's keyed hash over their bytes as they lie there.

The hash is never taken over what a model makes of a record: a build that knows one key more would no longer
recognise what it wrote itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import rfc8785

from appliance.contract.records import parse_canonical

Mac = Callable[[bytes], str]
"""Keyed hash of bytes as hex digits (`KeyRing.record_mac`)."""


class NewerRecordError(ValueError):
    """A record is genuine, and of a version that this build does not know."""


def sealed_record(name: str, body: bytes, mac: Mac) -> bytes:
    """What to store of a record in its canonical form, filed under `name`."""
    members = {name: body, "mac": b'"' + mac(body).encode() + b'"'}
    return b"{" + b",".join(b'"' + key.encode() + b'":' + members[key] for key in sorted(members)) + b"}"


def opened_record(name: str, data: bytes, mac: Mac, newest: int) -> bytes:
    """The canonical record in `data`. `ValueError` unless this box wrote every byte of it.

    NewerRecordError for one whose `v` is above `newest`.
    """
    envelope: Any = parse_canonical(data)
    if not isinstance(envelope, dict) or envelope.keys() != {name, "mac"}:
        raise ValueError(f"it is no {name} with its keyed hash")
    body = rfc8785.dumps(envelope[name])
    if not hmac.compare_digest(str(envelope["mac"]).encode(), mac(body).encode()):
        raise ValueError("it was not written by this box")
    version = envelope[name].get("v") if isinstance(envelope[name], dict) else None
    if isinstance(version, int) and version > newest:
        raise NewerRecordError(f"it has version {version}, this build knows up to {newest}")
    return body
