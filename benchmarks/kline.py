"""Reading and writing over KWP2000 on a simulated K-line, against what its times let the wire carry.

`python -m benchmarks.kline [--json FILE]`. Simulated time: every byte costs its bits, the ECU its P2, the
host P3 and P4. The ideal is those alone, of the messages that carry memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from appliance.definitions.loader import load_all
from appliance.protocols.kwp2000.client import KwpClient
from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.link import KwpLink
from appliance.protocols.kwp2000.services import control, data, memory
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import wake_fast
from benchmarks.report import Benchmark, Row
from drivers.kline.simulated import SimulatedKLine
from simulator.ecu.chip import Chip, Program, Surroundings
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import NonVolatile, Records
from simulator.ecu.options import EcuOptions
from simulator.image_synthesis import synthesise
from simulator.kline.ecu import KwpEcu
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.kline.wire import KWire
from simulator.virtualtime import run_virtual

ECU = load_all().get("pbx-k7")
START, SIZE = ECU.region("calibration").start, 16 * 1024
READ_BYTES = 254
FRAME_BYTES = 5
"""Format, two addresses, a length of its own, checksum; short messages have no such length."""
LEVEL = 0x01


@dataclass(frozen=True)
class Line:
    """A bit rate, and the ECU's least times."""

    name: str
    rate_bps: int
    p2_s: float
    p3_s: float
    p4_s: float


LINES = (
    Line("P2 25, P3 55, P4 5 ms", 10_400, 0.025, 0.055, 0.005),
    Line("P2 25, P3 55, P4 17 ms", 10_400, 0.025, 0.055, 0.017),
    Line("P2 25, P3 55, P4 5 ms", 124_800, 0.025, 0.055, 0.005),
    Line("P2 1, P3 1, P4 0 ms", 124_800, 0.001, 0.001, 0.0),
)


def measure() -> list[Row]:
    """Every line, read and written."""
    return [row for line in LINES for row in run_virtual(_rows(line))]


async def _rows(line: Line) -> list[Row]:
    client, chip = await _connected(line)

    async def read() -> None:
        for at in range(0, SIZE, READ_BYTES):
            await client.ask(memory.read_memory(START + at, min(READ_BYTES, SIZE - at)))

    most = 0

    async def announce() -> None:
        nonlocal most
        chip.memory.force(START, bytes((0xFF,)) * SIZE)
        chip.note_erased(START, SIZE)
        most = await client.ask(memory.request_download(START, SIZE)) - 1

    async def write() -> None:
        for at in range(0, SIZE, most):
            await client.ask(memory.transfer(bytes(min(most, SIZE - at))))

    read_s = await _timed(read)
    await announce()
    written_s = await _timed(write)
    return [
        _row(line, "read", read_s, [(5, size + 1) for size in _sizes(READ_BYTES)]),
        _row(line, "write", written_s, [(size + 1, 1) for size in _sizes(most)]),
    ]


async def _connected(line: Line) -> tuple[KwpClient, Chip]:
    times = LineTimes(p2_s=line.p2_s, p3_min_s=line.p3_s, p4_min_s=line.p4_s)
    wire = KWire()
    ecu = KwpEcu(wire, KwpEcuSettings(rate_bps=line.rate_bps, times=times))
    flash = FlashMemory(ECU.regions, lambda: synthesise(ECU))
    chip = Chip(ECU, flash, NonVolatile(Records()), EcuOptions(), Surroundings(), 0)
    chip.program = Program.APPLICATION
    KwpServer(ecu, chip, Told())
    kline = SimulatedKLine(wire.attach("box"))
    kline.set_rate(line.rate_bps)
    form = HeaderForm(0x10)
    timing = KwpTiming(p2_min_s=line.p2_s, p3_min_s=line.p3_s, p4_min_s=line.p4_s)
    await wake_fast(kline, form, timing)
    client = KwpClient(KwpLink(kline, form, timing))
    await client.ask(control.start_session(control.PROGRAMMING_SESSION))
    seed = await client.ask(data.request_seed(LEVEL))
    key = int.from_bytes(seed) ^ KwpEcuSettings().secret
    await client.ask(data.send_key(LEVEL, key.to_bytes(4)))
    return client, chip


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await work()
    return loop.time() - began_s


def _sizes(most: int) -> list[int]:
    return [min(most, SIZE - at) for at in range(0, SIZE, most)]


def _row(line: Line, job: str, seconds: float, exchanges: list[tuple[int, int]]) -> Row:
    ideal_s = sum(_exchange_s(line, _framed(sent), _framed(got)) for sent, got in exchanges)
    return {
        "bit/s": line.rate_bps,
        "the ECU's times": line.name,
        "job": f"{job} {SIZE // 1024} KiB",
        "s": seconds,
        "ideal s": ideal_s,
        "kB/s": SIZE / seconds / 1000,
        "of ideal %": ideal_s / seconds,
    }


def _framed(payload_bytes: int) -> int:
    return payload_bytes + FRAME_BYTES - (payload_bytes < 64)


def _exchange_s(line: Line, sent: int, got: int) -> float:
    return (sent + got) * 10 / line.rate_bps + (sent - 1) * line.p4_s + line.p2_s + line.p3_s


BENCHMARK = Benchmark("kline", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
