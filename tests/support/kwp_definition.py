"""Two invented ECUs on a K-line: of the ME7 kind, woken by an address; of the EDC15 kind, by a pulse."""

from __future__ import annotations

import json
import tomllib

from appliance.definitions.access.kwp2000 import KwpAccessDefinition
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition

START, SECTOR_BYTES, SECTORS = 0x10000, 0x800, 4
SECRET = 0x5A17C0DE
_COMMON = f"""
schema_version = 2
kind = "engine"
maker = "Pitbox toy works"
cpu = "one that has never been built"
[evidence]
sources = ["invented for the tests"]
[[memories]]
name = "flash"
page_bytes = 4
[[memories.regions]]
name = "main"
tag = "calibration"
start = {START}
size_bytes = {SECTOR_BYTES * SECTORS}
sectors = [{{ size_bytes = {SECTOR_BYTES}, count = {SECTORS} }}]
[[checksums]]
module = "crc32-at"
region = "main"
[checksums.parameters]
base = {START}
ranges = [[{START}, {START + SECTOR_BYTES * SECTORS - 4}]]
store_at = {START + SECTOR_BYTES * SECTORS - 4}
order = "little"
[[access]]
name = "obd"
method = "obd"
protocol = "kwp2000"
evidence = "unproven"
reason = "Its only way in."
[access.voltage]
min_v = 11.5
max_v = 14.5
steady_s = 0.5
[access.recovery]
recoverability = "bootloader"
advice = "Ignition on: the boot loader answers, and the write is finished."
[access.identity]
hw = {{ option = 0x92 }}
sw = {{ option = 0x94 }}
boot = {{ option = 0x9B, first = 12, length = 4 }}
serial = {{ option = 0x8C }}
vin = {{ option = 0x90 }}
[access.sessions.read_security]
level = 0x01
algorithm = "toy-xor"
constant = {SECRET}
[access.sessions.write_security]
level = 0x01
algorithm = "toy-xor"
constant = {SECRET}
"""
_ME7 = """
id = "pbx-k7"
name = "PBX K7 on a K-line (invented, of the ME7 kind)"
[recognition]
hw = ["026PBX7*"]
[line]
wake = "slow"
wake_address = 0x01
target = 0x10
[times]
to_limits = true
[sessions]
read = 0x86
read_rate_bps = 124_800
programming_rate_bps = 124_800
[erasing]
tool_code = "504954424F58"
[checking]
routine = 0xC5
"""
_EDC15 = """
id = "pbx-k15"
name = "PBX K15 on a K-line (invented, of the EDC15 kind)"
[recognition]
hw = ["028PBX15*"]
[line]
wake = "fast"
target = 0x01
[times]
p4_min_ms = 17
[sessions]
programming_rate_bps = 57_600
"""


def _tables(own: str) -> dict[str, object]:
    tables, tail = tomllib.loads(_COMMON), tomllib.loads(own)
    (access,) = tables["access"]
    for key, value in tail.items():
        if isinstance(value, dict):
            access[key] = {**access.get(key, {}), **value}
        else:
            tables[key] = value
    return tables


def me7_kind() -> Definition:
    """Slow wake-up, times set to their limits, 124,800 bit/s, each block checked by C5."""
    return definition_from_json(json.dumps(_tables(_ME7)))


def edc15_kind() -> Definition:
    """Fast wake-up, 17 ms between bytes, a bit rate that it does not have."""
    return definition_from_json(json.dumps(_tables(_EDC15)))


def how_of(definition: Definition) -> KwpAccessDefinition:
    """Its one access."""
    (access,) = definition.accesses
    assert isinstance(access, KwpAccessDefinition)
    return access
