"""The hashes of checking routines: published check values, and the simulator's own arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.definitions.access.uds_checking import HashKind
from appliance.protocols.uds.hashes import hash_of
from simulator.ecu.hashes import hash_of as hash_of_ecu

CHECK_VALUES: dict[HashKind, str] = {
    "crc32": "CBF43926",
    "crc16-ccitt-false": "29B1",
    "crc16-xmodem": "31C3",
    "crc16-arc": "BB3D",
    "crc16-kermit": "2189",
}


@pytest.mark.parametrize("kind", CHECK_VALUES)
def test_the_check_value_is_the_published_one(kind: HashKind) -> None:
    assert hash_of(kind, b"123456789") == bytes.fromhex(CHECK_VALUES[kind])


@given(st.sampled_from(sorted(CHECK_VALUES)), st.binary(max_size=300))
def test_host_and_simulated_ecu_agree(kind: HashKind, data: bytes) -> None:
    assert hash_of(kind, data) == hash_of_ecu(kind, data)
