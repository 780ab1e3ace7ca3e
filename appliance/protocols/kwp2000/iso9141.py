"""Messages of ISO 9141-2: three header bytes and a checksum, and no length (SAE J1979)."""

from __future__ import annotations

from appliance.protocols.kwp2000.framing import TESTER, FramingError, HeaderForm, Message, checksum
from appliance.protocols.kwp2000.link import KwpLink
from appliance.protocols.kwp2000.timing import KwpTiming
from drivers.kline.interface import KLine

_REQUEST = bytes((0x68, 0x6A, TESTER))
_ANSWER = bytes((0x48, 0x6B))
_HEADER_BYTES = 3
_PAYLOAD_BYTES = {0x41: 6, 0x49: 7}
"""Of the answers that are asked for: which parameters there are (01 00, 01 20 ...), and pieces of mode 09."""


def encode(payload: bytes) -> bytes:
    """A whole request."""
    whole = _REQUEST + payload
    return whole + bytes((checksum(whole),))


def missing_bytes(head: bytes) -> int:
    """How many more bytes an answer has at least that begins so. Raises FramingError."""
    if not _ANSWER.startswith(head[:2]):
        raise FramingError(f"{head[:2].hex(' ').upper()} begins no answer of ISO 9141-2")
    if len(head) <= _HEADER_BYTES:
        return _HEADER_BYTES + 1 - len(head)
    length = _PAYLOAD_BYTES.get(head[_HEADER_BYTES])
    if length is None:
        raise FramingError(f"an answer to mode {head[_HEADER_BYTES] & 0x3F:02X}, which was not asked")
    return _HEADER_BYTES + length + 1 - len(head)


def decode(whole: bytes) -> Message:
    """A whole answer. Raises FramingError."""
    if checksum(whole[:-1]) != whole[-1]:
        raise FramingError(f"checksum {whole[-1]:02X} instead of {checksum(whole[:-1]):02X}")
    return Message(whole[_HEADER_BYTES:-1], whole[1], whole[2], functional=True)


class Iso9141Link(KwpLink):
    """As KWP2000 in its times, with other headers: a request goes to all, an answer to whoever listens."""

    def __init__(self, line: KLine) -> None:
        super().__init__(line, HeaderForm(), KwpTiming())

    def _encoded(self, payload: bytes) -> bytes:
        return encode(payload)

    @staticmethod
    def _missing(head: bytes) -> int:
        return missing_bytes(head)

    @staticmethod
    def _decoded(whole: bytes) -> Message:
        return decode(whole)

    def _is_ours(self, message: Message) -> bool:
        return True
