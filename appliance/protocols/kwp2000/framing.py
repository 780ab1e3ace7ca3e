"""Messages on a K-line: format byte, addresses, length, payload, checksum (ISO 14230-2, 4)."""

from __future__ import annotations

from dataclasses import dataclass

TESTER = 0xF1
MOST_BYTES = 255
"""Longest payload, in a length byte of its own."""
MOST_IN_FORMAT = 63
_LENGTH_BITS = 0x3F
_ADDRESS_BITS = 0xC0
_PHYSICAL, _FUNCTIONAL, _CARB = 0x80, 0xC0, 0x40


class FramingError(ValueError):
    """These bytes are no message: cut off, too long, or their checksum is wrong."""


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """How a side writes its headers.

    Without addresses a message goes to whoever was woken. With `length_byte` every length has a byte of its
    own; without, those alone that the format byte cannot hold, if `long_allowed`.
    """

    target: int | None = None
    source: int = TESTER
    functional: bool = False
    length_byte: bool = False
    long_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """A payload and who sent it to whom; None where the header has no addresses."""

    payload: bytes
    target: int | None = None
    source: int | None = None
    functional: bool = False


def checksum(data: bytes) -> int:
    """The sum of all bytes before it, modulo 256."""
    return sum(data) & 0xFF


def encode(payload: bytes, form: HeaderForm) -> bytes:
    """A whole message. Raises FramingError for a payload that this form cannot carry."""
    if not 0 < len(payload) <= MOST_BYTES:
        raise FramingError(f"a payload of {len(payload)} bytes; 1 to {MOST_BYTES} can be sent")
    own_byte = form.length_byte or len(payload) > MOST_IN_FORMAT
    if own_byte and not (form.length_byte or form.long_allowed):
        raise FramingError(
            f"{len(payload)} bytes; this ECU takes no length byte, so {MOST_IN_FORMAT} at most"
        )
    length = 0 if own_byte else len(payload)
    kind = 0 if form.target is None else _FUNCTIONAL if form.functional else _PHYSICAL
    addresses = b"" if form.target is None else bytes((form.target, form.source))
    whole = bytes((kind | length,)) + addresses + (bytes((len(payload),)) if own_byte else b"") + payload
    return whole + bytes((checksum(whole),))


def framed_bytes(payload_bytes: int, form: HeaderForm) -> int:
    """How long a message is with a payload so long; an answer may be longer than a request can be."""
    own_byte = form.length_byte or payload_bytes > MOST_IN_FORMAT
    return 1 + (0 if form.target is None else 2) + own_byte + payload_bytes + 1


def missing_bytes(head: bytes) -> int:
    """How many more bytes a message has at least that begins with these; 0 once it is whole.

    Raises FramingError for a beginning that is none.
    """
    if not head:
        return 1
    if head[0] & _ADDRESS_BITS == _CARB:
        raise FramingError(f"the format byte {head[0]:02X} is of no KWP2000 message")
    header_bytes = _header_bytes(head[0])
    if len(head) < header_bytes:
        return header_bytes - len(head)
    return header_bytes + _payload_bytes(head, header_bytes) + 1 - len(head)


def decode(whole: bytes) -> Message:
    """The message that these bytes are. Raises FramingError."""
    missing = missing_bytes(whole)
    if missing:
        raise FramingError(f"{abs(missing)} bytes too {'few' if missing > 0 else 'many'}")
    if checksum(whole[:-1]) != whole[-1]:
        raise FramingError(f"checksum {whole[-1]:02X} instead of {checksum(whole[:-1]):02X}")
    kind, payload = whole[0] & _ADDRESS_BITS, whole[_header_bytes(whole[0]) : -1]
    if not kind:
        return Message(payload)
    return Message(payload, whole[1], whole[2], kind == _FUNCTIONAL)


def _header_bytes(format_byte: int) -> int:
    addresses = 2 if format_byte & _ADDRESS_BITS else 0
    return 1 + addresses + (0 if format_byte & _LENGTH_BITS else 1)


def _payload_bytes(head: bytes, header_bytes: int) -> int:
    length = head[0] & _LENGTH_BITS or head[header_bytes - 1]
    if not length:
        raise FramingError("a message without a payload")
    return length
