"""How many bits a CAN frame costs on the wire, bit stuffing included (ISO 11898-1, 10.4 and 10.5)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import cache, lru_cache
from struct import Struct
from sys import byteorder

from drivers.can.interface import CanFrame

_CRC15 = 0x4599
_TRAILER_BITS = 13
"""CRC delimiter, ACK slot and delimiter, 7 EOF, 3 intermission: never stuffed."""
_FD_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
_WORDS = [Struct(f">{words}H") for words in range(5)]
"""The whole words of up to eight bytes."""

# A stuffing state is 2 * (run length - 1) + last bit, run length 1 to 4: a fifth equal bit is at once
# followed by a stuff bit of the other value, which starts a new run.
_AFTER_SOF = 0
_STATES = range(8)


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


def _doubled(rows: list[bytes]) -> list[bytes]:
    """Of rows by stuffing state, each new state << 4 | stuff bits by value, those of values twice as wide."""
    more = [bytes((value + inserted) & 0xFF for value in range(256)) for inserted in range(3)]
    return [b"".join(rows[after >> 4].translate(more[after & 0xF]) for after in row) for row in rows]


@cache
def _stuffing() -> tuple[list[bytes], list[bytes]]:
    """By stuffing state and byte, and by stuffing state and word: new state << 4 | stuff bits inserted."""
    steps = [[_stuff_bit(state, bit) for bit in (0, 1)] for state in _STATES]
    rows = [bytes(after << 4 | inserted for after, inserted in row) for row in steps]
    by_byte = _doubled(_doubled(_doubled(rows)))
    return by_byte, _doubled(by_byte)


@cache
def _crcs() -> array[int]:
    """Of every word, which turns a CRC of 15 bits over all the way.

    A row of 256 is one large number, so that whoever asks for few frames pays little.
    """
    low = array("H", [_crc_bits(0, _msb_first(byte, 8)) for byte in range(256)])
    ones = array("H", [1] * 256).tobytes()
    row, each = int.from_bytes(low.tobytes(), byteorder), int.from_bytes(ones, byteorder)
    table = array("H")
    for crc in low:
        table.frombytes((row ^ each * _crc_bits(crc, [0] * 8)).to_bytes(len(ones), byteorder))
    return table


def _identifier_bits(can_id: int, extended: bool, fd: bool) -> list[int]:
    """From behind the start of frame to the last bit before FDF/r0 (RTR or RRS and IDE included)."""
    if extended:
        head = [*_msb_first(can_id >> 18, 11), 1, 1, *_msb_first(can_id & 0x3FFFF, 18), 0]
        return head if fd else [*head, 0]
    return [*_msb_first(can_id, 11), 0, 0]


@lru_cache(maxsize=256)
def _classic_header(can_id: int, extended: bool, length: int) -> tuple[int, int, int]:
    """(bits of the frame but for the stuff bits behind the header, stuffing state, CRC) behind the header."""
    bits = [*_identifier_bits(can_id, extended, fd=False), 0, *_msb_first(length, 4)]
    state, stuffed = _stuff_bits(_AFTER_SOF, bits)
    return len(bits) + 1 + stuffed + 8 * length + 15 + _TRAILER_BITS, state, _crc_bits(0, [0, *bits])


def classic_bits(frame: CanFrame) -> int:
    """Bits of a classic data frame with its intermission: 111 to 135 for 8 bytes and 11-bit identifiers."""
    data = frame.data
    length = len(data)
    bits, state, crc = _classic_header(frame.can_id, frame.extended, length)
    (by_byte, by_word), crcs = _stuffing(), _crcs()
    after = state << 4
    for word in _WORDS[length >> 1].unpack_from(data):
        after = by_word[after >> 4][word]
        bits += after & 0xF
        crc = crcs[crc << 1 ^ word]
    if length & 1:
        after = by_byte[after >> 4][data[-1]]
        bits += after & 0xF
        crc = crc << 8 & 0x7FFF ^ crcs[crc >> 7 ^ data[-1]]
    # A sixteenth bit that differs from the last of the CRC asks for no stuff bit of its own.
    return bits + (by_word[after >> 4][crc << 1 | ~crc & 1] & 0xF)


def dlc_of(length: int) -> int:
    """Data length code of an FD frame. Raises ValueError for a length that FD does not have."""
    return _FD_LENGTHS.index(length)


@lru_cache(maxsize=256)
def _fd_header(can_id: int, extended: bool, length: int, switch: bool) -> tuple[int, int, int]:
    """(nominal bits, data-phase stuff bits so far, stuffing state) up to and with the DLC."""
    head = [*_identifier_bits(can_id, extended, fd=True), 1, 0]
    state, stuffed = _stuff_bits(_AFTER_SOF, head)
    state, in_data = _stuff_bits(state, [switch, 0, *_msb_first(dlc_of(length), 4)[:3]])
    state, last = _stuff_bit(state, dlc_of(length) & 1)
    return len(head) + 2 + stuffed, in_data + (last if length else 0), state


@cache
def _last_inserted(state: int, byte: int) -> int:
    """Stuff bits that the last bit of a byte asks for."""
    before, _ = _stuff_bits(state, _msb_first(byte >> 1, 7))
    return _stuff_bit(before, byte & 1)[1]


def fd_bits(frame: CanFrame) -> tuple[int, int]:
    """(bits at the nominal rate, bits at the data rate) of an FD frame; data rate only if BRS is set.

    The checksum field begins with a fixed stuff bit, which also serves as the stuff bit that five equal bits
    right before it would ask for.
    """
    nominal, stuffed, state = _fd_header(frame.can_id, frame.extended, len(frame.data), frame.bit_rate_switch)
    by_byte, _ = _stuffing()
    for byte in frame.data:
        began, after = state, by_byte[state][byte]
        stuffed += after & 0xF
        state = after >> 4
    if frame.data:
        stuffed -= _last_inserted(began, byte)
    crc_field = 4 + 17 + 6 if len(frame.data) <= 16 else 4 + 21 + 7
    return nominal + _TRAILER_BITS, 5 + 8 * len(frame.data) + stuffed + crc_field


def frame_seconds(frame: CanFrame, bitrate_bps: int, data_bitrate_bps: int | None) -> float:
    """Time the frame occupies the bus."""
    if not frame.fd:
        return classic_bits(frame) / bitrate_bps
    nominal, data = fd_bits(frame)
    fast = data_bitrate_bps if frame.bit_rate_switch and data_bitrate_bps else bitrate_bps
    return nominal / bitrate_bps + data / fast
