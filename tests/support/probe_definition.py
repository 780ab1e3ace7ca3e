"""An access that no shipped protocol knows: a debug port that erases a whole chip and tells no number."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from appliance.definitions.access.base import AccessDefinition, HashSpan, InWords, Misfit, Proof
from appliance.definitions.memory import Memory
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition

PROTOCOL = "pbx-probe"
CHIP_START = 0x0800_0000
CHIP_BYTES = 0x2000
DEFINITION = f"""
schema_version = 2
id = "pbx-probe-chip"
name = "PBX chip behind a debug port (invented)"
kind = "gearbox"
maker = "Pitbox toy works"
cpu = "one that has never been built"
[evidence]
sources = ["invented for the tests"]
[[memories]]
name = "flash"
page_bytes = 4
[[memories.regions]]
name = "chip"
tag = "calibration"
start = {CHIP_START}
size_bytes = {CHIP_BYTES}
sectors = [{{ size_bytes = {CHIP_BYTES}, count = 1 }}]
[[checksums]]
module = "crc32-at"
region = "chip"
[checksums.parameters]
base = {CHIP_START}
ranges = [[{CHIP_START}, {CHIP_START + CHIP_BYTES - 4}]]
store_at = {CHIP_START + CHIP_BYTES - 4}
order = "little"
[[access]]
name = "tap"
method = "jtag"
protocol = "{PROTOCOL}"
evidence = "unproven"
reason = "Its only way in."
idcode = 0x1A2B_3C4D
erase_s = 2.0
[access.recognition]
[access.voltage]
min_v = 11.5
max_v = 14.5
steady_s = 0.5
[access.recovery]
recoverability = "bootloader"
advice = "The port answers whatever the memory holds: connect it again and finish."
[[access.entry.steps]]
verb = "ask"
question = "probe_connected"
text = "Put the probe on the board. Is it seated?"
deadline_s = 120
[[access.entry.steps]]
verb = "set_pin"
pin = "boot_1"
level = "low"
[[access.entry.steps]]
verb = "supply_on"
min_v = 11.5
max_v = 14.5
[[access.entry.ending]]
verb = "supply_off"
[[access.entry.ending]]
verb = "release_pin"
pin = "boot_1"
"""


class ProbeAccessDefinition(AccessDefinition):
    """Words in and out of a chip; nothing is hashed, and nothing erases less than all of it."""

    method: Literal["jtag"]
    protocol: Literal["pbx-probe"]
    idcode: int = Field(gt=0, lt=0xFFFF_FFFF)
    """The type of chip, as its port tells it."""
    erase_s: float = Field(gt=0, le=60)
    """Longest that an erase takes."""

    @property
    def proof(self) -> Proof:
        return "read_back"

    @property
    def hash_span(self) -> HashSpan | None:
        return None

    @property
    def judges_itself(self) -> bool:
        return False

    def in_words(self) -> InWords:
        return InWords("test access port", "word by word", "the whole chip at once", "full write")

    def misfits(self, memories: Sequence[Memory]) -> Iterator[Misfit]:
        for memory in memories:
            if sum(run.count for region in memory.regions for run in region.sectors) != 1:
                yield (), f"an erase takes all of {memory.name!r} with it: it is one sector"


def probe_definition() -> Definition:
    """Of the chip; its protocol must be registered."""
    return definition_from_json(json.dumps(tomllib.loads(DEFINITION)))
