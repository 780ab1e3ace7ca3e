"""The life of an engine: harden, open, listen, work until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from appliance.contract.errors import EngineError
from appliance.contract.events import Recorded
from appliance.engine.api import Api
from appliance.engine.context import open_box
from appliance.engine.entering import let_go
from appliance.engine.event_hub import Hub
from appliance.engine.listening import BACKLOG, listening_socket, refuse_second_engine, withdraw
from appliance.engine.operation_runner import Operator
from appliance.engine.proposal_timer import expire_in_time
from appliance.engine.questions import QuestionDesk
from appliance.engine.second_store import keep
from appliance.engine.settings import EngineSettings
from appliance.engine.socket_permissions import IDLE_S, Door, server_of
from appliance.engine.watchdog import Watchdog
from appliance.engine.worker import Worker, die
from appliance.ports.real import RealCarInterface
from appliance.protocols.ports import CarInterface
from appliance.vault.memory import give_back_free_memory, harden_process

_LAST_ANSWERS_S = 1.0
_ENDING = "pitbox engine: stopping; a write that has begun is finished first. A second Ctrl-C would end it."
log = logging.getLogger("pitbox.engine")


async def serve(settings: EngineSettings) -> None:
    """Work until SIGTERM, SIGINT or SIGHUP; a write that has begun is finished first. Raises PitboxError."""
    signals = _Signals()
    hardening = harden_process()
    for gap in hardening.gaps:
        log.warning("process hardening: %s", gap)
    refuse_second_engine(settings.socket_path)
    loop, hub = asyncio.get_running_loop(), Hub()

    def heard(recorded: Recorded) -> None:
        loop.call_soon_threadsafe(hub.publish, recorded)

    desk = QuestionDesk()
    worker, connection = await worker_and_connection(settings, desk)
    box = await worker.call(lambda: open_box(settings, connection, heard))
    events = box.journal.events
    desk.tell = events.tell
    hub.begin(events.head, lambda *page: worker.call(lambda: events.between(*page)))
    for refused in box.library.refused:
        log.warning("%s: %s", refused.what, "; ".join(refused.details))
    operator = Operator(box, worker, hub)
    keeping = asyncio.create_task(keep(box.keeper, lambda: operator.current is None, worker.call))
    keeping.add_done_callback(_log_its_end)
    expiring = asyncio.create_task(expire_in_time(box, worker.call))
    expiring.add_done_callback(_log_its_end)
    async with _listening(
        Api(box, worker, hub, operator, desk, hardening.gaps).application(),
        settings,
    ):
        gc.collect()
        give_back_free_memory()
        print(f"pitbox engine: listening on {settings.socket_path}", flush=True)
        await _until_stopped(signals, operator, worker)
        keeping.cancel()
        expiring.cancel()
        hub.close()
    with suppress(TimeoutError):  # a thread that hangs is ended all the same
        async with asyncio.timeout(_LAST_ANSWERS_S):
            await worker.call(lambda: let_go(connection))
    worker.stop()


@asynccontextmanager
async def _listening(application: web.Application, settings: EngineSettings) -> AsyncIterator[None]:
    """A handler whose client has gone is cancelled; the operation it started is not."""
    runner = web.AppRunner(
        application,
        access_log=None,
        handler_cancellation=True,
        auto_decompress=False,
        shutdown_timeout=_LAST_ANSWERS_S,
        keepalive_timeout=IDLE_S,
    )
    await runner.setup()
    listening = listening_socket(settings.socket_path, for_others=settings.peer_roles.named)
    door = Door(server_of(runner, settings.log_path), settings.peer_roles)
    server = await asyncio.get_running_loop().create_server(door, sock=listening, backlog=BACKLOG)
    try:
        yield
    finally:
        withdraw(settings.socket_path)
        server.close()
        await runner.cleanup()


class _Signals:
    """SIGTERM and SIGINT: the first waits for a write that has begun, the second does not.

    A terminal that is closed hangs up, often twice: that always waits. `nohup` is left its own way.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.again = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self.asked.set)

    def _on_signal(self) -> None:
        (self.again if self.asked.is_set() else self.asked).set()


async def _until_stopped(signals: _Signals, operator: Operator, worker: Worker) -> None:
    watchdog = Watchdog()
    signs = asyncio.create_task(watchdog.run(worker.turn))
    signs.add_done_callback(_refuse_to_live_without)
    watchdog.ready()
    await signals.asked.wait()
    watchdog.stopping()
    if operator.current is not None:
        _say(_ENDING)
    ended = [asyncio.create_task(operator.close()), asyncio.create_task(signals.again.wait())]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    for task in (*ended, signs):
        task.cancel()


def _say(text: str) -> None:
    """To whoever started the engine, if there still is somebody."""
    with suppress(OSError):
        os.write(sys.stdout.fileno(), f"{text}\n".encode())


def _refuse_to_live_without(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        die("the watchdog's task ended", error)


def _log_its_end(task: asyncio.Task[None]) -> None:
    """Nobody flashes worse for want of a look at the disk."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("stored files or proposals are looked after no more", exc_info=error)


async def worker_and_connection(settings: EngineSettings, desk: QuestionDesk) -> tuple[Worker, CarInterface]:
    """The thread to work in and its way to a car, real or simulated. Raises PitboxError.

    `desk` is the person at either; the time of a simulated car stands still while somebody is asked.
    """
    if settings.simulation is not None:
        from appliance.ports import simulated  # noqa: PLC0415 - real boxes never load the simulator

        worker = Worker(simulated.loop_factory(settings.simulation), simulated.pass_time)
        desk.standing_still = worker.time_standing_still
        car = simulated.connect(settings.simulation, settings.definition_dirs, desk)
        connecting = _while_time_passes(worker, car)
        return worker, await asyncio.wrap_future(worker.submit(connecting))
    if settings.can is None and settings.kline is None:
        raise EngineError("NO_HARDWARE_NAMED")
    real = RealCarInterface(
        settings.can, settings.voltmeter, settings.pins, desk, settings.kline, settings.ammeter
    )
    return Worker(), real


async def _while_time_passes(worker: Worker, connecting: Awaitable[CarInterface]) -> CarInterface:
    with worker.time_passing():
        return await connecting
