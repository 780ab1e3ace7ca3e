"""The packs that ship: they load, and they agree with vectors worked out without our own code."""

import ast
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.definitions.access.kwp2000 import kwp_access
from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_dirs
from appliance.definitions.schema import Definition
from simulator.ecu.keys import told_level

LIBRARY = load_dirs([PACKS])
FILES = sorted(PACKS.glob("*.toml"))
ROOT = Path(__file__).parents[3]


def vectors_of(definition_id: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((PACKS / "vectors" / f"{definition_id}.json").read_text("utf-8"))
    return vectors


@pytest.fixture(params=[path.stem for path in FILES])
def definition(request: pytest.FixtureRequest) -> Definition:
    return LIBRARY.get(request.param)


@pytest.fixture
def vectors(definition: Definition) -> dict[str, Any]:
    return vectors_of(definition.id)


def test_every_pack_loads_under_the_name_of_its_file() -> None:
    assert not LIBRARY.refused
    assert [definition.id for definition in LIBRARY] == [path.stem for path in FILES]
    assert {path.stem for path in PACKS.glob("vectors/*.json")} == {path.stem for path in FILES}


def test_the_promised_kinds_of_ecu_are_there() -> None:
    assert uds_access(LIBRARY.get("pbx-e400")).writing.by == "address"
    assert uds_access(LIBRARY.get("pbx-s18")).writing.by == "block_id"
    assert uds_access(LIBRARY.get("pbx-fd20")).bus.kind == "can-fd"
    assert LIBRARY.get("pbx-t300").kind == "gearbox"
    assert uds_access(LIBRARY.get("pbx-x050")).recovery.recoverability == "bench"
    assert kwp_access(LIBRARY.get("pbx-k7")).line.wake == "slow"
    assert kwp_access(LIBRARY.get("pbx-k15")).line.wake == "fast"


def test_a_pack_claims_no_more_than_simulation(definition: Definition) -> None:
    assert {access.evidence for access in definition.accesses} == {"simulated"}
    assert definition.evidence.assumptions
    assert definition.simulation.hw.startswith("PBX-")
    assert definition.simulation.vin.startswith("PBXTESTCAR")


def test_identities_are_recognised_as_the_vectors_say(
    definition: Definition, vectors: dict[str, Any]
) -> None:
    for identity in vectors["recognised"]:
        assert LIBRARY.recognise(identity)[0].definition is definition, identity
    for identity in vectors["not_recognised"]:
        assert definition not in [way.definition for way in LIBRARY.recognise(identity)], identity


def test_the_simulated_twin_is_recognised(definition: Definition) -> None:
    twin = definition.simulation
    ways = LIBRARY.recognise({"hw": twin.hw, "sw": twin.sw, "boot": twin.boot})
    assert ways == [(definition, access) for access in definition.accesses]


def test_memory_is_as_the_vectors_say(definition: Definition, vectors: dict[str, Any]) -> None:
    regions = definition.regions
    assert vectors["memory"] == {
        "size_bytes": sum(region.size_bytes for region in regions),
        "sectors": sum(len(region.sector_ranges()) for region in regions),
        "writable_sectors": sum(len(region.sector_ranges()) for region in regions if region.writable),
    }
    first = min((region for region in regions if region.writable), key=lambda region: region.start)
    sector = first.sector_ranges()[0]
    assert vectors["first_writable_block"] == {
        "region": first.name,
        "start": sector.start,
        "size_bytes": sector.length,
        "block_id": first.block_id,
    }


def test_the_bootloader_is_never_written(definition: Definition) -> None:
    assert [region.tag for region in definition.regions if not region.writable] == ["boot"]


# The requests below are put together from ISO 14229-1 (sources: uds-sequence), apart from the host's codecs.


def big_endian(value: int, size: int) -> str:
    return value.to_bytes(size, "big").hex().upper()


def memory_field(definition: Definition, start: int, size: int) -> str:
    writing = uds_access(definition).writing
    identifier = f"{writing.size_bytes:X}{writing.address_bytes:X}"
    return identifier + big_endian(start, writing.address_bytes) + big_endian(size, writing.size_bytes)


def check_vector(definition: Definition, block: dict[str, Any], fill: str | None) -> dict[str, Any]:
    """Without a byte to fill the block with, nothing of ours is compared."""
    start = f"3101{uds_access(definition).checking.routine:04X}"
    if fill is None:
        request = f"{start}01{block['block_id']:02X}000400000000"
        return {"fill_byte": None, "request": request, "response": f"71{start[2:]}00"}
    crc = big_endian(zlib.crc32(bytes.fromhex(fill) * block["size_bytes"]), 4)
    if uds_access(definition).checking.style == "compare_block":
        request = f"{start}01{block['block_id']:02X}0004{crc}"
        return {"fill_byte": fill, "request": request, "response": f"71{start[2:]}00"}
    request = start + memory_field(definition, block["start"], block["size_bytes"])
    return {"fill_byte": fill, "request": request, "response": f"71{start[2:]}{crc}"}


def uds_requests_follow(definition: Definition, vectors: dict[str, Any]) -> None:
    block, given, sessions = (
        vectors["first_writable_block"],
        vectors["requests"],
        uds_access(definition).sessions,
    )
    access = uds_access(definition)
    if (
        given is None
    ):  # what an access gives as steps has vectors of its own: tests/unit/definitions/test_steps.py
        assert (access.erasing.by, access.writing.by) == ("steps", "steps")
        assert vectors["steps"]
        return
    by_id = access.writing.by == "block_id"
    loaded = memory_field(definition, block["block_id"] if by_id else block["start"], block["size_bytes"])
    erased = f"01{block['block_id']:02X}" if by_id else loaded
    assert given["erase"] == f"3101{uds_access(definition).erasing.routine:04X}{erased}"
    assert given["request_download"] == f"34{uds_access(definition).writing.data_format:02X}{loaded}"
    assert given["check_dependencies"] == f"3101{uds_access(definition).checking.dependencies_routine:04X}"
    assert given["precondition"] == (f"3101{sessions.precondition_routine:04X}" if by_id else None)
    fingerprint = f"2E{access.writing.fingerprint_did:04X}{access.writing.fingerprint}" if by_id else None
    assert given["fingerprint"] == fingerprint
    if uds_access(definition).checking.style == "none":
        assert given["check"] is None
    else:
        assert given["check"] == check_vector(definition, block, given["check"]["fill_byte"])


def kwp_requests_follow(definition: Definition, vectors: dict[str, Any]) -> None:
    """ISO 14230-3: first and last address, then whatever the routine gets."""
    block, given, access = vectors["first_writable_block"], vectors["requests"], kwp_access(definition)
    first = big_endian(block["start"], 3)
    place = first + big_endian(block["start"] + block["size_bytes"] - 1, 3)
    assert given["erase"] == f"31{access.erasing.routine:02X}{place}{access.erasing.tool_code}"
    loaded = f"{first}{access.writing.data_format:02X}{big_endian(block['size_bytes'], 3)}"
    assert given["request_download"] == f"34{loaded}"
    if access.checking.routine is None:
        assert given["check"] is None
        return
    routine, fill = f"{access.checking.routine:02X}", bytes.fromhex(given["check"]["fill_byte"])
    crc = big_endian(zlib.crc32(fill * block["size_bytes"]) & 0xFFFF, 2)
    assert given["check"]["request"] == f"31{routine}{place}{crc}"
    assert given["check"]["result"] == f"33{routine}"


REQUESTS = {"uds": uds_requests_follow, "kwp2000": kwp_requests_follow}


def test_requests_follow_from_the_definition(definition: Definition, vectors: dict[str, Any]) -> None:
    REQUESTS[definition.best_access.protocol](definition, vectors)


SESSIONS: dict[str, Callable[[Definition], Any]] = {
    "uds": lambda definition: uds_access(definition).sessions,
    "kwp2000": lambda definition: kwp_access(definition).sessions,
}


def test_keys_answer_their_seeds(definition: Definition, vectors: dict[str, Any]) -> None:
    sessions = SESSIONS[definition.best_access.protocol](definition)
    levels = {"read": sessions.read_security, "write": sessions.write_security}
    assert {entry["purpose"] for entry in vectors["security"]} == {
        use for use, level in levels.items() if level
    }
    for entry in vectors["security"]:
        named = levels[entry["purpose"]]
        assert named
        level = told_level(named, definition.twin.secrets)
        assert level.level == entry["level"]
        key = ALGORITHMS[level.algorithm](int(entry["seed"], 16), level)
        assert big_endian(key, level.seed_bytes) == entry["key"]


# Sheet obd 4.1 once more, with each instruction a function of (register, operand) to (register, carry).
SA2_ARITHMETIC: dict[int, tuple[int, Callable[[int, int], tuple[int, int | None]]]] = {
    0x81: (0, lambda register, _: ((register << 1 | register >> 31) % 2**32, register >> 31)),
    0x82: (0, lambda register, _: (register >> 1 | (register & 1) << 31, register & 1)),
    0x93: (4, lambda register, number: ((register + number) % 2**32, (register + number) >> 32)),
    0x84: (4, lambda register, number: ((register - number) % 2**32, int(number > register))),
    0x87: (4, lambda register, number: (register ^ number, None)),
}


def sa2_key(script: bytes, seed: int) -> int:
    return sa2_run(script, 0, seed, 0)[1]


def sa2_run(script: bytes, at: int, register: int, carry: int) -> tuple[int, int, int]:
    """Run a loop body, or the whole script: (address behind it, register, carry)."""
    while script[at] not in (0x49, 0x4C):
        code, operand = script[at], script[at + 1]
        if code == 0x68:
            body = at + 2
            for _ in range(operand):
                at, register, carry = sa2_run(script, body, register, carry)
        elif code in (0x4A, 0x6B):
            at += 2 + (operand if code == 0x6B or not carry else 0)
        else:
            size, step = SA2_ARITHMETIC[code]
            register, out = step(register, int.from_bytes(script[at + 1 : at + 1 + size], "big"))
            carry = carry if out is None else out
            at += 1 + size
    return at + 1, register, carry


ALGORITHMS: dict[str, Callable[[int, SecurityLevel], int]] = {
    "toy-xor": lambda seed, level: seed ^ (level.constant or 0),
    "toy-add": lambda seed, level: (seed + (level.constant or 0)) % 2**32,
    "toy-rotate": lambda seed, level: int(f"{seed:032b}"[7:] + f"{seed:032b}"[:7], 2) ^ (level.constant or 0),
    "sa2": lambda seed, level: sa2_key(bytes.fromhex(level.script or ""), seed),
}


def test_the_sa2_machine_of_this_test_answers_the_public_vector() -> None:
    script = bytes.fromhex("6802814993A55A55AA4A05878105952668058249845AA5AA558703F7806A4C")
    assert sa2_key(script, 0x1A1B1C1D) == 0x6A37F02E


def test_every_test_that_is_named_as_proof_exists(vectors: dict[str, Any]) -> None:
    assert vectors["proof"]
    for entry in vectors["proof"]:
        path, name = entry["test"].split("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}, entry
