"""What travels is not what is stored: the host's encoders against the simulator's own decoder."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import PitboxError
from appliance.definitions.access.transform import Transform
from appliance.protocols.transforms import messages, none_supplied, payload, sliced
from appliance.protocols.uds.steps.download import crc16_x25
from simulator.ecu.makes.unpacking import CorruptError, Unpacker

KEY, IV = bytes(range(16)), bytes(range(16, 32))
LZSS = Transform(name="lzss-10-6")
AES_CBC = Transform(name="aes-cbc", key="key", iv="iv")
SECRETS = {"key": KEY, "iv": IV}
CONTENT = st.one_of(
    st.binary(max_size=3000),
    st.lists(st.sampled_from([b"\xff" * 40, b"abc", b"abcabd", bytes(70), b"\x01"]), max_size=120).map(
        b"".join
    ),
)


def travelled(data: bytes, *transforms: Transform) -> bytes:
    return b"".join(piece.wire for piece in payload(data, transforms, SECRETS.__getitem__))


def arrived(wire: bytes, size: int, key: bytes = KEY, piece: int = 97) -> bytes:
    unpacker = Unpacker(Cipher(AES(key), CBC(IV)).decryptor().update, size)
    return b"".join(unpacker.feed(wire[at : at + piece]) for at in range(0, len(wire), piece))


@given(data=CONTENT)
def test_a_block_arrives_as_it_was(data: bytes) -> None:
    wire = travelled(data, LZSS, AES_CBC)
    assert len(wire) % 16 == 0
    assert arrived(wire, len(data)) == data


def test_the_format_is_the_published_one() -> None:
    assert travelled(b"abcabcabcabc", LZSS) == bytes.fromhex("10" + "616263" + f"{9 << 10 | 3:04X}")
    assert travelled(b"ab", LZSS) == bytes.fromhex("006162")
    assert len(travelled(bytes(100_000), LZSS)) < 4000


def test_runs_reach_back_no_further_than_the_window() -> None:
    far = bytes(range(100, 120)) + bytes(2000) + bytes(range(100, 120))
    near = bytes(range(100, 120)) + bytes(800) + bytes(range(100, 120))
    assert arrived(travelled(far, LZSS, AES_CBC), len(far)) == far
    assert len(travelled(far, LZSS)) > len(travelled(near, LZSS)) + 15


def test_another_key_is_noticed() -> None:
    wire = travelled(bytes(range(256)) * 8, LZSS, AES_CBC)
    with pytest.raises(CorruptError):
        arrived(wire, 2048, key=IV)


@given(data=st.binary(max_size=5000), share=st.integers(1, 900))
def test_messages_carry_every_byte_and_count_all_memory(data: bytes, share: int) -> None:
    for transforms in ((), (LZSS,), (LZSS, AES_CBC)):
        pieces = list(messages(payload(data, transforms, SECRETS.__getitem__), lambda: share))
        assert b"".join(piece.wire for piece in pieces) == travelled(data, *transforms)
        assert sum(piece.memory_bytes for piece in pieces) == len(data)
        assert all(len(piece.wire) == share for piece in pieces[:-1])
    plain = list(sliced(data, lambda: share))
    assert b"".join(piece.wire for piece in plain) == data
    assert all(piece.memory_bytes == len(piece.wire) for piece in plain)


def test_a_secret_that_nobody_supplied_is_told_before_the_first_piece() -> None:
    with pytest.raises(PitboxError) as caught:
        payload(b"data", (AES_CBC,), none_supplied)
    assert caught.value.code == "SECRET_MISSING"
    assert "'key'" in caught.value.what


def test_the_trailing_sum_is_that_of_the_catalogue() -> None:
    assert crc16_x25(b"123456789") == 0x906E
