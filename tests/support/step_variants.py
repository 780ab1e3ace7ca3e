"""Packs whose access is changed by steps and keys that none of them ships with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from tests.support.definitions import raw, validated

FAST_BPS = 1_000_000
RATE = {"verb": "rate", "to_bps": FAST_BPS}
UPLOAD = {"verb": "upload", "open": "35 {start:3} 00 {size:3}"}
QUESTION = "ignition_off_and_on"
ASK = {
    "verb": "ask", "question": QUESTION, "text": "Ignition off, and on again after 10 s.", "deadline_s": 60.0
}  # fmt: skip
Tables = dict[str, Any]


def changed(definition: Definition, *changes: Callable[[Tables], None]) -> Definition:
    """Each `change` gets the whole file."""
    tables = raw(definition)
    for change in changes:
        change(tables)
    return validated(tables)


def of_pack(name: str, *changes: Callable[[Tables], None]) -> Definition:
    """A pack that ships, changed."""
    return changed(load_definition(PACKS / f"{name}.toml"), *changes)


def written_faster(tables: Tables) -> None:
    """The bus goes to twice its rate for a write."""
    tables["access"][0]["steps"]["open"].append(dict(RATE))
    tables["simulation"]["protocols"] = {"uds": {"rates_bps": [FAST_BPS]}}


def read_by_upload(tables: Tables) -> None:
    """In place of a request for each piece."""
    tables["access"][0]["steps"]["read"] = [dict(UPLOAD)]
    tables["access"][0]["reading"]["block_bytes"] = 0x402


def asks_first(tables: Tables) -> None:
    """The person, before anything is sent for a write."""
    tables["access"][0]["steps"]["open"].insert(0, dict(ASK))


def announces_wire(tables: Tables) -> None:
    """34 tells the length of what travels."""
    tables["access"][0]["writing"]["announces"] = "wire"
