"""The shipped access on the bench: what is checked before the ECU is powered, and how each fault ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import pytest

from appliance.contract.entry_events import EntryOutcome
from appliance.contract.errors import PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.loader import PACKS, load_definition
from appliance.flashing.entry import Entry
from drivers.person.simulated import Reply
from drivers.supply.interface import Output
from simulator.ecu.chip import Program
from simulator.virtualtime import run_virtual
from tests.support.bench import connected

from .entry_bench import EntryBench

ACCESS = load_definition(PACKS / "pbx-x050.toml").access_named("bench")
CONNECTED = connected(ACCESS)
POWERED_AT, IGNITED_AT = 10, 13
"""Steps, behind a question for each of six wires."""


def bench_entry(bench: EntryBench, access: AccessDefinition = ACCESS) -> Entry:
    return Entry(access.choreography, bench.ports, bench.record, access.name, "job-1")


def on_bench(
    test: Callable[[EntryBench], Awaitable[None]], script: Mapping[str, Sequence[Reply]] = CONNECTED
) -> None:
    async def inside() -> None:
        bench = EntryBench(script)
        try:
            await test(bench)
        finally:
            bench.car.close()

    run_virtual(inside())


async def refused(bench: EntryBench) -> PitboxError:
    with pytest.raises(PitboxError) as found:
        async with bench_entry(bench):
            raise AssertionError("it was entered")
    return found.value


def test_each_wire_is_a_question_and_the_ecu_starts_behind_the_last_check() -> None:
    async def test(bench: EntryBench) -> None:
        async with bench_entry(bench):
            assert bench.car.ecu.program is not Program.OFF
            assert bench.bench.driven == {"boot_1": False}
        asked = [question.text for question in bench.person.asked]
        assert asked[0].startswith("Connect pin 1 of the ECU to ground of the bench supply.")
        assert len(asked) == len(ACCESS.wiring) == 6
        assert all(question.choices == ("connected", "stop") for question in bench.person.asked)
        told = [event.what for event in bench.told if event.outcome is EntryOutcome.DONE]
        assert told[6:8] == ["0.0 V, 0.00 A", "3.1 V at the probe"]
        assert bench.outcomes[-1] is EntryOutcome.SAFE and bench.bench.is_safe

    on_bench(test)


@pytest.mark.parametrize(
    ("spoil", "code", "words", "step"),
    [
        (lambda b: b.wires.open("ground"), "GROUND_MISSING", "would be powered through its other pins", 8),
        (lambda b: b.wires.open("supply"), "GROUND_MISSING", "Nothing was switched on", 8),
        (lambda b: b.wires.swap("supply", "ground"), "POLARITY_WRONG", "Exchange the wires", 8),
        (lambda b: b.wires.swap("ground", "boot_1"), "GROUND_MISSING", "Check ground first", 8),
        (lambda b: b.wires.short("supply", "ground"), "SUPPLY_SHORTED", "Look for the wire", 8),
        (lambda b: b.wires.short("ground", "supply"), "SUPPLY_SHORTED", "Look for the wire", 8),
        (lambda b: b.wires.swap("supply", "ignition"), "ECU_DRAWS_NOTHING", "check the wires of", POWERED_AT),
        (lambda b: b.blow(), "ECU_DRAWS_NOTHING", "does not take its supply", POWERED_AT),
        (lambda b: setattr(b.supply, "limit_a", 0.02), "SUPPLY_TRIPPED", "from ground on", POWERED_AT),
        (lambda b: b.supply.set_volts(9.0), "SUPPLY_OUT_OF_WINDOW", "current limit", POWERED_AT),
        (lambda b: b.wires.open("boot_1"), "PIN_LEVEL", "wiring picture", POWERED_AT + 1),
        (lambda b: b.wires.open("ignition"), "IGNITION_DRAWS_NOTHING", "check the wires of", IGNITED_AT),
        (lambda b: b.wires.short("ignition", "ground"), "SUPPLY_TRIPPED", "from ground on", IGNITED_AT),
        (lambda b: setattr(b.supply, "limit_a", 0.3), "SUPPLY_TRIPPED", "from ground on", IGNITED_AT),
    ],
)
def test_what_is_wrong_on_the_bench_ends_it_with_the_supply_off(
    spoil: Callable[[object], object], code: str, words: str, step: int
) -> None:
    async def test(bench: EntryBench) -> None:
        spoil(bench.bench)
        error = await refused(bench)
        assert (error.code, error.details[0].split(":")[0]) == (code, f"step {step} of 14")
        assert words in error.do_now
        assert bench.bench.is_safe and not bench.bench.harm
        assert bench.outcomes[-2:] == [EntryOutcome.FAILED, EntryOutcome.SAFE] and not bench.alarms
        assert bench.car.ecu.program is Program.OFF
        if step <= 8:
            assert not any("supply on" in event.what for event in bench.told), "it was never powered"

    on_bench(test)


@pytest.mark.parametrize("after_s", [1.0, 18.06, 18.2, 18.4, 18.6, 19.5, 21.0])
@pytest.mark.parametrize("what", ["trip", "ammeter"])
def test_a_trip_or_a_lost_ammeter_in_any_phase_of_the_entry_ends_with_everything_off(
    what: str, after_s: float
) -> None:
    """A question for each wire takes 18 s; a trip before the supply is on is found when it is switched on."""

    async def test(bench: EntryBench) -> None:
        supply = bench.bench.supply
        strike = partial(setattr, bench.supply, "silent", True)
        if what == "trip":
            strike = partial(setattr, supply, "limit_a", 0.001)
        asyncio.get_running_loop().call_later(after_s, lambda: (strike(), bench.bench.stays_awake(0.0)))
        entered = False
        try:
            async with bench_entry(bench):
                entered = True
                await asyncio.sleep(4.0)
        except PitboxError as error:
            assert error.code in (
                "SUPPLY_TRIPPED",
                "SUPPLY_FAILED",
                "ECU_DRAWS_NOTHING",
                "SUPPLY_OUT_OF_WINDOW",
            )
            assert not entered and error.do_now
        else:
            assert entered
        assert bench.bench.is_safe and not bench.bench.harm
        unsafe = what == "ammeter"
        assert bench.outcomes[-1] is (EntryOutcome.UNSAFE if unsafe else EntryOutcome.SAFE)
        assert bench.alarms == (["LINES_NOT_SAFE"] if unsafe else []), "nobody has measured that it is off"

    on_bench(test)


def test_an_ignition_that_is_stuck_is_found_before_the_ecu_is_used_and_named_at_the_end() -> None:
    async def test(bench: EntryBench) -> None:
        bench.bench.supply.weld(Output.IGNITION)
        error = await refused(bench)
        assert error.code == "IGNITION_STUCK" and "take the ECU off the bench" in error.do_now
        assert Output.SUPPLY not in bench.bench.supply.on

    on_bench(test)


def test_an_ignition_that_gets_stuck_during_the_work_is_told_at_its_end() -> None:
    async def test(bench: EntryBench) -> None:
        async with bench_entry(bench):
            bench.bench.supply.weld(Output.IGNITION)
        assert bench.outcomes[-1] is EntryOutcome.UNSAFE and bench.alarms == ["LINES_NOT_SAFE"]
        assert "0.35 A measured with ignition off" in bench.told[-1].what
        assert bench.bench.supply.on == {Output.IGNITION}, "the supply is off all the same"

    on_bench(test)


def test_a_supply_that_cannot_be_switched_off_is_found_before_anything_else_moves() -> None:
    async def test(bench: EntryBench) -> None:
        bench.bench.supply.weld(Output.SUPPLY)
        error = await refused(bench)
        assert error.code == "SUPPLY_STAYS_ON" and "by hand" in error.do_now
        assert error.details[0].startswith("step 7 of 14")
        assert bench.outcomes[-1] is EntryOutcome.UNSAFE and bench.alarms == ["LINES_NOT_SAFE"]

    on_bench(test)


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([Reply("stop", 3.0)], "QUESTION_DECLINED"),
        ([Reply("yes", 3.0), Reply("stop", 1.0)], "QUESTION_DECLINED"),
        ([Reply("connected", 601.0)], "QUESTION_UNANSWERED"),
        ([], "QUESTION_UNANSWERED"),
    ],
)
@pytest.mark.parametrize("wire", [1, 6])
def test_nothing_is_switched_on_for_a_person_who_stops_is_late_or_silent(
    replies: list[Reply], code: str, wire: int
) -> None:
    async def test(bench: EntryBench) -> None:
        error = await refused(bench)
        assert error.code == code and "Start again" in error.do_now
        assert len(bench.person.asked) == wire and bench.bench.is_safe
        assert bench.car.ecu.program is Program.OFF

    on_bench(test, {**CONNECTED, f"wire_{wire}": replies})


def test_the_ignition_goes_off_first_and_the_supply_when_the_ecu_sleeps() -> None:
    async def test(bench: EntryBench) -> None:
        switched: list[tuple[str, bool, float]] = []
        switch, loop = bench.supply.switch, asyncio.get_running_loop()

        def noted(output: Output, on: bool) -> None:
            switched.append((output.value, on, loop.time()))
            switch(output, on)

        async with bench_entry(bench):
            bench.supply.switch = noted  # type: ignore[method-assign]
            bench.bench.stays_awake(4.0)
        off = [(name, at) for name, on, at in switched if not on]
        assert [name for name, _ in off[:3]] == ["ignition", "ignition", "supply"]
        assert off[2][1] - off[0][1] == pytest.approx(4.0, abs=0.1)
        assert bench.outcomes[-1] is EntryOutcome.SAFE

    on_bench(test)
