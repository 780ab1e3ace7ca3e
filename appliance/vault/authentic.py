"""Records on disk with the box's keyed hash over their bytes as they lie there.

The hash is never taken over what a model makes of a record: a build that knows one key more would no longer
recognise what it wrote itself.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

from appliance.contract.phrases import phrase

Mac = Callable[[bytes], str]
"""Keyed hash of bytes as hex digits (`KeyRing.record_mac`)."""
_MAC_DIGITS = 64


class NewerRecordError(ValueError):
    """A record is genuine, and of a version that this build does not know."""

    def __init__(self, version: int, newest: int) -> None:
        self.said = phrase("newer.version", version=version, newest=newest)
        super().__init__(self.said.text)


def sealed_record(name: str, body: bytes, mac: Mac) -> bytes:
    """What to store of a record in its canonical form, filed under `name`."""
    members = {name: body, "mac": b'"' + mac(body).encode() + b'"'}
    return b"{" + b",".join(b'"' + key.encode() + b'":' + members[key] for key in sorted(members)) + b"}"


def opened_record(name: str, data: bytes, mac: Mac, newest: int) -> bytes:
    """The canonical record in `data`. `ValueError` unless this box wrote every byte of it.

    NewerRecordError for one whose `v` is above `newest`. What this box did not write is not even parsed.
    """
    key, empty = f'"{name}":'.encode(), sealed_record(name, b"", lambda _: "0" * _MAC_DIGITS)
    before = empty.index(key) + len(key)
    body = data[before : before + len(data) - len(empty)]
    if not hmac.compare_digest(sealed_record(name, body, mac), data):
        raise ValueError(f"it is no {name} that this box wrote")
    record: Any = json.loads(body)
    version = record.get("v") if isinstance(record, dict) else None
    if isinstance(version, int) and version > newest:
        raise NewerRecordError(version, newest)
    return body
