"""Upload and download (ISO 14229-1, 14.2 to 14.5)."""

from __future__ import annotations

from appliance.protocols.request import Request, exactly, nothing, positive
from appliance.protocols.uds.services.memory import SpanFormat

TRANSFER_HEADER_BYTES = 2
"""SID and block sequence counter, which maxNumberOfBlockLength counts too."""


def _max_block_bytes(rest: bytes) -> int:
    length = rest[0] >> 4 if rest else 0
    value = int.from_bytes(rest[1 : 1 + length])
    if length == 0 or len(rest) != 1 + length or value <= TRANSFER_HEADER_BYTES:
        raise ValueError(f"no usable maxNumberOfBlockLength in {rest.hex()}")
    return value


def request_download(data_format: int, span: SpanFormat, address: int, size: int) -> Request[int]:
    """34: answers maxNumberOfBlockLength, SID and counter included."""
    return announced(bytes((0x34, data_format)) + span.encode(address, size))


def announced(payload: bytes) -> Request[int]:
    """34 or 35 in whatever form an ECU wants it: answers maxNumberOfBlockLength."""
    return Request(payload, positive(payload, 0), _max_block_bytes)


def request_upload(data_format: int, span: SpanFormat, address: int, size: int) -> Request[int]:
    """35: answers maxNumberOfBlockLength, SID and counter included."""
    payload = bytes((0x35, data_format)) + span.encode(address, size)
    return Request(payload, positive(payload, 0), _max_block_bytes)


def send_block(counter: int, data: bytes, taken: bytes = b"") -> Request[None]:
    """36 of a download, whose answer carries the record `taken`.

    The ECU acknowledges a repeated counter without writing twice.
    """
    payload = bytes((0x36, counter)) + data

    def decode(rest: bytes) -> None:
        if rest != taken:
            raise ValueError(f"the record {rest.hex()} instead of {taken.hex()}")

    return Request(payload, positive(payload, 1), decode if taken else nothing, idempotent=True)


def fetch_block(counter: int, size: int | None = None) -> Request[bytes]:
    """36 of an upload: the data, `size` bytes of it where that is known."""
    payload = bytes((0x36, counter))
    return Request(payload, positive(payload, 1), bytes if size is None else exactly(size), idempotent=True)


def exit_transfer(record_bytes: int | None = 0) -> Request[bytes]:
    """37: a record of so many bytes, or of any length where nothing hangs on it."""
    payload = bytes((0x37,))
    return Request(payload, positive(payload, 0), bytes if record_bytes is None else exactly(record_bytes))


def next_counter(counter: int) -> int:
    """The block sequence counter starts at 1 and wraps from 0xFF to 0x00."""
    return (counter + 1) & 0xFF
