"""`python -m appliance.engine`: the process that may touch the car."""

from __future__ import annotations

import argparse
import asyncio
import logging
import logging.handlers
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from appliance.contract.errors import PitboxError
from appliance.contract.events import Event
from appliance.engine.api import Api
from appliance.engine.box import open_box
from appliance.engine.connection import Connection, HardwareConnection
from appliance.engine.hub import Hub
from appliance.engine.operator import Operator
from appliance.engine.settings import EngineSettings, SimulationSettings
from appliance.engine.worker import Worker
from appliance.vault.memory import harden_process

log = logging.getLogger("pitbox.engine")


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 after SIGTERM or SIGINT, 1 when the engine cannot start, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    settings = _settings(options)
    try:
        _log_to(settings.log_path)
        asyncio.run(_serve(settings))
    except PitboxError as error:
        print(f"{error.code}: {error.what}\n  ECU: {error.ecu.value}\n  Now: {error.do_now}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pitbox engine",
        description="The process that may touch the car. It listens on a UNIX socket only.",
    )
    parser.add_argument(
        "--state", type=Path, default=Path("/var/lib/pitbox"), help="journal, keys, sealed files"
    )
    parser.add_argument(
        "--socket", type=Path, default=Path("/run/pitbox/engine.sock"), help="where clients connect"
    )
    parser.add_argument(
        "--role", choices=("slave", "master"), default="slave", help="a master may export plaintext"
    )
    parser.add_argument("--can", help="CAN bus, e.g. socketcan:can0")
    parser.add_argument(
        "--voltmeter", help="e.g. ina226:/dev/i2c-1:0x40, or simulated:13.5 beside `pitbox sim`"
    )
    parser.add_argument("--definitions", type=Path, action="append", default=[], help="a folder of your own")
    parser.add_argument(
        "--allow-uid", type=int, action="append", default=[], help="another user who may connect"
    )
    parser.add_argument(
        "--set-journal-aside", action="store_true", help="keep a damaged journal, start a new one"
    )
    simulated = parser.add_argument_group("a simulated car instead of hardware")
    simulated.add_argument("--simulate", metavar="DEFINITION", help="definition id of the simulated ECU")
    simulated.add_argument("--seed", type=int, default=1, help="decides its memory and its faults")
    simulated.add_argument("--car-data", type=Path, help="where the simulated ECU keeps its memory")
    simulated.add_argument(
        "--pace", type=float, help="simulated seconds per second; default: as fast as it goes"
    )
    simulated.add_argument("--faults", help="fault plan as JSON")
    return parser


def _settings(options: argparse.Namespace) -> EngineSettings:
    simulation = None
    if options.simulate:
        simulation = SimulationSettings(
            options.simulate, options.seed, options.car_data, options.pace, options.faults
        )
    return EngineSettings(
        state_dir=options.state,
        socket_path=options.socket,
        role=options.role,
        can=options.can,
        voltmeter=options.voltmeter,
        simulation=simulation,
        definition_dirs=tuple(options.definitions),
        allowed_uids=frozenset(options.allow_uid),
        set_journal_aside=options.set_journal_aside,
    )


async def _serve(settings: EngineSettings) -> None:
    hardening = harden_process()
    for gap in hardening.gaps:
        log.warning("process hardening: %s", gap)
    loop, hub = asyncio.get_running_loop(), Hub()

    def emit(event: Event) -> None:
        loop.call_soon_threadsafe(hub.publish, event)

    worker, connection = await _worker_and_connection(settings)
    box = await worker.call(lambda: open_box(settings, connection, emit))
    operator = Operator(box, worker, hub)
    runner = web.AppRunner(Api(box, worker, hub, operator).application(), access_log=None)
    await runner.setup()
    await web.SockSite(runner, _listening_socket(settings.socket_path)).start()
    print(f"pitbox engine: listening on {settings.socket_path}", flush=True)
    await _until_signalled()
    await runner.cleanup()
    worker.stop()


async def _worker_and_connection(settings: EngineSettings) -> tuple[Worker, Connection]:
    if settings.simulation is not None:
        from appliance.engine import simulation  # noqa: PLC0415 - real boxes never load the simulator

        worker = Worker(simulation.loop_factory(settings.simulation), simulation.pass_time)
        connecting = simulation.connect(settings, settings.simulation)
        worker.pass_time(worker.loop, True)
        connection: Connection = await asyncio.wrap_future(worker.submit(connecting))
        worker.pass_time(worker.loop, False)
        return worker, connection
    if settings.can is None:
        raise PitboxError(
            "NO_HARDWARE_NAMED",
            "neither a CAN bus nor a simulated car was named",
            do_now="Start with --can socketcan:can0 --voltmeter ina226:/dev/i2c-1:0x40, or with --simulate.",
        )
    return Worker(), HardwareConnection(settings.can, settings.voltmeter)


def _listening_socket(path: Path) -> socket.socket:
    """A UNIX socket for this user and group; one left by a killed engine is replaced, a live one is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        _refuse_second_engine(path)
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o660)
    return listening


def _refuse_second_engine(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise PitboxError(
        "ENGINE_RUNS_ALREADY",
        f"an engine already listens on {path}",
        do_now="Use the running engine, or stop it first.",
    )


async def _until_signalled() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=2_000_000, backupCount=3)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
