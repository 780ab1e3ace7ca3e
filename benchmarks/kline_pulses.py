"""How exact the box times fast initialisation of a K-line: a thousand pulses over a pseudo-terminal.

`python -m benchmarks.kline_pulses [--json FILE]`. A minute in real time. A pseudo-terminal takes a break
without sending one, so this is the timing of the box's own calls, as the driver measures them, and no signal
on a wire.
"""

from __future__ import annotations

import asyncio
import os
import pty
import tty

from benchmarks.report import Benchmark, Row
from drivers.kline.interface import WAKE_LOW_S, WAKE_WHOLE_S, Span, WakePulse, WakeTimingError
from drivers.kline.serialline import SerialKLine

TRIES = 1_000
REQUEST = bytes.fromhex("C133F18166")


async def pulses(tries: int) -> list[WakePulse | None]:
    """Each as it was measured; None where the driver itself refused it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, lambda: os.write(master, os.read(master, 4096)))
    line = SerialKLine(os.ttyname(slave))
    found: list[WakePulse | None] = []
    for _ in range(tries):
        try:
            found.append(await line.wake_fast(REQUEST, 0.0))
        except WakeTimingError:
            found.append(None)
    loop.remove_reader(master)
    line.close()
    os.close(slave)
    os.close(master)
    return found


def measure() -> list[Row]:
    """How far the low and the whole were off, as far as they can have been."""
    found = asyncio.run(pulses(TRIES))
    good = [pulse for pulse in found if pulse is not None]
    return [
        _row("25 ms low", [_off_ms(pulse.low, WAKE_LOW_S) for pulse in good], found),
        _row("50 ms to the request", [_off_ms(pulse.whole, WAKE_WHOLE_S) for pulse in good], found),
    ]


def _off_ms(span: Span, nominal_s: float) -> float:
    return max(abs(span.shortest_s - nominal_s), abs(span.longest_s - nominal_s)) * 1000


def _row(name: str, off_ms: list[float], found: list[WakePulse | None]) -> Row:
    off_ms.sort()
    return {
        "pattern": name,
        "tries": len(found),
        "refused by the driver": found.count(None),
        "median off ms": off_ms[len(off_ms) // 2],
        "99 % within ms": off_ms[int(len(off_ms) * 0.99)],
        "worst ms": off_ms[-1],
    }


BENCHMARK = Benchmark("kline_pulses", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
