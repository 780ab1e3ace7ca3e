"""Seed and key: the SA2 machine on public vectors, toys, and plugins that are or are not there."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import PitboxError
from appliance.definitions.access.security import SecurityLevel
from appliance.protocols.access import AccessError
from appliance.protocols.security import algorithms
from appliance.protocols.security.algorithms import KeyNotMadeError
from appliance.protocols.security.sa2 import Sa2Error, sa2_key
from appliance.protocols.security.toys import TOYS, toy_key
from appliance.protocols.transforms import none_supplied
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.unlocking import Unlock
from simulator.ecu.keys import expected_key
from simulator.virtualtime import run_virtual

from .scripted import Parrot

FOUR_BYTES = st.binary(min_size=4, max_size=4)


@pytest.mark.parametrize(
    ("script", "seed", "key"),
    [
        ("6802814993A55A55AA4A05878105952668058249845AA5AA558703F7806A4C", "1A1B1C1D", "6A37F02E"),
        (
            "6802814A10680493080820094A05872212195482499307122011824A058703112010824A0181494C",
            "A04EB1ED",
            "3C7876D8",
        ),
    ],
)
def test_sa2_on_the_vectors_of_bri3d_sa2_seed_key(script: str, seed: str, key: str) -> None:
    assert sa2_key(bytes.fromhex(script), bytes.fromhex(seed)).hex().upper() == key


@pytest.mark.parametrize(
    ("script", "seed", "key"),
    [
        ("4C", "12345678", "12345678"),
        ("81 4C", "80000001", "00000003"),
        ("82 4C", "00000001", "80000000"),
        ("93 00000001 4C", "FFFFFFFF", "00000000"),
        ("84 00000001 4C", "00000000", "FFFFFFFF"),
        ("87 FFFFFFFF 4C", "0F0F0F0F", "F0F0F0F0"),
        ("68 03 81 49 4C", "00000001", "00000008"),
        ("68 02 68 03 81 49 49 4C", "00000001", "00000040"),
        ("6B 01 81 4C", "00000001", "00000001"),
        ("81 4A 01 81 4C", "40000000", "80000000"),
        ("81 4A 01 81 4C", "80000000", "00000002"),
        ("93 FFFFFFFF 4A 01 81 4C", "00000001", "00000000"),
        ("84 00000002 4A 01 81 4C", "00000001", "FFFFFFFF"),
        ("93 FFFFFFFF 87 00000001 4A 01 81 4C", "00000001", "00000002"),
    ],
)
def test_sa2_instructions(script: str, seed: str, key: str) -> None:
    assert sa2_key(bytes.fromhex(script), bytes.fromhex(seed)) == bytes.fromhex(key)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("", "cut off"),
        ("81", "cut off"),
        ("93 0000", "cut off"),
        ("00 4C", "unknown instruction at byte 0"),
        ("49 4C", "never began"),
        ("6B FF 4C", "cut off"),
    ],
)
def test_broken_scripts_say_why(script: str, why: str) -> None:
    with pytest.raises(Sa2Error, match=why):
        sa2_key(bytes.fromhex(script), bytes(4))


def test_an_endless_script_comes_to_an_end() -> None:
    endless = b"\x68\xff" * 4 + b"\x81" + b"\x49" * 4 + b"\x4c"
    with pytest.raises(Sa2Error, match="does not come to an end"):
        sa2_key(endless, bytes(4))


def test_sa2_wants_four_bytes() -> None:
    with pytest.raises(Sa2Error, match="four bytes, not 3"):
        sa2_key(b"\x4c", bytes(3))


@given(st.binary(max_size=24), FOUR_BYTES)
def test_any_script_ends_in_a_key_or_an_error(script: bytes, seed: bytes) -> None:
    with suppress(Sa2Error):  # garbage is refused, never run off its end
        assert len(sa2_key(script, seed)) == 4


INSTRUCTION = st.one_of(
    st.sampled_from([b"\x81", b"\x82"]),
    st.tuples(st.sampled_from([b"\x93", b"\x84", b"\x87"]), FOUR_BYTES).map(b"".join),
)
JUMP = INSTRUCTION.flatmap(
    lambda body: st.sampled_from([b"\x4a", b"\x6b"]).map(lambda op: op + bytes((len(body),)) + body)
)
STRAIGHT = st.lists(INSTRUCTION | JUMP, max_size=6).map(b"".join)
LOOPED = st.tuples(st.integers(1, 5), STRAIGHT).map(
    lambda loop: b"\x68" + bytes((loop[0],)) + loop[1] + b"\x49"
)
SCRIPT = st.lists(STRAIGHT | LOOPED, max_size=4).map(lambda parts: b"".join(parts) + b"\x4c")


@given(SCRIPT, FOUR_BYTES)
def test_host_and_simulated_ecu_agree_on_every_script(script: bytes, seed: bytes) -> None:
    level = SecurityLevel(level=1, algorithm="sa2", script=script.hex())
    assert algorithms.algorithm_for(level)(1, seed, {}) == expected_key(level, seed, {})


@given(st.sampled_from(sorted(TOYS)), st.integers(0, 0xFFFF_FFFF), FOUR_BYTES)
def test_host_and_simulated_ecu_agree_on_the_toys(name: str, constant: int, seed: bytes) -> None:
    level = SecurityLevel(level=1, algorithm=name, constant=constant)
    assert algorithms.algorithm_for(level)(1, seed, {}) == expected_key(level, seed, {})


def test_toys() -> None:
    seed = bytes.fromhex("80000001")
    assert toy_key("toy-xor", 0xFFFFFFFF, seed) == bytes.fromhex("7FFFFFFE")
    assert toy_key("toy-add", 0x80000000, seed) == bytes.fromhex("00000001")
    assert toy_key("toy-rotate", 0, seed) == bytes.fromhex("000000C0")


PLUGIN_LEVEL = SecurityLevel(level=5, algorithm="plugin:owner.algorithm")


def reverse_with_level(level: int, seed: bytes, context: Mapping[str, object]) -> bytes:
    return bytes((level,)) + seed[::-1] + str(context["definition"]).encode()


NOT_A_FUNCTION = 42


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Names and targets of the plugins that seem to be installed."""
    targets: dict[str, str] = {}

    def entry_points(group: str, name: str) -> list[metadata.EntryPoint]:
        assert group == "pitbox.security"
        return [metadata.EntryPoint(name, targets[name], group)] if name in targets else []

    monkeypatch.setattr(algorithms, "entry_points", entry_points)
    return targets


def test_a_plugin_is_called_with_level_seed_and_context(installed: dict[str, str]) -> None:
    installed["owner.algorithm"] = f"{__name__}:reverse_with_level"
    key = algorithms.algorithm_for(PLUGIN_LEVEL)(5, b"\x01\x02", {"definition": "x"})
    assert key == b"\x05\x02\x01x"


def hand_over(level: int, seed: bytes, context: Mapping[str, object]) -> bytes:
    """What it was handed is its key, or what it complains about."""
    if not seed:
        raise ValueError(context["secret"])
    return bytes((level,)) + seed + context["secret"] if level == 5 else context["secret"].hex()  # type: ignore[operator,attr-defined,no-any-return]


def test_a_plugin_gets_the_owners_secret_and_cannot_tell_it(installed: dict[str, str]) -> None:
    installed["owner.algorithm"] = f"{__name__}:hand_over"
    level = PLUGIN_LEVEL.model_copy(update={"secret": "unlock"})
    key = algorithms.algorithm_for(level, {"unlock": b"hidden!"}.__getitem__)
    assert key(5, b"\x01", {"definition": "x"}) == b"\x05\x01hidden!"
    for odd, seed in ((5, b""), (7, b"\x01")):
        with pytest.raises(KeyNotMadeError) as caught:
            key(odd, seed, {"definition": "x"})
        told = "".join(traceback.format_exception(caught.value))
        assert "hidden!" not in told and b"hidden!".hex() not in told
        assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_a_missing_plugin_is_named(installed: dict[str, str]) -> None:
    with pytest.raises(PitboxError) as caught:
        algorithms.algorithm_for(PLUGIN_LEVEL)
    assert caught.value.code == "SECURITY_PLUGIN_MISSING"
    assert "'owner.algorithm'" in caught.value.what


@pytest.mark.parametrize("target", ["no_such_module:key", "json:no_such_name", f"{__name__}:NOT_A_FUNCTION"])
def test_a_plugin_that_cannot_be_loaded_is_named(installed: dict[str, str], target: str) -> None:
    installed["owner.algorithm"] = target
    with pytest.raises(PitboxError) as caught:
        algorithms.algorithm_for(PLUGIN_LEVEL)
    assert caught.value.code == "SECURITY_PLUGIN_BROKEN"


def clumsy(level: int, seed: bytes, context: Mapping[str, object]) -> bytes | None:
    """Made for seeds of four bytes by somebody in a hurry."""
    if len(seed) > 8:
        raise RuntimeError("who would send that?")
    return bytes((seed[3] // (seed[0] - seed[1]),)) if len(seed) > 2 else None


SCRIPT = "6802814993A55A55AA4A05878105952668058249845AA5AA558703F7806A4C"
LEVELS = [
    *(SecurityLevel(level=1, algorithm=name, constant=0xC0DE_F00D) for name in TOYS),
    SecurityLevel(
        level=1, algorithm="sa2", script="6802814993A55A55AA4A05878105952668058249845AA5AA558703F7806A4C"
    ),
    SecurityLevel(level=1, algorithm="sa2", script="FF"),
    SecurityLevel(level=1, algorithm="plugin:owner.algorithm"),
]


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.algorithm)
@given(seed=st.binary(max_size=40), seed_bytes=st.integers(1, 32))
def test_any_seed_gives_a_key_or_an_access_error(level: SecurityLevel, seed: bytes, seed_bytes: int) -> None:
    """At the algorithm, and through an unlock against an ECU that sends seeds of its own length."""

    async def unlock() -> None:
        keys = {bytes((0x27, 2)) + key: b"\x67\x02"} if key else {}
        client = UdsClient(Parrot({b"\x27\x01": b"\x67\x01" + seed, **keys}))
        opened = Unlock.of(level.model_copy(update={"seed_bytes": seed_bytes}), "x", none_supplied)
        assert opened is not None
        if len(seed) == seed_bytes and (key or not any(seed)):
            await opened.perform(client)
        else:
            with pytest.raises(AccessError):
                await opened.perform(client)

    with pytest.MonkeyPatch.context() as patched:
        plugin = metadata.EntryPoint("owner.algorithm", f"{__name__}:clumsy", "pitbox.security")
        patched.setattr(algorithms, "entry_points", lambda group, name: [plugin])
        key: bytes | None = None
        with suppress(KeyNotMadeError):
            key = algorithms.algorithm_for(level)(level.level, seed, {"definition": "x"})
        assert key is None or key
        run_virtual(unlock())
