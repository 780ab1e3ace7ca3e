"""How many bits a CAN frame costs on the wire, bit stuffing included (ISO 11898-1, 10.4 and 10.5)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from drivers.can.interface import CanFrame

_CRC15 = 0x4599
_TRAILER_BITS = 13
"""CRC delimiter, ACK slot and delimiter, 7 EOF, 3 intermission: never stuffed."""
_FD_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)

# A stuffing state is 2 * (run length - 1) + last bit, run length 1 to 4: a fifth equal bit is at once
# followed by a stuff bit of the other value, which starts a new run.
_AFTER_SOF = 0


def _stuff_bit(state: int, bit: int) -> tuple[int, int]:
    """(new state, stuff bits inserted) after one more bit."""
    run, last = state // 2 + 1, state % 2
    if bit != last:
        return bit, 0
    if run == 4:
        return 1 - bit, 1
    return 2 * run + bit, 0


def _stuff_bits(state: int, bits: Iterable[int]) -> tuple[int, int]:
    total = 0
    for bit in bits:
        state, inserted = _stuff_bit(state, bit)
        total += inserted
    return state, total


def _msb_first(value: int, width: int) -> list[int]:
    return [value >> shift & 1 for shift in range(width - 1, -1, -1)]


def _crc_bit(crc: int, bit: int) -> int:
    flip = (crc >> 14 ^ bit) & 1
    return (crc << 1 & 0x7FFF) ^ (_CRC15 if flip else 0)


def _crc_bits(crc: int, bits: Iterable[int]) -> int:
    for bit in bits:
        crc = _crc_bit(crc, bit)
    return crc


_STUFF = [_stuff_bits(state, _msb_first(byte, 8)) for state in range(8) for byte in range(256)]
_STUFF_7 = [_stuff_bits(state, _msb_first(byte, 7)) for state in range(8) for byte in range(128)]
_NEXT = [entry[0] << 8 for entry in _STUFF]
_INSERTED = [entry[1] for entry in _STUFF]
_LAST_INSERTED = [
    _stuff_bits(state, _msb_first(byte, 8))[1] - _stuff_bits(state, _msb_first(byte >> 1, 7))[1]
    for state in range(8)
    for byte in range(256)
]
_CRC = [_crc_bits(byte << 7, [0] * 8) for byte in range(256)]


def _identifier_bits(can_id: int, extended: bool, fd: bool) -> list[int]:
    """From behind the start of frame to the last bit before FDF/r0 (RTR or RRS and IDE included)."""
    if extended:
        head = [*_msb_first(can_id >> 18, 11), 1, 1, *_msb_first(can_id & 0x3FFFF, 18), 0]
        return head if fd else [*head, 0]
    return [*_msb_first(can_id, 11), 0, 0]


@lru_cache(maxsize=256)
def _classic_header(can_id: int, extended: bool, length: int) -> tuple[int, int, int, int]:
    """(bits, stuff bits, stuffing state << 8, CRC) after start of frame, identifier, control field."""
    bits = [*_identifier_bits(can_id, extended, fd=False), 0, *_msb_first(length, 4)]
    state, stuffed = _stuff_bits(_AFTER_SOF, bits)
    return len(bits) + 1, stuffed, state << 8, _crc_bits(0, [0, *bits])


def classic_bits(frame: CanFrame) -> int:
    """Bits of a classic data frame with its intermission: 111 to 135 for 8 bytes and 11-bit identifiers."""
    header, stuffed, state, crc = _classic_header(frame.can_id, frame.extended, len(frame.data))
    for byte in frame.data:
        index = state | byte
        stuffed += _INSERTED[index]
        state = _NEXT[index]
        crc = (crc << 8 & 0x7FFF) ^ _CRC[(crc >> 7) ^ byte]
    index = state | crc >> 7
    stuffed += _INSERTED[index] + _STUFF_7[(_NEXT[index] >> 8) * 128 + (crc & 0x7F)][1]
    return header + 8 * len(frame.data) + 15 + stuffed + _TRAILER_BITS


def dlc_of(length: int) -> int:
    """Data length code of an FD frame. Raises ValueError for a length that FD does not have."""
    return _FD_LENGTHS.index(length)


@lru_cache(maxsize=256)
def _fd_header(can_id: int, extended: bool, length: int, switch: bool) -> tuple[int, int, int]:
    """(nominal bits, data-phase stuff bits so far, stuffing state << 8) up to and with the DLC."""
    head = [*_identifier_bits(can_id, extended, fd=True), 1, 0]
    state, stuffed = _stuff_bits(_AFTER_SOF, head)
    state, in_data = _stuff_bits(state, [switch, 0, *_msb_first(dlc_of(length), 4)[:3]])
    state, last = _stuff_bit(state, dlc_of(length) & 1)
    return len(head) + 2 + stuffed, in_data + (last if length else 0), state << 8


def fd_bits(frame: CanFrame) -> tuple[int, int]:
    """(bits at the nominal rate, bits at the data rate) of an FD frame; data rate only if BRS is set.

    The checksum field begins with a fixed stuff bit, which also serves as the stuff bit that five equal bits
    right before it would ask for.
    """
    nominal, stuffed, state = _fd_header(frame.can_id, frame.extended, len(frame.data), frame.bit_rate_switch)
    for byte in frame.data:
        index = state | byte
        stuffed += _INSERTED[index]
        state = _NEXT[index]
    if frame.data:
        stuffed -= _LAST_INSERTED[index]
    crc_field = 4 + 17 + 6 if len(frame.data) <= 16 else 4 + 21 + 7
    return nominal + _TRAILER_BITS, 5 + 8 * len(frame.data) + stuffed + crc_field


def frame_seconds(frame: CanFrame, bitrate_bps: int, data_bitrate_bps: int | None) -> float:
    """Time the frame occupies the bus."""
    if not frame.fd:
        return classic_bits(frame) / bitrate_bps
    nominal, data = fd_bits(frame)
    fast = data_bitrate_bps if frame.bit_rate_switch and data_bitrate_bps else bitrate_bps
    return nominal / bitrate_bps + data / fast
