"""ISO-TP protocol control information, pure (ISO 15765-2, 9.6). Frames here start behind the address byte."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from appliance.protocols.isotp.interface import IsoTpError

_FD_LENGTHS = (8, 12, 16, 20, 24, 32, 48, 64)
_SHORT_FIRST_LENGTH = 0xFFF
_SHORTEST_FIRST_FRAME = 7
"""A first frame fills at least a classic frame, of which an address byte may take one."""


class FlowStatus(IntEnum):
    """First nibble pair of a flow-control frame."""

    CONTINUE = 0
    WAIT = 1
    OVERFLOW = 2


@dataclass(frozen=True, slots=True)
class FlowControl:
    """What the receiver asks: status, frames per block (0 = no further flow control), raw separation time."""

    status: FlowStatus
    block_size: int = 0
    stmin: int = 0

    def encode(self) -> bytes:
        """The three PCI bytes."""
        return bytes((0x30 | self.status, self.block_size, self.stmin))

    @classmethod
    def decode(cls, pci: bytes) -> FlowControl:
        """Raises IsoTpError for a short frame or a reserved status."""
        if len(pci) < 3 or pci[0] & 0x0F > FlowStatus.OVERFLOW:
            raise IsoTpError(f"invalid flow control {pci[:3].hex()}")
        return cls(FlowStatus(pci[0] & 0x0F), pci[1], pci[2])


def stmin_seconds(raw: int) -> float:
    """Separation time of a raw byte; reserved values count as 127 ms (ISO 15765-2, 9.6.5.5)."""
    if raw <= 0x7F:
        return raw / 1_000
    if 0xF1 <= raw <= 0xF9:
        return (raw - 0xF0) / 10_000
    return 0.127


def single_frame(payload: bytes, room: int) -> bytes | None:
    """The single frame for a payload, or None if it does not fit `room` bytes."""
    short_limit = 7 - room % 2  # an address byte makes the room odd and takes one of the first eight bytes
    if len(payload) <= short_limit:
        return bytes((len(payload),)) + payload
    if room > 8 and len(payload) <= room - 2:
        return bytes((0, len(payload))) + payload
    return None


def first_frame(payload: bytes, room: int) -> tuple[bytes, int]:
    """(first frame filling `room` bytes, payload bytes it carries)."""
    length = len(payload)
    if length <= _SHORT_FIRST_LENGTH:
        head = bytes((0x10 | length >> 8, length & 0xFF))
    else:
        head = b"\x10\x00" + length.to_bytes(4, "big")
    taken = room - len(head)
    return head + payload[:taken], taken


def first_frame_length(pci: bytes) -> tuple[int, int] | None:
    """(payload length, length of the header) of a first frame.

    None for one that is cut short or whose payload would have fitted a single frame: the standard ignores it
    (ISO 15765-2, 9.6.3.2).
    """
    if len(pci) < _SHORTEST_FIRST_FRAME:
        return None
    length, header = (pci[0] & 0x0F) << 8 | pci[1], 2
    if not length:
        length, header = int.from_bytes(pci[2:6], "big"), 6
    fits_single = len(pci) - (1 if len(pci) <= 8 else 2)
    return (length, header) if length > fits_single else None


def single_frame_payload(pci: bytes) -> bytes | None:
    """Payload of a single frame; None for one with an impossible length, which the standard ignores."""
    length, at = pci[0] & 0x0F, 1
    if length == 0 and len(pci) > 8:
        length, at = pci[1], 2
    if length == 0 or at + length > len(pci):
        return None
    return pci[at : at + length]


def padded(frame: bytes, padding: int | None, fd: bool) -> bytes:
    """Fill up to 8 bytes (classic, if padding is wanted) or to the next FD length (always)."""
    size = len(frame)
    if fd and size > 8:
        size = next(length for length in _FD_LENGTHS if length >= size)
    elif padding is not None:
        size = 8
    if size == len(frame):
        return frame
    return frame + bytes((0xCC if padding is None else padding,)) * (size - len(frame))
