"""What every K-line driver does alike: it keeps what comes in, and checks the echo of what goes out."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from drivers.kline.interface import BITS_PER_BYTE, HeldLowError, KLineError, NoEchoError, WrongEchoError

ECHO_SLACK_S = 0.5
"""Beyond the time of the bytes themselves: adapters deliver in bursts, and a box may be busy."""


class EchoedLine(ABC):
    """Bytes that came in, in their order, and sending with its echo."""

    def __init__(self, rate_bps: int) -> None:
        self._rate_bps = rate_bps
        self._heard = bytearray()
        self._wanted = 0
        self._waiting: asyncio.Future[None] | None = None
        self._gone: KLineError | None = None

    @property
    def rate_bps(self) -> int:
        """Bits per second."""
        return self._rate_bps

    async def send(self, data: bytes, gap_s: float = 0.0) -> None:
        """Send bytes with so much silence between two of them. Raises KLineError."""
        pieces = [data[at : at + 1] for at in range(len(data))] if gap_s > 0 else [data]
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(gap_s)
            self._require()
            self._write(piece)
            await self._expect(piece)

    async def receive(self, count: int, within_s: float) -> bytes:
        """At most `count` bytes; fewer where time ran out. Raises KLineError."""
        if len(self._heard) < count:
            await self._hear(count, within_s)
        if not self._heard:
            self._require()
        taken = bytes(self._heard[:count])
        del self._heard[:count]
        return taken

    def discard(self) -> int:
        """Drop what came in and was not received; how many bytes that were."""
        dropped = len(self._heard)
        self._heard.clear()
        return dropped

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Hand bytes to the line, which sends them without a pause."""

    @abstractmethod
    def _look(self) -> None:
        """Feed what came in and was not told yet: a box that was kept busy hears its timer first."""

    def _feed(self, data: bytes) -> None:
        """Bytes came in."""
        self._heard += data
        if len(self._heard) >= self._wanted:
            self._rouse()

    def _lose(self, why: KLineError) -> None:
        """The line is gone: everybody who waits is told."""
        self._gone = self._gone or why
        self._rouse()

    def _require(self) -> None:
        if self._gone is not None:
            raise type(self._gone)(str(self._gone))

    def _rouse(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _hear(self, count: int, within_s: float) -> None:
        self._require()
        self._wanted = count
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._waiting
        except TimeoutError:
            self._look()
        finally:
            self._waiting = None

    async def _expect(self, sent: bytes) -> None:
        wire_s = len(sent) * BITS_PER_BYTE / self._rate_bps
        heard = await self.receive(len(sent), wire_s + ECHO_SLACK_S)
        if heard == sent:
            return
        self._require()
        if not heard:
            raise NoEchoError(
                f"no echo of the {len(sent)} bytes {_shown(sent)}: the K-line has no supply or no wire"
            )
        if not any(heard) and any(sent):
            raise HeldLowError(
                f"sent {_shown(sent)}, heard {_shown(heard)}: the K-line is at ground, "
                "or somebody else holds it there"
            )
        raise WrongEchoError(f"sent {_shown(sent)}, heard {_shown(heard)}: somebody else holds the K-line")


def _shown(data: bytes) -> str:
    return data[:8].hex(" ").upper() + (" ..." if len(data) > 8 else "")
