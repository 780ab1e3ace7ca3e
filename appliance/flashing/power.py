"""The power guard: the supply is measured before and during every job, and 0 V is never invented."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from appliance.contract.events import AlarmEvent, Tell
from appliance.definitions.access.base import Voltage

_SAMPLE_S = 0.017
"""Not a whole part of the 10 ms and 20 ms that mains chargers pulse with: those would look like no ripple."""
_FEWEST_SAMPLES = 8
_WATCH_S = 0.1
_BLIND_S = 10.0
_GOOD_AGAIN_S = 1.0


class Meter(Protocol):
    """The voltmeter driver, as far as the heart needs it."""

    async def read_v(self) -> float:
        """Supply in volts. Raises ConnectionError without a reading."""


@dataclass(frozen=True, slots=True)
class PowerReading:
    """A few seconds of supply voltage."""

    min_v: float
    max_v: float
    mean_v: float
    ripple_v: float
    """Peak to peak around the drift."""
    drift_v_per_s: float


def assess(samples: list[float], seconds: float) -> PowerReading:
    """Statistics of evenly spaced samples (at least 4) over `seconds`."""
    quarter = max(1, len(samples) // 4)
    first, last = sum(samples[:quarter]) / quarter, sum(samples[-quarter:]) / quarter
    drift = (last - first) / (seconds * 0.75)
    step = drift * seconds / len(samples)
    level = [value - step * index for index, value in enumerate(samples)]
    mean = sum(samples) / len(samples)
    return PowerReading(min(samples), max(samples), mean, max(level) - min(level), drift)


class PowerGuard:
    """Samples the supply, and holds a write until it is inside the definition's window."""

    def __init__(self, meter: Meter, window: Voltage, tell: Tell, job_id: str | None = None) -> None:
        self._meter = meter
        self.window = window
        self._tell = tell
        self._job_id = job_id
        self._watcher: asyncio.Task[None] | None = None
        self._alarmed = False
        self._blind = False
        self._seen_s: float | None = None
        self.min_v: float | None = None
        self.max_v: float | None = None
        self.now_v: float | None = None

    async def measured(self) -> PowerReading:
        """The supply over the definition's steady time. Raises ConnectionError without a reading."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        samples: list[float] = []
        while len(samples) < _FEWEST_SAMPLES or loop.time() - began < self.window.steady_s:
            samples.append(await self._sample())
            await asyncio.sleep(_SAMPLE_S)
        return assess(samples, loop.time() - began)

    def start(self) -> None:
        """Watch the supply in the background until `stop`."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    async def wait_until_good(self, *, may_go_blind: bool = False) -> float:
        """Return at once inside the window, else alarm and wait; gives the seconds waited.

        `may_go_blind` is for a half-written ECU: a voltmeter that says nothing at all for a while must not
        keep it so for ever.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        good_since = began - _GOOD_AGAIN_S if await self._sample_is_good() else None
        while good_since is None or loop.time() - good_since < _GOOD_AGAIN_S:
            blind_s = loop.time() - (began if self._seen_s is None else self._seen_s)
            if may_go_blind and self.now_v is None and blind_s >= _BLIND_S:
                self._go_blind()
                break
            self._alarm(True)
            await asyncio.sleep(_WATCH_S)
            if not await self._sample_is_good():
                good_since = None
            elif good_since is None:
                good_since = loop.time()
        else:
            self._alarm(False)
        return loop.time() - began

    def _go_blind(self) -> None:
        if not self._blind:
            self._blind = True
            text = (
                "The voltmeter is silent: going on, for the ECU is half written. Check the supply yourself."
            )
            self._tell(AlarmEvent(self._job_id, "POWER_UNKNOWN", text, True))

    async def _sample_is_good(self) -> bool:
        try:
            value = await self._sample()
        except ConnectionError:
            return False
        return self.window.min_v <= value <= self.window.max_v

    async def _sample(self) -> float:
        try:
            value = await self._meter.read_v()
        except ConnectionError:
            self.now_v = None
            raise
        self.now_v = value
        self._seen_s, self._blind = asyncio.get_running_loop().time(), False
        self.min_v = value if self.min_v is None else min(self.min_v, value)
        self.max_v = value if self.max_v is None else max(self.max_v, value)
        return value

    async def _watch(self) -> None:
        while True:
            with suppress(ConnectionError):
                await self._sample()
            await asyncio.sleep(_WATCH_S)

    def _alarm(self, raised: bool) -> None:
        if raised == self._alarmed:
            return
        self._alarmed = raised
        shown = "no reading" if self.now_v is None else f"{self.now_v:.1f} V"
        text = (
            f"Supply {shown}, wanted {self.window.min_v:.1f} to {self.window.max_v:.1f} V: waiting between "
            "blocks. Do not switch the ignition off; connect a programming supply."
            if raised
            else f"Supply is good again ({shown}): going on."
        )
        self._tell(AlarmEvent(self._job_id, "POWER_OUT_OF_WINDOW", text, raised))
