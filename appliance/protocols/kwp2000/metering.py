"""Counts what KWP2000 moved, and how fast the K-line could have carried it."""

from __future__ import annotations

from appliance.protocols.access import WireMeter
from appliance.protocols.kwp2000.framing import MOST_BYTES
from appliance.protocols.kwp2000.link import KwpLink
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.metering import Meter
from drivers.kline.interface import BITS_PER_BYTE


def exchange_s(request_bytes: int, answer_bytes: int, rate_bps: int, timing: KwpTiming) -> float:
    """The shortest time from one request to the next: every byte's bits, P4, P2 and P3 at their least."""
    wire_s = (request_bytes + answer_bytes) * BITS_PER_BYTE / rate_bps
    return wire_s + (request_bytes - 1) * timing.p4_min_s + timing.p2_min_s + timing.p3_min_s


def bytes_per_s(link: KwpLink, request_bytes: int, answer_bytes: int, memory_bytes: int) -> float:
    """Memory moved by one exchange after the other, of payloads so long, as the link is set now."""
    request, answer = link.framed_bytes(request_bytes), link.framed_bytes(answer_bytes)
    return memory_bytes / exchange_s(request, answer, link.line.rate_bps, link.timing)


class KwpMeter(Meter):
    """Knows besides the seconds that the wire alone would have taken."""

    def __init__(self, rate_bps: int) -> None:
        super().__init__()
        self._rate_bps = rate_bps
        self._ideal_s = 0.0

    def sent(self, link: KwpLink, size: int, memory_bytes: int) -> None:
        """A 36 with so many bytes, that stand for so many of memory, was acknowledged."""
        self._count_sent(size, memory_bytes)
        self._timed(link, size + 1, 1)

    def received(self, link: KwpLink, size: int, request_bytes: int = 5) -> None:
        """A 23, or a 36 of an upload, brought so many bytes of memory."""
        self._count_received(size)
        self._timed(link, request_bytes, size + 1)

    def reading(self, repeats: int) -> WireMeter:
        """The figures so far; before anything was moved, the ceiling is that of the longest read."""
        first_s = exchange_s(9, MOST_BYTES + 5, self._rate_bps, KwpTiming())
        ceiling = self._payload_bytes / self._ideal_s if self._ideal_s else (MOST_BYTES - 1) / first_s
        return self._figures(ceiling, self._rate_bps, repeats)

    def _timed(self, link: KwpLink, request_bytes: int, answer_bytes: int) -> None:
        self._rate_bps = link.line.rate_bps
        request, answer = link.framed_bytes(request_bytes), link.framed_bytes(answer_bytes)
        self._ideal_s += exchange_s(request, answer, self._rate_bps, link.timing)
