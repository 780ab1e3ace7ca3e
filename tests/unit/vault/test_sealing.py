from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.places import FLASH
from appliance.contract.records import SEAL_OVERHEAD_MAX_BYTES, SEGMENT_MAX_BYTES, Segment
from appliance.vault.agekey import AgeIdentity
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from appliance.vault.sealing import open_sealed, open_segment, seal, seal_segment
from tests.support.places import flash

MASTER = AgeIdentity.from_raw(b"\1" * 32)
BOX = AgeIdentity.from_raw(b"\2" * 32)
STRANGER = AgeIdentity.from_raw(b"\3" * 32)
RECIPIENTS = (BOX.recipient, MASTER.recipient)
CHUNKED = seal(bytes(70_000), RECIPIENTS)


@given(st.binary(max_size=3000))
def test_every_recipient_opens_what_was_sealed(plaintext: bytes) -> None:
    sealed = seal(plaintext, RECIPIENTS)
    assert [open_sealed(sealed, [identity]) for identity in (BOX, MASTER)] == [plaintext, plaintext]


@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(CHUNKED) - 1))
    damaged = bytearray(CHUNKED)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    refused(bytes(damaged))


def test_every_bit_of_a_small_file_is_guarded() -> None:
    sealed = seal(b"calibration", [BOX.recipient])
    for bit in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(bytes(damaged))


@given(st.integers(0, len(CHUNKED) - 1))
def test_any_truncation_is_refused(length: int) -> None:
    refused(CHUNKED[:length])


@given(st.binary(min_size=1, max_size=40))
def test_trailing_bytes_are_refused(tail: bytes) -> None:
    refused(CHUNKED + tail)


@given(st.binary(max_size=400))
def test_anything_else_is_refused(data: bytes) -> None:
    refused(data)
    refused(b"age-encryption.org/v1\n" + data)


def refused(sealed: bytes) -> None:
    with pytest.raises(VaultError) as caught:
        open_sealed(sealed, [BOX])
    assert caught.value.code == "VAULT_CANNOT_OPEN"


def test_an_error_of_the_file_layer_is_the_same_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("last chunk is truncated")

    monkeypatch.setattr(pyrage, "decrypt", fail)
    refused(CHUNKED)


def test_a_stranger_cannot_open() -> None:
    with pytest.raises(VaultError) as caught:
        open_sealed(CHUNKED, [STRANGER])
    assert caught.value.code == "VAULT_CANNOT_OPEN"


@pytest.mark.parametrize("recipients", [[], ["age1nonsense"], [BOX.secret]])
def test_a_bad_recipient_is_refused(recipients: list[str]) -> None:
    with pytest.raises(VaultError) as caught:
        seal(b"x", recipients)
    assert caught.value.code == "VAULT_RECIPIENT_INVALID"


@pytest.mark.parametrize("length", [0, SEGMENT_MAX_BYTES + 1])
def test_a_segment_of_a_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="length"):
        seal_segment(bytes(length), (FLASH, 0), RECIPIENTS)


def test_the_longest_segment_stays_inside_the_overhead_limit() -> None:
    segment, sealed = seal_segment(bytearray(SEGMENT_MAX_BYTES), (FLASH, 0x80000000), RECIPIENTS)
    assert segment.ct_len == len(sealed) <= SEGMENT_MAX_BYTES + SEAL_OVERHEAD_MAX_BYTES
    assert open_segment(segment, sealed, [MASTER]) == bytes(SEGMENT_MAX_BYTES)


@pytest.mark.parametrize(
    ("field", "value"),
    [("ct_sha256", "0" * 64), ("ct_len", 17), ("pt_sha256", "0" * 64), ("place", flash(0x1000, 5))],
)
def test_each_recorded_length_and_hash_is_checked(field: str, value: object) -> None:
    segment, sealed = seal_segment(b"calibration", (FLASH, 0x1000), RECIPIENTS)
    wrong: Segment = replace(segment, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(VaultError, match="0x00001000") as caught:
        open_segment(wrong, sealed, [BOX])
    assert caught.value.code == "VAULT_BLOB_CHANGED"


def test_the_age_command_opens_a_sealed_read_with_the_master_key(
    age_command: str, tmp_path: Path, master_keys: KeyRing, slave_keys: KeyRing
) -> None:
    plaintext = bytes(range(256)) * 1024
    (tmp_path / "read.age").write_bytes(seal(plaintext, slave_keys.recipients()))
    assert master_keys.master_keys is not None
    (tmp_path / "master.key").write_text(master_keys.master_keys.identity.secret + "\n")
    opened = subprocess.run(
        [age_command, "-d", "-i", tmp_path / "master.key", tmp_path / "read.age"],
        capture_output=True,
        check=True,
    )
    assert opened.stdout == plaintext


def test_a_file_of_the_age_command_opens(age_command: str) -> None:
    made = subprocess.run(
        [age_command, "-r", BOX.recipient], input=b"\xa5" * 100_000, capture_output=True, check=True
    )
    assert open_sealed(made.stdout, [STRANGER, BOX]) == b"\xa5" * 100_000
