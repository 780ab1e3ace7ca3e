"""Makes the faults of a plan happen to a car."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from drivers.can.interface import CanFrame
from drivers.supply.interface import Output
from simulator.bench.bench import Bench
from simulator.bus import Fate, FrameFate, SimBus
from simulator.car import Car
from simulator.controller import Controller
from simulator.ecu.hooks import Mishap, RequestFate
from simulator.ecu.watch import Counter
from simulator.faults import (
    BENCH_KINDS,
    BYTE_TRIGGERS,
    FRAME_KINDS,
    LASTING_KINDS,
    LINE_KINDS,
    REQUEST_KINDS,
    Fault,
    FaultKind,
    FaultPlan,
    Trigger,
)
from simulator.kline.striking import LineFaults

_FATES = {
    FaultKind.LOST_FRAME: Fate.LOST,
    FaultKind.DOUBLED_FRAME: Fate.DOUBLED,
    FaultKind.LATE_FRAME: Fate.LATE,
    FaultKind.CORRUPTED_FRAME: Fate.CORRUPTED,
    FaultKind.GARBLED_FRAME: Fate.GARBLED,
}
_MISHAPS = {
    FaultKind.LATE_ANSWER: Mishap.LATE,
    FaultKind.WRONG_ANSWER: Mishap.WRONG_SERVICE,
    FaultKind.LOST_ANSWER: Mishap.UNANSWERED,
    FaultKind.BUSY: Mishap.BUSY,
    FaultKind.PENDING: Mishap.PENDING,
    FaultKind.DOUBLED_ANSWER: Mishap.DOUBLED,
    FaultKind.REPLAYED_ANSWER: Mishap.REPLAYED,
    FaultKind.HELD_ANSWER: Mishap.HELD,
    FaultKind.TRUNCATED_ANSWER: Mishap.TRUNCATED,
    FaultKind.OVERSIZED_ANSWER: Mishap.OVERSIZED,
}


class FaultInjector:
    """Takes effect at once; `struck` tells what has happened so far, in order."""

    def __init__(
        self,
        plan: FaultPlan,
        car: Car,
        box_dies: Callable[[], None] = lambda: None,
        bench: Bench | None = None,
    ) -> None:
        """Raises ValueError for a fault of a wire that is not there, and for a bench's without a bench."""
        self.struck: list[Fault] = []
        self._car = car
        self._box_dies = box_dies
        self._bench = bench
        if bench is None and any(fault.kind in BENCH_KINDS for fault in plan.faults):
            raise ValueError("faults of supply and wires need a bench")
        self._loop = asyncio.get_running_loop()
        self._frames_seen = 0
        self._at_frame: list[Fault] = []
        self._next_frames: deque[Fault] = deque()
        self._requests: dict[str, _RequestFaults] = {}
        self._line = self._line_of(plan)
        self._timers: list[asyncio.TimerHandle] = []
        for fault in plan.faults:
            self._arm(fault)
        self._hook_frames(plan)

    def close(self) -> None:
        """Nothing more happens by time, and the wires are whole; the rest ends with the car."""
        for timer in self._timers:
            timer.cancel()
        if self._line is not None:
            self._line.mend()

    def _arm(self, fault: Fault) -> None:
        if fault.on is Trigger.TIME:
            self._later(fault.at, partial(self._strike, fault))
        elif fault.on is Trigger.FRAME:
            self._at_frame.append(fault)
        elif fault.on is Trigger.BYTE and self._line is not None:
            self._line.waiting.append(fault)
        elif fault.on is Trigger.REQUEST:
            self._requests_of(self._ecu(fault)).waiting.append(fault)
        else:
            watch = self._ecu(fault).core.watch
            watch.at(Counter(fault.on.value), int(fault.at), partial(self._strike, fault))

    def _ecu(self, fault: Fault) -> Controller:
        return self._car.ecu if fault.ecu is None else self._car.ecus[fault.ecu]

    def _requests_of(self, ecu: Controller) -> _RequestFaults:
        faults = self._requests.get(ecu.definition.id)
        if faults is None:
            faults = self._requests[ecu.definition.id] = _RequestFaults(self._strike)
            ecu.request_hook = faults.on_request
        return faults

    def _hook_frames(self, plan: FaultPlan) -> None:
        if not any(fault.on is Trigger.FRAME or fault.kind in FRAME_KINDS for fault in plan.faults):
            return
        bus = self._car.wires.can
        if not isinstance(bus, SimBus):
            raise ValueError("frame faults need the simulated bus: a real interface cannot be told to fail")
        bus.fault = self._on_frame

    def _line_of(self, plan: FaultPlan) -> LineFaults | None:
        if not any(fault.on is Trigger.BYTE or fault.kind in LINE_KINDS for fault in plan.faults):
            return None
        if self._car.wires.kline is None:
            raise ValueError("faults of bytes need a K-line")
        return LineFaults(self._car.wires.kline, self._car.ecus, self._strike, self._later)

    def _on_frame(self, frame: CanFrame) -> FrameFate | None:
        self._frames_seen += 1
        for fault in [one for one in self._at_frame if one.at <= self._frames_seen]:
            self._at_frame.remove(fault)
            self._strike(fault)
        for fault in self._next_frames:
            if fault.can_id in (None, frame.can_id):
                self._next_frames.remove(fault)
                garbled = frame.data[:-1] + bytes(byte ^ fault.mask for byte in frame.data[-1:])
                return FrameFate(_FATES[fault.kind], fault.delay_s, garbled)
        return None

    def _strike(self, fault: Fault, address: int | None = None) -> None:
        self.struck.append(fault)
        ecu = self._ecu(fault)
        if fault.kind in FRAME_KINDS:
            self._next_frames.extend([fault] * fault.count)
        elif fault.kind in LINE_KINDS and self._line is not None:
            self._line.strike(fault, ecu)
        elif fault.kind in REQUEST_KINDS:
            self._requests_of(ecu).schedule(fault)
        elif fault.kind in (FaultKind.WRONG_READ, FaultKind.LIE):
            self._spoil_byte(fault, ecu, address)
        elif fault.kind is FaultKind.ERASE_REFUSED:
            self._refuse_erase(fault, ecu)
        elif self._bench is not None and fault.kind in BENCH_KINDS:
            self._strike_bench(fault, self._bench)
        else:
            self._strike_car(fault, ecu)

    def _strike_car(self, fault: Fault, ecu: Controller) -> None:
        car = self._car
        actions: dict[FaultKind, Callable[[], None]] = {
            FaultKind.POWER_CUT: partial(self._cut, fault.duration_s),
            FaultKind.ECU_RESET: ecu.reset,
            FaultKind.BUS_OFF: ecu.bus_off,
            FaultKind.VOLTAGE: partial(car.battery.hold, fault.volts, fault.duration_s),
            FaultKind.RIPPLE: partial(car.battery.disturb, fault.volts, fault.duration_s),
            FaultKind.BOX_DIES: self._box_dies,
        }
        actions[fault.kind]()

    def _strike_bench(self, fault: Fault, bench: Bench) -> None:
        wire, other = str(fault.wire), str(fault.other)
        actions: dict[FaultKind, Callable[[], None]] = {
            FaultKind.SUPPLY_TRIP: bench.supply.trip,
            FaultKind.SUPPLY_SAG: partial(bench.supply.sag, fault.volts, fault.duration_s),
            FaultKind.WIRE_OPEN: partial(bench.wires.open, wire),
            FaultKind.WIRES_SWAPPED: partial(bench.wires.swap, wire, other),
            FaultKind.WIRE_SHORTED: partial(
                bench.wires.short, wire, "ground" if other == "ground" else "supply"
            ),
            FaultKind.OUTPUT_STUCK: lambda: bench.supply.weld(Output(wire)),
            FaultKind.LIMIT_LOW: bench.lower_limit,
            FaultKind.DRAWS_NOTHING: bench.blow,
        }
        actions[fault.kind]()
        if fault.kind in LASTING_KINDS and fault.duration_s:
            self._later(fault.duration_s, bench.mend)

    def _cut(self, duration_s: float) -> None:
        self._car.power_cut()
        if duration_s:
            self._later(duration_s, self._car.supply_back)

    def _spoil_byte(self, fault: Fault, ecu: Controller, address: int | None) -> None:
        """Spoils the byte the trigger counted, or else the next one."""
        counter = Counter.READ if fault.kind is FaultKind.WRONG_READ else Counter.PROGRAMMED
        if address is None or fault.on not in BYTE_TRIGGERS or fault.on.value != counter.value:
            due = partial(_spoil, fault, ecu)
            ecu.core.watch.at(counter, ecu.core.watch.totals[counter] + 1, due)
        else:
            _spoil(fault, ecu, address)

    def _refuse_erase(self, fault: Fault, ecu: Controller) -> None:
        """The erase that the trigger counted, or else the next one at its first byte."""
        due = partial(_break_off, fault, ecu)
        if fault.on is Trigger.ERASED:
            due(0)
        else:
            ecu.core.watch.at(Counter.ERASED, ecu.core.watch.totals[Counter.ERASED] + 1, due)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, action))


class _RequestFaults:
    """What happens to the coming requests of one ECU."""

    def __init__(self, strike: Callable[[Fault], None]) -> None:
        self.waiting: list[Fault] = []
        self._strike = strike
        self._seen: dict[int | None, int] = {}
        self._next: deque[RequestFate] = deque()

    def schedule(self, fault: Fault) -> None:
        """Let it happen to the coming requests."""
        mishap, pending = _MISHAPS[fault.kind], fault.kind is FaultKind.PENDING
        late_s = fault.delay_s if mishap in (Mishap.LATE, Mishap.DOUBLED) else 0.0
        amount = fault.mask if mishap in (Mishap.TRUNCATED, Mishap.OVERSIZED) else 0
        fate = RequestFate(mishap, late_s, fault.count if pending else amount)
        self._next.extend([fate] * (1 if pending else fault.count))

    def on_request(self, request: bytes) -> RequestFate | None:
        """Count the request, strike what waited for it, and tell its fate."""
        for key in (None, request[0]):
            self._seen[key] = self._seen.get(key, 0) + 1
        for fault in [one for one in self.waiting if self._seen.get(one.service, 0) >= one.at]:
            self.waiting.remove(fault)
            self._strike(fault)
        return self._next.popleft() if self._next else None


def _break_off(fault: Fault, ecu: Controller, _address: int) -> None:
    ecu.core.break_off(fault.nrc)


def _spoil(fault: Fault, ecu: Controller, address: int) -> None:
    if fault.kind is FaultKind.WRONG_READ:
        ecu.core.flips[address] = fault.mask
    else:
        stored = ecu.memory.read(address, 1)[0]
        ecu.memory.force(address, bytes((stored ^ fault.mask,)))
