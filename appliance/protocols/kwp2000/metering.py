"""How fast a K-line could have carried what was moved, and how fast it was, on the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.protocols.access import WireMeter
from appliance.protocols.kwp2000.framing import MOST_BYTES
from appliance.protocols.kwp2000.link import KwpLink
from appliance.protocols.kwp2000.timing import KwpTiming
from drivers.kline.interface import BITS_PER_BYTE


def exchange_s(request_bytes: int, answer_bytes: int, rate_bps: int, timing: KwpTiming) -> float:
    """The shortest time from one request to the next: every byte's bits, P4, P2 and P3 at their least."""
    wire_s = (request_bytes + answer_bytes) * BITS_PER_BYTE / rate_bps
    return wire_s + (request_bytes - 1) * timing.p4_min_s + timing.p2_min_s + timing.p3_min_s


class KwpMeter:
    """Bytes moved, seconds spent on them, and the seconds that the wire alone would have taken."""

    def __init__(self, rate_bps: int) -> None:
        self._rate_bps = rate_bps
        self._payload_bytes = self._sent_bytes = 0
        self._busy_s = self._ideal_s = 0.0

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Time spent inside counts as busy."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            yield
        finally:
            self._busy_s += loop.time() - began_s

    def sent(self, link: KwpLink, size: int) -> None:
        """A 36 with so many bytes of memory was acknowledged."""
        self._sent_bytes += size
        self._moved(link, size, size + 1, 1)

    def received(self, link: KwpLink, size: int) -> None:
        """A 23 brought so many bytes of memory."""
        self._moved(link, size, 5, size + 1)

    def reading(self, repeats: int) -> WireMeter:
        """The figures so far; before anything was moved, the ceiling is that of the longest read."""
        first_s = exchange_s(9, MOST_BYTES + 5, self._rate_bps, KwpTiming())
        ceiling = self._payload_bytes / self._ideal_s if self._ideal_s else (MOST_BYTES - 1) / first_s
        sent = self._sent_bytes
        return WireMeter(self._payload_bytes, self._busy_s, ceiling, self._rate_bps, repeats, sent, sent)

    def _moved(self, link: KwpLink, size: int, request_bytes: int, answer_bytes: int) -> None:
        self._payload_bytes += size
        self._rate_bps = link.line.rate_bps
        framed = link.framed_bytes(request_bytes) + link.framed_bytes(answer_bytes)
        request = link.framed_bytes(request_bytes)
        self._ideal_s += exchange_s(request, framed - request, self._rate_bps, link.timing)
