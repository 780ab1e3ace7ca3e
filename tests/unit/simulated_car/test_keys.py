"""The ECU's seed-and-key algorithms: the public SA2 vector, and the toys by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.definitions.access.security import SecurityLevel
from simulator.ecu.keys import expected_key

SCRIPT = "6802814993A55A55AA4A05878105952668058249845AA5AA558703F7806A4C"


def level(algorithm: str, **parameters: int | str) -> SecurityLevel:
    return SecurityLevel.model_validate({"level": 1, "algorithm": algorithm} | parameters)


def test_the_public_sa2_vector() -> None:
    key = expected_key(level("sa2", script=SCRIPT), bytes.fromhex("1A1B1C1D"), {})
    assert key == bytes.fromhex("6A37F02E")


@pytest.mark.parametrize("algorithm", ["toy-xor", "toy-add", "toy-rotate"])
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_toys_by_hand(algorithm: str, seed: int, constant: int) -> None:
    made = expected_key(level(algorithm, constant=constant), seed.to_bytes(4, "big"), {})
    by_hand = {
        "toy-xor": seed ^ constant,
        "toy-add": (seed + constant) % 2**32,
        "toy-rotate": int((f"{seed:032b}" * 2)[7:39], 2) ^ constant,
    }[algorithm]
    assert made == by_hand.to_bytes(4, "big")


def test_a_plugin_is_asked_by_its_name() -> None:
    asked = []

    def own(number: int, seed: bytes) -> bytes:
        asked.append((number, seed))
        return b"key"

    assert expected_key(level("plugin:owner"), b"seed", {"owner": own}) == b"key"
    assert asked == [(1, b"seed")]
    with pytest.raises(KeyError):
        expected_key(level("plugin:other"), b"seed", {"owner": own})


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4), st.integers(1, 9))
def test_sa2_subtract_and_add_cancel(seed: bytes, number: bytes, rounds: int) -> None:
    script = b"\x68" + bytes((rounds,)) + b"\x93" + number + b"\x84" + number + b"\x81\x82\x49\x4c"
    assert expected_key(level("sa2", script=script.hex()), seed, {}) == seed
