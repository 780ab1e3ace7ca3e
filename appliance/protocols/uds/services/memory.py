"""Reading memory by address (ISO 14229-1, 11.3), and how spans of memory are written on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.protocols.request import Request, exactly, positive


@dataclass(frozen=True, slots=True)
class SpanFormat:
    """addressAndLengthFormatIdentifier: how many bytes an address and a size take (ISO 14229-1, Annex H)."""

    address_bytes: int = 4
    size_bytes: int = 4

    def encode(self, address: int, size: int) -> bytes:
        """ALFID, address, size. Raises OverflowError if one does not fit."""
        alfid = self.size_bytes << 4 | self.address_bytes
        return bytes((alfid,)) + address.to_bytes(self.address_bytes) + size.to_bytes(self.size_bytes)


def read_memory(span: SpanFormat, address: int, size: int) -> Request[bytes]:
    """23: exactly `size` bytes, of which the answer does not say where they come from."""
    payload = bytes((0x23,)) + span.encode(address, size)
    return Request(payload, positive(payload, 0), exactly(size), idempotent=True, lookalike=True)
