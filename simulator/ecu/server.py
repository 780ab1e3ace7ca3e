"""How requests reach an ECU and how it answers: timing, response-pending, busy, suppression (ISO 14229-2)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from drivers.can.interface import CanFrame, CanPort
from simulator.ecu.chip import Program
from simulator.ecu.core import Core
from simulator.ecu.dispatch import dispatch, wants_no_answer
from simulator.ecu.functional import single_frame_payload
from simulator.ecu.hooks import Mishap, RequestFate, RequestHook
from simulator.ecu.nrc import SILENT_WHEN_FUNCTIONAL, Nrc, RefusedError
from simulator.ecu.options import EcuOptions

FIRST_PENDING = 0.8
"""Share of P2 after which the first response-pending goes out."""
NEXT_PENDING = 0.7
"""Share of P2* after which each further one does."""
KEEP_ALIVE = b"\x3e\x80"
_ALWAYS_KEEP = frozenset({0x10, 0x3E})

Result = TypeVar("Result")

_QUIET_FATE = RequestFate(Mishap.PENDING)


class Server:
    """Serves one ECU on one port until closed."""

    def __init__(self, core: Core, port: CanPort, hook: Callable[[], RequestHook | None]) -> None:
        self._core = core
        self._hook = hook
        self._link = core.options.link(
            port, server_address(core.definition), server_settings(core.definition, core.options)
        )
        self._turn = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._last_answers: dict[int, bytes] = {}
        self._held: list[bytes] = []
        self._start(self._serve())
        self._unsubscribe = self._listen_to_everyone(port)

    def close(self) -> None:
        """Stop in the middle of whatever is going on."""
        self._closed = True
        self._unsubscribe()
        self._link.close()
        for task in tuple(self._tasks):
            task.cancel()

    def _listen_to_everyone(self, port: CanPort) -> Callable[[], None]:
        addressing = self._core.access.addressing
        if addressing.functional_id == addressing.request_id:
            return lambda: None
        return port.subscribe(self._on_functional, frozenset({addressing.functional_id}))

    def _on_functional(self, frame: CanFrame) -> None:
        addressing = self._core.access.addressing
        if frame.extended != addressing.extended_ids or self._core.program is Program.BOOTING:
            return
        request = single_frame_payload(frame.data, addressing.request_extension)
        if request is None:
            return
        if request == KEEP_ALIVE:
            self._core.session.touch()
            self._core.on_present()
        else:
            self._start(self._take_turn(request, functional=True))

    def _start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self) -> None:
        while not self._closed:
            try:
                request = await self._link.receive(math.inf)
            except IsoTpError:
                continue  # a request that broke off is no request
            if self._core.program is Program.BOOTING:
                continue
            await self._take_turn(request, functional=False)

    async def _take_turn(self, request: bytes, functional: bool) -> None:
        async with self._turn:
            session = self._core.session
            keeps = self._core.options.s3_kept_by_any_request or request[0] in _ALWAYS_KEEP
            if keeps:
                session.touch()
            session.busy = True
            try:
                await self._answer(request, functional)
            finally:
                session.busy = False
            if keeps:
                self._core.session.touch()
            follow_up, self._core.follow_up = self._core.follow_up, None
            if follow_up:
                follow_up()

    async def _answer(self, request: bytes, functional: bool) -> None:
        hook = self._hook()
        fate = (hook(request) if hook else None) or _QUIET_FATE
        if self._closed:
            return
        if fate.mishap is Mishap.BUSY:
            await self._send(_negative(request, Nrc.BUSY_REPEAT_REQUEST))
            return
        late_s = fate.delay_s if fate.mishap is Mishap.LATE else 0.0
        delay_s = self._core.options.response_delay_s + late_s
        if delay_s:
            await asyncio.sleep(delay_s)
        pendings = fate.count if fate.mishap is Mishap.PENDING else 0
        for _ in range(pendings):
            await self._send(_negative(request, Nrc.RESPONSE_PENDING))
        answer, announced = await self._outcome(request, functional)
        if answer is None or fate.mishap is Mishap.UNANSWERED or self._closed:
            return
        if answer[0] != 0x7F and wants_no_answer(request) and not (announced or pendings):
            return
        await self._give(request[0], answer, fate)

    async def _give(self, service: int, answer: bytes, fate: RequestFate) -> None:
        """Send an answer as its fate will have it."""
        if fate.mishap is Mishap.HELD:
            self._held.append(answer)
            return
        held, self._held = self._held, []
        if fate.mishap is Mishap.REPLAYED and service in self._last_answers:
            held.append(self._last_answers[service])
        for late in held:
            await self._send(late)
        await self._send(_spoilt(answer, fate))
        self._last_answers[service] = answer
        if fate.mishap is Mishap.DOUBLED:
            self._start(self._send_later(answer, fate.delay_s))

    async def _send_later(self, answer: bytes, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if not self._closed:
            await self._send(answer)

    async def _outcome(self, request: bytes, functional: bool) -> tuple[bytes | None, bool]:
        """(the answer, or None if none is due; whether response-pending was sent before it)."""
        announced = False
        try:
            outcome = dispatch(self._core, request)
            if isinstance(outcome, bytes):
                return outcome, False
            work = self._start(outcome)
            announced = await self._wait_for(work, request)
            return work.result(), announced
        except RefusedError as refusal:
            if functional and not announced and refusal.nrc in SILENT_WHEN_FUNCTIONAL:
                return None, False
            return _negative(request, refusal.nrc), announced

    async def _wait_for(self, work: asyncio.Task[bytes], request: bytes) -> bool:
        """Wait for work that may take longer than P2; True if that had to be announced."""
        timing = self._core.access.timing
        try:
            if (await asyncio.wait({work}, timeout=timing.p2_ms / 1000 * FIRST_PENDING))[0]:
                return False
            refusing = self._start(self._refuse_meanwhile())
            try:
                while not work.done():
                    await self._send(_negative(request, Nrc.RESPONSE_PENDING))
                    await asyncio.wait({work}, timeout=timing.p2_star_ms / 1000 * NEXT_PENDING)
            finally:
                refusing.cancel()
                await asyncio.wait({refusing})
        finally:
            work.cancel()
        return True

    async def _refuse_meanwhile(self) -> None:
        """Other requests while one is being worked on: busy, or nothing from a controller that boots."""
        while not self._closed:
            try:
                request = await self._link.receive(math.inf)
            except IsoTpError:
                continue
            if self._core.program is not Program.BOOTING:
                await self._send(_negative(request, Nrc.BUSY_REPEAT_REQUEST))

    async def _send(self, payload: bytes) -> None:
        """One payload at a time; a tester that does not take it is not waited for."""
        async with self._sending:
            try:
                await self._link.send(payload)
            except IsoTpError:
                return


def server_address(definition: Definition) -> IsoTpAddress:
    """The definition's address pair seen from the ECU."""
    own = uds_access(definition).addressing
    answer_extension = own.request_extension if own.mode == "mixed" else own.response_extension
    return IsoTpAddress(
        own.response_id, own.request_id, own.extended_ids, answer_extension, own.request_extension
    )


def server_settings(definition: Definition, options: EcuOptions) -> IsoTpSettings:
    """ISO-TP as the ECU speaks it."""
    access = uds_access(definition)
    fd = access.bus.kind == "can-fd"
    longest = options.max_payload_bytes or definition.twin.max_block_bytes
    return IsoTpSettings(
        block_size=options.block_size,
        stmin=options.stmin,
        tx_frame_bytes=64 if fd else 8,
        bit_rate_switch=fd,
        padding=access.addressing.padding,
        max_payload_bytes=longest,
        wait_frames=options.wait_frames,
    )


def _negative(request: bytes, nrc: int) -> bytes:
    return bytes((0x7F, request[0], nrc))


def _spoilt(answer: bytes, fate: RequestFate) -> bytes:
    """The answer as it leaves the ECU."""
    if fate.mishap is Mishap.WRONG_SERVICE:
        return _of_another_service(answer)
    if answer[0] != 0x7F and fate.mishap is Mishap.TRUNCATED:
        return answer[: max(1, len(answer) - fate.count)]
    if answer[0] != 0x7F and fate.mishap is Mishap.OVERSIZED:
        return answer + bytes(fate.count)
    return answer


def _of_another_service(answer: bytes) -> bytes:
    at = 1 if answer[0] == 0x7F else 0
    return answer[:at] + bytes((answer[at] ^ 0x10,)) + answer[at + 1 :]
