"""Whatever faults a choreography meets: no pin is driven at the end, the supply is as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.entry_events import EntryOutcome
from appliance.contract.errors import PitboxError
from appliance.definitions.choreography import Choreography
from drivers.person.simulated import Reply
from drivers.supply.interface import Output
from simulator.virtualtime import run_virtual

from .entry_bench import EntryBench

PINS = ("boot_1", "boot_2", "reset")
LEVELS = st.sampled_from(("low", "high"))
WIRES = ("supply", "ignition", "ground", *PINS)
Act = Callable[[EntryBench], object]

pin_steps = st.one_of(
    st.fixed_dictionaries({"verb": st.just("set_pin"), "pin": st.sampled_from(PINS), "level": LEVELS}),
    st.fixed_dictionaries(
        {
            "verb": st.just("pulse_pin"),
            "pin": st.sampled_from(PINS),
            "level": LEVELS,
            "width_ms": st.sampled_from((1.0, 200.0)),
            "times": st.integers(1, 3),
        }
    ),
    st.fixed_dictionaries({"verb": st.just("release_pin"), "pin": st.sampled_from(PINS)}),
    st.fixed_dictionaries(
        {
            "verb": st.just("check_pin"),
            "pin": st.sampled_from(PINS),
            "level": LEVELS,
        }
    ),
    st.fixed_dictionaries({"verb": st.just("wait"), "seconds": st.sampled_from((0.05, 3.0))}),
)
some = st.lists(pin_steps, max_size=4)


@st.composite
def choreographies(draw: st.DrawFn) -> Choreography:
    window = {"min_v": 11.5, "max_v": 14.5}
    steps = draw(some)
    if draw(st.booleans()):
        steps += [{"verb": "ask", "question": "ready", "text": "Ready?", "deadline_s": 30}]
    supplied, keeps = draw(st.booleans()), False
    if supplied:
        steps += [{"verb": "supply_on", **window}, *draw(some)]
        keeps = draw(st.booleans())
        if draw(st.booleans()):
            steps += [{"verb": "ignition_on", **window}, *draw(some)]
    driven = sorted({step["pin"] for step in steps if step["verb"] in ("set_pin", "pulse_pin")})
    ending: list[dict[str, Any]] = [{"verb": "release_pin", "pin": pin} for pin in driven]
    if supplied and not keeps:
        ending.insert(draw(st.integers(0, len(ending))), {"verb": "supply_off"})
    if steps and draw(st.booleans()):
        ending.insert(0, {"verb": "wait", "seconds": 2.0})
    raw = {"steps": tuple(steps), "ending": tuple(ending), "keep_supply": keeps}
    return Choreography.model_validate(raw)


wire_faults = st.one_of(
    st.tuples(st.sampled_from(WIRES), st.sampled_from(WIRES)).map(lambda w: lambda b: b.bench.wires.swap(*w)),
    st.sampled_from(WIRES).map(lambda w: lambda b: b.bench.wires.open(w)),
    st.tuples(st.sampled_from(WIRES), st.sampled_from(("ground", "supply"))).map(
        lambda w: lambda b: b.bench.wires.short(*w)
    ),
    st.just(lambda b: b.bench.wires.mend()),
)
supply_faults = st.one_of(
    st.just(lambda b: b.bench.supply.trip()),
    st.tuples(st.sampled_from((3.0, 9.0, 20.0)), st.sampled_from((0.1, 5.0))).map(
        lambda sag: lambda b: b.bench.supply.sag(*sag)
    ),
    st.just(lambda b: setattr(b.supply, "silent", True)),
    st.sampled_from(PINS).map(lambda pin: lambda b: b.pins.stuck.update({pin: True})),
)
faults = st.lists(st.tuples(st.floats(0, 45, allow_nan=False), wire_faults | supply_faults), max_size=4)
scripts = st.sampled_from(
    ([], [Reply("done", 10.0)], [Reply("stop")], [Reply("eh"), Reply("done")], [Reply("done", 31)])
)
ends = st.one_of(st.none(), st.floats(0, 60, allow_nan=False))


@settings(max_examples=150, deadline=None)
@given(choreographies(), faults, scripts, ends, st.one_of(st.none(), st.integers(0, 30)))
def test_the_lines_end_safe(
    choreography: Choreography,
    struck: list[tuple[float, Act]],
    script: list[Reply],
    cancelled_at: float | None,
    full_after: int | None,
) -> None:
    async def work(bench: EntryBench) -> None:
        async with bench.entry(choreography):
            await asyncio.sleep(10)

    async def main() -> None:
        bench = EntryBench({"ready": script}, full_after=full_after)
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(at, act, bench) for at, act in struck]
        working = loop.create_task(work(bench))
        if cancelled_at is not None:
            timers.append(loop.call_later(cancelled_at, working.cancel))
        done, _ = await asyncio.wait({working}, timeout=1000)
        for timer in timers:
            timer.cancel()
        assert done, "it never ends"
        failed = working.cancelled() or working.exception() is not None
        assert working.cancelled() or isinstance(working.exception(), PitboxError | None)
        assert not bench.bench.driven
        may_stay = choreography.keep_supply and EntryOutcome.ENTERED in bench.outcomes
        assert may_stay or not bench.bench.supply.on
        if not failed and choreography.keep_supply:
            assert Output.SUPPLY in bench.bench.supply.on
        if bench.told and full_after is None:
            unmeasured = bench.supply.silent and choreography.switches and not may_stay
            assert bench.outcomes[-1] is (EntryOutcome.UNSAFE if unmeasured else EntryOutcome.SAFE) or (
                bench.outcomes[-1] is EntryOutcome.UNSAFE and bench.alarms
            )
        bench.car.close()

    run_virtual(main())


class Killed(BaseException):
    """The box is gone."""


@pytest.mark.parametrize("at", range(1, 19))
def test_a_power_cut_at_any_record_leaves_the_lines_to_the_bench(at: int) -> None:
    async def main() -> None:
        bench = EntryBench()
        record = bench.record

        def mortal(event: Any) -> None:
            if len(bench.events) < at:
                record(event)
            if len(bench.events) == at:
                bench.bench.box_dies()
                raise Killed

        bench.record = mortal  # type: ignore[method-assign]
        with pytest.raises(Killed):
            async with bench.entry():
                pass
        assert bench.bench.is_safe
        assert len(bench.events) == at
        bench.car.close()

    run_virtual(main())
