"""Definitions, vectors and scripts that the tests of the UDS access share."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.protocols.access import Block, EcuAccess
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from tests.support.definitions import raw, validated
from tests.support.places import flash

from .scripted import ScriptedLink, SilentLink, Step, asked, later, play

T = TypeVar("T")

PACK_NAMES = ("pbx-e400", "pbx-fd20", "pbx-s18", "pbx-t300", "pbx-x050")
PRESENT = asked("3E 00", "7E 00")
IN_SESSION = asked("22 F186", "62 F186 02")
"""The two probes that show by turns that answers are in step with requests."""


def definition(name: str, **tables: dict[str, Any]) -> Definition:
    """A pack with some keys of some tables replaced."""
    pack = raw(load_definition(PACKS / f"{name}.toml"))
    for table, changes in tables.items():
        (pack if table in pack else pack["access"][0])[table] |= changes
    return validated(pack)


def vectors(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PACKS / "vectors" / f"{name}.json").read_text("utf-8"))
    return loaded


def first_block(name: str) -> Block:
    given_ = vectors(name)["first_writable_block"]
    return Block(given_["region"], flash(given_["start"], given_["size_bytes"]), given_["block_id"])


def run(chosen: Definition, scenario: Callable[[EcuAccess], Awaitable[T]], *steps: Step) -> T:
    async def main(link: ScriptedLink) -> T:
        client = UdsClient(link, SilentLink(), UdsTiming.of(uds_access(chosen).timing))
        try:
            return await scenario(UdsAccess(uds_access(chosen), client, chosen))
        finally:
            await client.close()

    return play(main, *steps)


def no_progress(count: int) -> None:
    """For tests that do not look at it."""


E400 = definition("pbx-e400")
T300 = definition("pbx-t300")
SESSION_ANSWER = "0032 01F4"
ENTER_E400_WRITING = (
    asked("10 03", f"50 03 {SESSION_ANSWER}"),
    asked("85 02", "C5 02"),
    asked("28 03 01", "68 03"),
    asked("10 02", "7F 10 78", later(0.3, f"50 02 {SESSION_ANSWER}")),
    asked("27 03", "67 03 FFFFFFFF"),
    asked("27 04 3F211BFF", "67 04"),
)

SW = b"E400-SW-0100".hex()
APPLICATION_ANSWERS = (asked("22 F186", "62 F186 01"), asked("22 F188", f"62 F188 {SW}"))
