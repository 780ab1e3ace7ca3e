"""Memory over KWP2000: read by 23, erased and checked by routines, written without a block counter."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from appliance.contract.phrases import phrase
from appliance.contract.places import Range
from appliance.protocols.access import (
    Block,
    EcuRefusedError,
    EcuSilentError,
    Hold,
    LinkLostError,
    Progress,
    Refusal,
    WireMeter,
)
from appliance.protocols.kwp2000.client import LOST, REPEAT_BACK_OFF_S, MisfitAnswerError
from appliance.protocols.kwp2000.framing import MOST_BYTES, MOST_IN_FORMAT
from appliance.protocols.kwp2000.metering import KwpMeter, bytes_per_s
from appliance.protocols.kwp2000.refusals import STILL_RUNNING
from appliance.protocols.kwp2000.services.memory import (
    end_transfer,
    next_piece,
    read_memory,
    request_download,
    request_upload,
    routine_result,
    span,
    start_routine,
    transfer,
)
from appliance.protocols.kwp2000.session import KwpSession
from appliance.protocols.transforms import Piece, SecretNamed, messages, none_supplied, payload, sliced

MAX_READ_BYTES = 16 * 1024
_POLL_S = 0.1
_READ_REQUEST_BYTES = 5
_PENDING_PIECE_BYTES = 64
_PENDING_BYTES = 64 * 1024
"""No sector of these families is longer, so no download that was left open is."""
_CHECK_S = 30.0
_PERHAPS_OPEN = (Refusal.BUSY, Refusal.CONDITIONS, Refusal.SEQUENCE)
"""How an ECU refuses that still has another transfer open."""


class KwpMemory:
    """Implements MemoryCapability."""

    def __init__(
        self, session: KwpSession, erased: Mapping[str, int], secret: SecretNamed = none_supplied
    ) -> None:
        """`erased` is the byte of an erased one, by the memories that a bare address on this wire is of."""
        self._session = session
        self._how = session.how
        self._erased = erased
        self._secret = secret
        self._meter = KwpMeter(session.how.line.rate_bps)

    @property
    def max_read_bytes(self) -> int:
        """Largest length `read` takes."""
        return MAX_READ_BYTES

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        """Exactly the range, at most max_read_bytes, piece by piece from its start or from its end."""
        if not 0 < place.length <= MAX_READ_BYTES:
            raise ValueError(f"a read of {place.length} bytes; 1 to {MAX_READ_BYTES} are possible")
        self._require(place)
        client = await self._session.awake()
        if self._how.reading.method == "upload":
            return await self._uploaded(place)
        most = min(self._how.reading.block_bytes, self._longest() - 1)
        starts = list(range(place.start, place.end, most))
        pieces: dict[int, bytes] = {}
        for start in starts if upwards else reversed(starts):
            size = min(most, place.end - start)
            with self._meter.moving():
                pieces[start] = await client.ask(read_memory(start, size))
            self._meter.received(client.link, size)
        return b"".join(pieces[start] for start in starts)

    async def erase(self, block: Block) -> None:
        """Erase one block and wait until the ECU reports it done.

        Raises EcuSilentError where the answer was lost: the result that the ECU tells afterwards does not say
        of which block it is.
        """
        self._require(block.place)
        erasing = self._how.erasing
        tool_code = bytes.fromhex(erasing.tool_code)
        await self._run(erasing.routine, span(block.start, block.size) + tool_code, erasing.longest_s)

    async def program(self, block: Block, data: bytes, progress: Progress, hold: Hold | None = None) -> None:
        """Program one erased block with exactly `block.size` bytes, then have the ECU check it.

        A piece whose answer was lost is not sent again: without a counter it would be taken for the next one.
        """
        if len(data) != block.size:
            raise ValueError(f"{len(data)} bytes for a block of {block.size}")
        self._require(block.place)
        client = await self._session.awake()
        most = await self._announced(block)
        for piece in self._pieces(data, most):
            with self._meter.moving():
                await self._hand_over(piece.wire, hold)
            self._meter.sent(client.link, len(piece.wire), piece.memory_bytes)
            progress(piece.memory_bytes)
        await client.ask(end_transfer())
        await self._have_checked(block, data)

    async def proves_equal(self, block: Block, expected: bytes) -> bool | None:
        """None: what the block holds is read back."""
        self._require(block.place)
        return None

    def meter(self) -> WireMeter:
        """Wire figures since the access was made; how fast memory comes and goes, while the ECU is awake."""
        figures, client = self._meter.reading(self._session.repeats), self._session.client
        if client is None:
            return figures
        reading, writing = self._how.reading, self._how.writing
        uploads = reading.method == "upload"
        read = self._longest() - 1 if uploads else min(reading.block_bytes, self._longest() - 1)
        sent = min(writing.block_bytes or MOST_BYTES, self._longest()) - 1
        return replace(
            figures,
            read_bytes_per_s=bytes_per_s(client.link, 1 if uploads else _READ_REQUEST_BYTES, read + 1, read),
            write_bytes_per_s=bytes_per_s(client.link, sent + 1, 1, sent),
        )

    def _pieces(self, data: bytes, most: int) -> Iterator[Piece]:
        if not self._how.writing.transforms:
            return sliced(data, lambda: most)
        return messages(payload(data, self._how.writing.transforms, self._secret), lambda: most)

    async def _uploaded(self, place: Range) -> bytes:
        """From the place where an answer was lost it is announced anew: nothing says which piece came."""
        got = bytearray()
        for pause_s in (*REPEAT_BACK_OFF_S, None):
            client = await self._session.awake()
            try:
                await self._announce(place.part(len(got), place.length - len(got)))
                while len(got) < place.length:
                    with self._meter.moving():
                        piece = await client.ask(next_piece())
                    if len(got) + len(piece) > place.length:
                        raise MisfitAnswerError(
                            phrase("ecu.bytes_too_many", bytes=len(piece), place=str(place))
                        )
                    got += piece
                    self._meter.received(client.link, len(piece), request_bytes=1)
                await client.ask(end_transfer())
                return bytes(got)
            except LOST:
                if pause_s is None:
                    raise
                await asyncio.sleep(pause_s)
                await client.attempt(end_transfer())
        raise AssertionError("the last try returns or raises")

    async def _announce(self, place: Range) -> None:
        """An upload, where need be behind a transfer that was left open: until that ends it is refused."""
        request = request_upload(place.start, place.length)
        try:
            await self._session.ask(request)
        except EcuRefusedError as refusal:
            if refusal.refusal not in _PERHAPS_OPEN:
                raise
            await (await self._session.awake()).attempt(end_transfer())
            try:
                await self._session.ask(request)
            except EcuRefusedError as still:
                if still.refusal not in _PERHAPS_OPEN or not self._how.writing.ends_pending:
                    raise
                await self._end_pending(place.memory)
                await self._session.ask(request)

    async def _announced(self, block: Block) -> int:
        """The longest piece of the download, where need be behind one that was left open."""
        request = request_download(block.start, block.size, self._how.writing.data_format)
        try:
            told = await self._session.ask(request)
        except EcuRefusedError as refusal:
            if refusal.code != STILL_RUNNING or not self._how.writing.ends_pending:
                raise
            await self._end_pending(block.memory)
            told = await self._session.ask(request)
        return min(told, self._how.writing.block_bytes or told, self._longest()) - 1

    async def _end_pending(self, memory: str) -> None:
        """Erased bytes change nothing in flash; a download that has all of its length can be ended.

        How much that is nobody knows any more: what is too long for the rest is refused, and halved.
        """
        nothing = bytes((self._erased[memory],)) * _PENDING_BYTES
        client = await self._session.awake()
        size = min(
            _PENDING_PIECE_BYTES, self._longest() - 1, (self._how.writing.block_bytes or MOST_BYTES) - 1
        )
        while size:
            try:
                for piece in self._pieces(nothing, size):
                    await client.ask(transfer(piece.wire))
                break
            except EcuRefusedError:
                size //= 2
        await client.attempt(end_transfer())

    async def _hand_over(self, piece: bytes, hold: Hold | None) -> None:
        """A refused 36 has not counted; it is sent again for as long as `hold` returns."""
        while True:
            try:
                return await self._session.ask(transfer(piece))
            except EcuRefusedError as refusal:
                if hold is None:
                    raise
                await hold(refusal)

    async def _have_checked(self, block: Block, data: bytes) -> None:
        """Raises EcuRefusedError PROGRAMMING where the ECU finds something else in the block."""
        checking = self._how.checking
        if checking.routine is None:
            return
        value = sum(data) if checking.kind == "sum16" else zlib.crc32(data)
        expected = (value & 0xFFFF).to_bytes(2)
        await self._run(checking.routine, span(block.start, block.size) + expected, _CHECK_S)

    async def _run(self, routine: int, parameters: bytes, longest_s: float) -> None:
        """Start a routine and poll it, over a channel that it may drop."""
        until_s = asyncio.get_running_loop().time() + longest_s
        unanswered: Exception | None = None
        dropped = False
        try:
            dropped = bool(await self._session.ask(start_routine(routine, parameters)))
        except (EcuSilentError, LinkLostError) as error:
            unanswered = error
        result = await self._result(routine, until_s, dropped)
        if unanswered is not None:
            raise EcuSilentError(phrase("kline.routine_lost", routine=routine)) from unanswered
        if result != 0:
            raise EcuRefusedError(
                Refusal.PROGRAMMING, phrase("kline.routine_ended", routine=routine, result=result)
            )

    async def _result(self, routine: int, until_s: float, dropped: bool) -> int:
        """Asked for until it is there: whoever gives up too early erases a second time for nothing."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if dropped:
                    await self._session.reopen()
                    dropped = False
                return await self._session.ask(routine_result(routine))
            except EcuRefusedError as refusal:
                if not _may_still_run(refusal, dropped) or loop.time() >= until_s:
                    raise
            except (EcuSilentError, LinkLostError):
                if loop.time() >= until_s:
                    raise
                dropped = True
            await asyncio.sleep(_POLL_S)

    def _longest(self) -> int:
        """Of a payload, as the key bytes allow it."""
        client = self._session.client
        return MOST_BYTES if client is None or client.link.form.long_allowed else MOST_IN_FORMAT

    def _require(self, place: Range) -> None:
        """On the wire an address says nothing of its memory. Raises EcuRefusedError for one out of reach."""
        if self._how.reading.method == "none":
            raise EcuRefusedError(Refusal.UNSUPPORTED, phrase("ecu.needs_loader"))
        if place.memory not in self._erased:
            raise EcuRefusedError(Refusal.UNSUPPORTED, phrase("ecu.out_of_reach", place=str(place)))


def _may_still_run(refusal: EcuRefusedError, opening: bool) -> bool:
    """Whether an ECU that works at a routine says this: to 33, or to whoever comes back to it."""
    if refusal.refusal is Refusal.BUSY:
        return True
    return opening and refusal.refusal in (Refusal.CONDITIONS, Refusal.LOCKED_OUT)
