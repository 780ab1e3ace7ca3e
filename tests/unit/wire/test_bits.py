"""Frame costs against a second, slower description of the frame: every bit in a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.can.bits import classic_bits, fd_bits, frame_seconds
from drivers.can.interface import CanFrame

FD_LENGTHS = [*range(9), 12, 16, 20, 24, 32, 48, 64]


def binary(value: int, width: int) -> str:
    return format(value, f"0{width}b")


def crc15(bits: str) -> int:
    """Long division by x^15+x^14+x^10+x^8+x^7+x^4+x^3+1."""
    remainder = [int(bit) for bit in bits + "0" * 15]
    for at in range(len(bits)):
        if remainder[at]:
            for offset, bit in enumerate("1100010110011001"):
                remainder[at + offset] ^= int(bit)
    return int("".join(map(str, remainder[-15:])), 2)


def stuffed(bits: str) -> str:
    out = ""
    for bit in bits:
        out += bit
        if out.endswith(("00000", "11111")):
            out += "1" if bit == "0" else "0"
    return out


def identifier(frame: CanFrame) -> str:
    if frame.extended:
        return binary(frame.can_id >> 18, 11) + "11" + binary(frame.can_id & 0x3FFFF, 18) + "0"
    return binary(frame.can_id, 11) + "00"


def payload(frame: CanFrame) -> str:
    return "".join(binary(byte, 8) for byte in frame.data)


def classic_reference(frame: CanFrame) -> int:
    reserved = "00" if frame.extended else "0"
    covered = "0" + identifier(frame) + reserved + binary(len(frame.data), 4) + payload(frame)
    return len(stuffed(covered + binary(crc15(covered), 15))) + len("1x11111111111")


def fd_reference(frame: CanFrame) -> tuple[int, int]:
    slow = "0" + identifier(frame) + "10" + ("1" if frame.bit_rate_switch else "0")
    fast = "0" + binary(FD_LENGTHS.index(len(frame.data)), 4) + payload(frame)
    up_to_switch = len(stuffed(slow[:-1])) + 1
    with_data = stuffed(slow + fast[:-1]) + fast[-1]  # the fixed stuff bit follows whatever the last one asks
    to_fix = 4 + (17 if len(frame.data) <= 16 else 21)
    fixed = -(-to_fix // 4)  # one before the first bit and after every fourth
    return up_to_switch + 13, len(with_data) - up_to_switch + to_fix + fixed


base_ids = st.integers(0, 0x7FF)
extended_ids = st.integers(0, 0x1FFF_FFFF)
identifiers = st.one_of(st.tuples(base_ids, st.just(False)), st.tuples(extended_ids, st.just(True)))
monotone = st.sampled_from([b"\x00", b"\xff", b"\x0f", b"\x1f", b"\xf8", b"\x07"])


def data_of(length: int) -> st.SearchStrategy[bytes]:
    return st.one_of(st.binary(min_size=length, max_size=length), monotone.map(lambda byte: byte * length))


def test_the_reference_division_knows_the_published_check_value() -> None:
    assert crc15("".join(binary(byte, 8) for byte in b"123456789")) == 0x059E


@given(identifiers, st.integers(0, 8).flatmap(data_of))
def test_classic_frames_cost_every_bit_of_theirs(where: tuple[int, bool], data: bytes) -> None:
    frame = CanFrame(where[0], data, extended=where[1])
    assert classic_bits(frame) == classic_reference(frame)


@given(identifiers, st.sampled_from(FD_LENGTHS).flatmap(data_of), st.booleans())
def test_fd_frames_cost_every_bit_of_theirs(where: tuple[int, bool], data: bytes, switch: bool) -> None:
    frame = CanFrame(where[0], data, where[1], fd=True, bit_rate_switch=switch)
    assert fd_bits(frame) == fd_reference(frame)


@given(base_ids, data_of(8))
def test_a_full_base_frame_costs_111_to_135_bits(can_id: int, data: bytes) -> None:
    assert 111 <= classic_bits(CanFrame(can_id, data)) <= 135


def test_a_frame_without_equal_neighbours_has_no_stuff_bits_in_its_data() -> None:
    calm = classic_bits(CanFrame(0x555, b"\x55" * 8))
    assert classic_bits(CanFrame(0x555, bytes(8))) >= calm + 12


def test_only_the_data_phase_of_a_switching_frame_is_fast() -> None:
    frame = CanFrame(0x123, bytes(range(64)), fd=True, bit_rate_switch=True)
    nominal, data = fd_bits(frame)
    assert frame_seconds(frame, 500_000, 2_000_000) == nominal / 500_000 + data / 2_000_000
    slow = CanFrame(0x123, bytes(range(64)), fd=True)
    assert frame_seconds(slow, 500_000, 2_000_000) * 500_000 == pytest.approx(sum(fd_bits(slow)))
    classic = CanFrame(0x123, bytes(8))
    assert frame_seconds(classic, 500_000, 2_000_000) * 500_000 == pytest.approx(classic_bits(classic))
