"""The power guard: the supply is measured before and during every job, and 0 V is never invented."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from appliance.contract.catalogue import Field
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.events import AlarmEvent, Tell
from appliance.contract.voltage import Voltage
from appliance.definitions.access.base import Voltage as VoltageWindow

_SAMPLE_S = 0.017
"""Not a whole part of the 10 ms and 20 ms that mains chargers pulse with: those would look like no ripple."""
_FEWEST_SAMPLES = 8
_WATCH_S = 0.1
_OWN_SUPPLY_S = 30.0
"""So long a bench supply may be away: longer than any sag, and nobody beside the box switches it."""
_BLIND_S = 10.0
_GOOD_AGAIN_S = 1.0


class Meter(Protocol):
    """The voltmeter driver, as far as the heart needs it."""

    source: str
    """Its kind."""

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


@dataclass(frozen=True, slots=True)
class Supply:
    """A few seconds of supply voltage, until when they were watched, and by what."""

    reading: PowerReading
    until_s: float
    """When the last sample was taken, on the loop's clock."""
    source: str

    @property
    def age_s(self) -> float:
        """Seconds since the last sample."""
        return asyncio.get_running_loop().time() - self.until_s


@dataclass(frozen=True, slots=True)
class _Sample:
    volts: float
    at_s: float
    """On the loop's clock."""


def assess(samples: list[float], seconds: float) -> PowerReading:
    """Statistics of evenly spaced samples (at least 4) over `seconds`."""
    quarter = max(1, len(samples) // 4)
    first, last = sum(samples[:quarter]) / quarter, sum(samples[-quarter:]) / quarter
    drift = (last - first) / (seconds * 0.75)
    step = drift * seconds / len(samples)
    level = [value - step * index for index, value in enumerate(samples)]
    mean = sum(samples) / len(samples)
    return PowerReading(min(samples), max(samples), mean, max(level) - min(level), drift)


def _own_supply_lost() -> PitboxError:
    return EngineError("BENCH_SUPPLY_LOST", seconds=_OWN_SUPPLY_S)


class PowerGuard:
    """Samples the supply, and holds a write until it is inside the definition's window."""

    def __init__(
        self,
        meter: Meter,
        window: VoltageWindow,
        tell: Tell,
        job_id: str | None = None,
        *,
        own_supply: bool = False,
    ) -> None:
        """`own_supply`: the box itself powers the ECU, and nobody else brings a lost supply back."""
        self._own_supply = own_supply
        self._meter = meter
        self.window = window
        self._tell = tell
        self._job_id = job_id
        self._watcher: asyncio.Task[None] | None = None
        self._alarmed = False
        self._blind = False
        self._last: _Sample | None = None
        self._lowest: _Sample | None = None
        self._highest: _Sample | None = None
        self.answers = False
        """Whether the last try gave a reading."""

    def voltage(self) -> Voltage | None:
        """The last reading with its age now; None before the first."""
        return self._aged(self._last)

    def span(self) -> tuple[Voltage, Voltage] | None:
        """Lowest and highest reading so far."""
        low, high = self._aged(self._lowest), self._aged(self._highest)
        return (low, high) if low and high else None

    @property
    def left_window(self) -> bool:
        """Whether the supply was ever seen outside its window, or is not seen any more."""
        seen = (self._lowest, self._highest)
        outside = any(
            one is not None and not self.window.min_v <= one.volts <= self.window.max_v for one in seen
        )
        return outside or not self.answers

    def _aged(self, sample: _Sample | None) -> Voltage | None:
        if sample is None:
            return None
        age_s = asyncio.get_running_loop().time() - sample.at_s
        return Voltage(sample.volts, age_s, self._meter.source)

    async def measured(self) -> Supply:
        """The supply over the definition's steady time. Raises ConnectionError without a reading."""
        loop = asyncio.get_running_loop()
        began = until_s = loop.time()
        samples: list[float] = []
        while len(samples) < _FEWEST_SAMPLES or loop.time() - began < self.window.steady_s:
            samples.append(await self._sample())
            until_s = loop.time()
            await asyncio.sleep(_SAMPLE_S)
        return Supply(assess(samples, loop.time() - began), until_s, self._meter.source)

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

        Raises PitboxError BENCH_SUPPLY_LOST where it is the box's own supply that does not come back.

        `may_go_blind` is for a half-written ECU: a voltmeter that says nothing at all for a while must not
        keep it so for ever.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        good_since = began - _GOOD_AGAIN_S if await self._sample_is_good() else None
        while good_since is None or loop.time() - good_since < _GOOD_AGAIN_S:
            blind_s = loop.time() - (began if self._last is None else self._last.at_s)
            if may_go_blind and not self.answers and blind_s >= _BLIND_S:
                self._go_blind()
                break
            self._alarm(True)
            if self._own_supply and loop.time() - began >= _OWN_SUPPLY_S:
                raise _own_supply_lost()
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
            self._tell(AlarmEvent(self._job_id, "POWER_UNKNOWN", "supply_silent", True))

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
            self.answers = False
            raise
        self.answers, self._blind = True, False
        self._last = last = _Sample(value, asyncio.get_running_loop().time())
        if self._lowest is None or value < self._lowest.volts:
            self._lowest = last
        if self._highest is None or value > self._highest.volts:
            self._highest = last
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
        key, fields = self._alarm_told(raised)
        self._tell(AlarmEvent(self._job_id, "POWER_OUT_OF_WINDOW", key, raised, fields))

    def _alarm_told(self, raised: bool) -> tuple[str, dict[str, Field]]:
        """What the alarm says: the last reading, and where it is not of now, its age."""
        last = self.voltage()
        wanted: dict[str, Field] = {"min_v": self.window.min_v, "max_v": self.window.max_v}
        if last is None:
            return "supply_unread", wanted
        measured: dict[str, Field] = {"volts": last.volts, "age_s": last.age_s, "source": last.source}
        if not raised:
            return "supply_good", measured
        return "supply_outside" if self.answers else "supply_lost", measured | wanted
