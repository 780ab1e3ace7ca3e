"""The entry choreography on a bench: what the lines, the journal and the error say after every fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from appliance.contract.entry_events import EntryOutcome
from appliance.contract.errors import PitboxError
from appliance.flashing.entry import Entry
from appliance.flashing.entry_actions import EntryError
from drivers.person.simulated import Reply
from drivers.pins.simulated import SimulatedPins
from drivers.supply.interface import Output
from simulator.ecu.chip import Program
from simulator.virtualtime import VirtualLoop, run_virtual

from .entry_bench import ENTRY, EntryBench, entry_of

FAILED = [EntryOutcome.FAILED, EntryOutcome.SAFE]


def on_bench(test: Callable[[EntryBench], Awaitable[None]], **made: Any) -> None:
    async def inside() -> None:
        bench = EntryBench(**made)
        try:
            await test(bench)
        finally:
            bench.car.close()

    run_virtual(inside())


async def refusal(bench: EntryBench, text: str = ENTRY) -> PitboxError:
    """The error that the entry ends with, every line in its safe state."""
    with pytest.raises(PitboxError) as refused:
        async with bench.entry(entry_of(text)):
            raise AssertionError("it was entered")
    assert refused.value.what and refused.value.do_now
    assert bench.bench.is_safe and bench.car.ecu.program is Program.OFF
    return refused.value


def test_every_step_is_done_in_order_and_recorded_before_and_after() -> None:
    async def test(bench: EntryBench) -> None:
        async with bench.entry():
            assert bench.car.ecu.program is Program.BOOTLOADER
            assert bench.bench.driven == {"boot_1": False, "reset": True}
            assert bench.supply is bench.ports.supply()
        assert bench.bench.is_safe and bench.car.ecu.program is Program.OFF
        assert bench.outcomes == [
            *[EntryOutcome.BEGUN, EntryOutcome.DONE] * 8,
            EntryOutcome.ENTERED,
            EntryOutcome.SAFE,
        ]
        assert [event.step for event in bench.told] == [n for n in range(1, 9) for _ in "ab"] + [None, None]
        assert [event.what for event in bench.told if event.outcome is EntryOutcome.DONE] == [
            "Kim answered done",
            "boot_1 low",
            "13.5 V, 0.03 A",
            "reset reads high",
            "boot_2 reads low",
            "13.5 V, 0.35 A",
            "reset 1 x low for 10 ms",
            "wait 1 s",
        ]
        assert bench.told[-1].what == "pins released, supply off"
        assert {(event.job_id, event.access) for event in bench.told} == {("job-1", "boot")}
        assert [question.about for question in bench.person.asked] == ["job-1"]
        assert not bench.alarms

    on_bench(test)


def test_an_empty_choreography_asks_for_no_port_and_records_nothing() -> None:
    async def test(bench: EntryBench) -> None:
        async with bench.entry(entry_of("")):
            assert bench.bench.is_safe
        assert not bench.events

    on_bench(test)


@pytest.mark.parametrize(
    ("spoil", "code", "step"),
    [
        (lambda b: b.bench.wires.swap("supply", "ignition"), "ECU_DRAWS_NOTHING", 3),
        (lambda b: b.bench.wires.swap("supply", "ground"), "SUPPLY_TRIPPED", 3),
        (lambda b: b.bench.wires.swap("supply", "reset"), "ECU_DRAWS_NOTHING", 3),
        (lambda b: b.bench.wires.swap("reset", "boot_2"), "PIN_LEVEL", 4),
        (lambda b: b.bench.wires.open("supply"), "ECU_DRAWS_NOTHING", 3),
        (lambda b: b.bench.wires.open("ground"), "ECU_DRAWS_NOTHING", 3),
        (lambda b: b.bench.wires.open("ignition"), "IGNITION_DRAWS_NOTHING", 6),
        (lambda b: b.bench.wires.open("reset"), "PIN_LEVEL", 4),
        (lambda b: b.bench.wires.short("supply", "ground"), "SUPPLY_TRIPPED", 3),
        (lambda b: b.bench.wires.short("ignition", "ground"), "SUPPLY_TRIPPED", 6),
        (lambda b: b.bench.wires.short("ground", "supply"), "SUPPLY_TRIPPED", 3),
        (lambda b: b.bench.wires.short("reset", "ground"), "PIN_LEVEL", 4),
        (lambda b: b.bench.wires.short("boot_2", "supply"), "PIN_LEVEL", 5),
        (lambda b: b.pins.stuck.update(boot_1=True), "PIN_NOT_FOLLOWING", 2),
        (lambda b: b.bench.supply.set_volts(9.0), "SUPPLY_OUT_OF_WINDOW", 3),
        (lambda b: b.bench.supply.set_volts(16.0), "SUPPLY_OUT_OF_WINDOW", 3),
    ],
)
def test_a_fault_of_wire_pin_or_supply_ends_it_at_its_step(
    spoil: Callable[[EntryBench], None], code: str, step: int
) -> None:
    async def test(bench: EntryBench) -> None:
        spoil(bench)
        error = await refusal(bench)
        assert error.code == code
        assert error.details == (f"step {step} of 8: {entry_of().steps[step - 1].told}",)
        assert bench.outcomes[-2:] == FAILED
        assert (bench.told[-2].step, bench.told[-2].what.startswith(code)) == (step, True)
        assert not bench.alarms

    on_bench(test)


def test_an_ecu_that_draws_too_much_with_its_ignition_on_is_switched_off() -> None:
    """0.35 A: more than the step allows, and less than what trips the supply."""
    greedy = ENTRY.replace("min_a = 0.2\nmax_a = 0.6", "min_a = 0.2\nmax_a = 0.3")
    assert greedy != ENTRY

    async def test(bench: EntryBench) -> None:
        error = await refusal(bench, greedy)
        assert error.code == "CURRENT_TOO_HIGH"
        assert "0.35 A measured with" in error.what and "check the wiring" in error.do_now
        assert error.details == (f"step 6 of 8: {entry_of(greedy).steps[5].told}",)
        assert bench.outcomes[-2:] == FAILED
        assert not bench.alarms

    on_bench(test)


def test_a_wire_that_is_found_wrong_before_power_harms_nothing() -> None:
    async def test(bench: EntryBench) -> None:
        bench.bench.wires.short("boot_1", "supply")
        bench.pins.stuck["boot_1"] = True
        assert (await refusal(bench)).code == "PIN_NOT_FOLLOWING"
        assert not bench.bench.harm

    on_bench(test)


@pytest.mark.parametrize(
    "script",
    [{}, {"strap_connected": [Reply("done", 301.0)]}, {"strap_connected": [Reply("perhaps", 1.0)]}],
    ids=["never", "late", "wrong"],
)
def test_a_question_that_nobody_answers_ends_it(script: dict[str, list[Reply]]) -> None:
    async def test(bench: EntryBench) -> None:
        began = asyncio.get_running_loop().time()
        error = await refusal(bench)
        assert error.code == "QUESTION_UNANSWERED"
        assert "Connect the boot strap." in error.what
        assert error.do_now == "Solder it first."
        assert 300 <= asyncio.get_running_loop().time() - began < 310
        assert bench.outcomes == [EntryOutcome.BEGUN, *FAILED]

    on_bench(test, script=script)


def test_an_answer_that_stops_it_is_told_with_who_gave_it() -> None:
    async def test(bench: EntryBench) -> None:
        error = await refusal(bench)
        assert error.code == "QUESTION_DECLINED" and "Kim answered 'stop'" in error.what
        assert bench.outcomes == [EntryOutcome.BEGUN, *FAILED]

    on_bench(test, script={"strap_connected": [Reply("stop")]})


LATER = (
    '[[steps]]\nverb = "ask"\nquestion = "running"\ntext = "Is the lamp on?"\ndeadline_s = 300\n[[ending]]'
)
ASKED_UNDER_POWER = ENTRY.replace("[[ending]]", LATER, 1)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (lambda b: b.bench.supply.trip(), "SUPPLY_TRIPPED"),
        (lambda b: b.bench.supply.sag(8.0, 5.0), "SUPPLY_OUT_OF_WINDOW"),
        (lambda b: b.bench.wires.short("supply", "ground"), "SUPPLY_TRIPPED"),
        (lambda b: setattr(b.supply, "silent", True), "SUPPLY_FAILED"),
    ],
)
def test_a_supply_lost_while_somebody_is_asked_is_not_waited_out(
    fault: Callable[[EntryBench], None], code: str
) -> None:
    async def test(bench: EntryBench) -> None:
        asyncio.get_running_loop().call_later(60.0, fault, bench)
        with pytest.raises(PitboxError) as refused:
            async with bench.entry(entry_of(ASKED_UNDER_POWER)):
                raise AssertionError("it was entered")
        assert refused.value.code == code
        assert asyncio.get_running_loop().time() < 75
        assert bench.bench.is_safe

    on_bench(test)


def test_a_short_dip_while_somebody_is_asked_is_waited_out() -> None:
    async def test(bench: EntryBench) -> None:
        asyncio.get_running_loop().call_later(60.0, bench.bench.supply.sag, 9.0, 0.15)
        async with bench.entry(entry_of(ASKED_UNDER_POWER)):
            assert asyncio.get_running_loop().time() > 100

    on_bench(test, script={"strap_connected": [Reply("done")], "running": [Reply("done", 100.0)]})


def test_a_supply_lost_at_the_last_step_is_no_entry() -> None:
    async def test(bench: EntryBench) -> None:
        text = ENTRY.replace(
            'verb = "wait"\nseconds = 1.0', 'verb = "check_pin"\npin = "boot_2"\nlevel = "low"'
        )
        record = bench.record

        def trip_at_last(event: Any) -> None:
            record(event)
            if getattr(event, "step", None) == 8 and event.outcome is EntryOutcome.BEGUN:
                bench.bench.supply.trip()

        bench.record = trip_at_last  # type: ignore[method-assign]
        assert (await refusal(bench, text)).code == "SUPPLY_TRIPPED"
        assert EntryOutcome.ENTERED not in bench.outcomes

    on_bench(test)


@pytest.mark.parametrize("after_s", [5.0, 20.02, 20.5])
def test_a_cancel_in_the_middle_ends_it_with_safe_lines(after_s: float) -> None:
    async def test(bench: EntryBench) -> None:
        entering = asyncio.ensure_future(bench.entry().__aenter__())
        await asyncio.sleep(after_s)
        assert not entering.done()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert bench.bench.is_safe
        assert bench.outcomes[-1] is EntryOutcome.SAFE and EntryOutcome.ENTERED not in bench.outcomes

    on_bench(test)


def test_a_second_cancel_does_not_cut_the_ending_short() -> None:
    async def work(bench: EntryBench) -> None:
        async with bench.entry(entry_of(SLOW_ENDING)):
            await asyncio.Event().wait()

    async def test(bench: EntryBench) -> None:
        working = asyncio.ensure_future(work(bench))
        await asyncio.sleep(30)
        working.cancel()
        await asyncio.sleep(1)
        working.cancel()
        await asyncio.sleep(1)
        assert bench.bench.driven == {"boot_1": False, "reset": False} and not bench.bench.supply.on
        with pytest.raises(asyncio.CancelledError):
            await working
        assert bench.bench.is_safe and bench.outcomes[-1] is EntryOutcome.SAFE

    on_bench(test)


SLOW_ENDING = ENTRY.replace(
    '[[ending]]\nverb = "release_pin"\npin = "reset"',
    '[[ending]]\nverb = "wait"\nseconds = 10\n[[ending]]\nverb = "release_pin"\npin = "reset"',
)


def test_an_error_of_the_work_goes_through_and_the_lines_are_safe() -> None:
    async def test(bench: EntryBench) -> None:
        with pytest.raises(ZeroDivisionError):
            async with bench.entry():
                raise ZeroDivisionError
        assert bench.bench.is_safe and bench.outcomes[-2:] == [EntryOutcome.ENTERED, EntryOutcome.SAFE]

    on_bench(test)


@pytest.mark.parametrize("after_s", [5.0, 20.02, 20.5, 40.0])
def test_where_the_loop_is_gone_the_lines_are_let_go_all_the_same(after_s: float) -> None:
    bench: list[EntryBench] = []

    async def work() -> None:
        bench.append(EntryBench())
        async with bench[0].entry():
            await asyncio.sleep(1000)

    loop = VirtualLoop()
    working: Coroutine[Any, Any, None] = work()
    task = loop.create_task(working)
    loop.call_later(after_s, loop.stop)
    loop.run_forever()
    assert not bench[0].bench.is_safe or after_s == 5.0
    working.close()
    assert bench[0].bench.is_safe
    assert bench[0].outcomes[-1] is EntryOutcome.SAFE
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    bench[0].car.close()
    loop.close()


@pytest.mark.parametrize("taken", range(18))
def test_a_journal_that_takes_no_more_ends_it_with_safe_lines(taken: int) -> None:
    async def test(bench: EntryBench) -> None:
        if taken == 17:
            async with bench.entry():
                pass
            assert bench.bench.is_safe
            return
        error = await refusal(bench)
        assert error.code == "STORAGE_FAILED"

    on_bench(test, full_after=taken)


def test_pins_that_no_longer_obey_are_told_as_unsafe() -> None:
    async def test(bench: EntryBench) -> None:
        asyncio.get_running_loop().call_later(20.5, setattr, bench.pins, "gone", True)
        async with bench.entry():
            pass
        assert bench.bench.driven and not bench.bench.supply.on
        assert bench.outcomes[-1] is EntryOutcome.UNSAFE
        assert "boot_1 is not released: the simulated pins do not answer" in bench.told[-1].what
        assert bench.alarms == ["LINES_NOT_SAFE"]

    on_bench(test)


def test_a_supply_that_stays_on_is_told_with_the_error_it_is_found_behind() -> None:
    async def test(bench: EntryBench) -> None:
        bench.supply.welded = {Output.SUPPLY}
        bench.bench.supply.set_output(Output.SUPPLY, True)
        bench.bench.wires.open("ignition")
        with pytest.raises(EntryError) as refused:
            async with bench.entry():
                raise AssertionError("it was entered")
        assert refused.value.code == "IGNITION_DRAWS_NOTHING"
        assert any("13.5 V, 0.03 A is still at its output" in one for one in refused.value.details)
        assert not bench.bench.driven
        assert bench.outcomes[-1] is EntryOutcome.UNSAFE and bench.alarms == ["LINES_NOT_SAFE"]

    on_bench(test)


KEPT = "keep_supply = true\n" + ENTRY.replace('[[ending]]\nverb = "supply_off"\n', "")


def test_a_supply_that_is_to_stay_stays_and_no_pin_is_driven() -> None:
    async def test(bench: EntryBench) -> None:
        async with bench.entry(entry_of(KEPT)):
            pass
        assert bench.bench.supply.on == set(Output) and not bench.bench.driven
        assert bench.told[-1].what == "pins released, supply left on"

    on_bench(test)


def test_an_entry_that_fails_keeps_no_supply() -> None:
    async def test(bench: EntryBench) -> None:
        bench.bench.wires.open("ignition")
        await refusal(bench, KEPT)
        assert bench.told[-1].what == "pins released, supply off"

    on_bench(test)


def test_an_ecu_that_would_not_come_back_keeps_its_supply_and_is_found_in_its_session() -> None:
    """Half written, and alive only as long as nothing resets it: no ending, and no step again."""

    async def test(bench: EntryBench) -> None:
        choreography = entry_of()
        with pytest.raises(ZeroDivisionError):
            async with Entry(choreography, bench.ports, bench.record, "boot", "job-1", stays=lambda: True):
                raise ZeroDivisionError
        assert bench.bench.supply.on == set(Output) and not bench.bench.driven
        assert bench.told[-1].what.startswith("pins released, supply left on: the ECU would not come back")
        bench.events.clear()
        async with Entry(choreography, bench.ports, bench.record, "boot", "job-1", inside=True):
            assert bench.car.ecu.program is Program.BOOTLOADER, "nothing has reset it"
        assert bench.bench.is_safe
        assert bench.outcomes == [EntryOutcome.ENTERED, EntryOutcome.SAFE]

    on_bench(test)


def test_an_ecu_that_was_left_under_power_stays_so_though_the_disk_is_full() -> None:
    async def test(bench: EntryBench) -> None:
        bench.bench.set_output(Output.SUPPLY, True)
        bench.bench.set_output(Output.IGNITION, True)
        entry = Entry(entry_of(), bench.ports, bench.record, "boot", "job-1", inside=True, stays=lambda: True)
        async with entry:
            assert bench.bench.supply.on == set(Output)
        assert bench.bench.supply.on == set(Output) and not bench.events

    on_bench(test, full_after=0)


def test_where_nobody_can_tell_whether_it_comes_back_the_supply_stays_on_and_is_told() -> None:
    def unreadable() -> bool:
        raise PitboxError("STORAGE_FAILED", "the disk is gone", do_now="Repair it.")

    async def test(bench: EntryBench) -> None:
        async with Entry(entry_of(), bench.ports, bench.record, "boot", "job-1", stays=unreadable):
            pass
        assert bench.bench.supply.on == set(Output) and not bench.bench.driven
        assert bench.outcomes[-1] is EntryOutcome.UNSAFE and "the disk is gone" in bench.told[-1].what
        assert bench.alarms == ["LINES_NOT_SAFE"]

    on_bench(test)


def test_an_entry_that_fails_keeps_no_supply_for_an_ecu_that_was_not_entered() -> None:
    async def test(bench: EntryBench) -> None:
        bench.bench.wires.open("ignition")
        with pytest.raises(EntryError):
            async with Entry(entry_of(), bench.ports, bench.record, "boot", "job-1", stays=lambda: True):
                raise AssertionError("it was entered")
        assert bench.bench.is_safe

    on_bench(test)


def test_a_port_that_is_missing_is_told_before_anything_moves() -> None:
    async def test(bench: EntryBench) -> None:
        bench.ports._supply = None
        error = await refusal(bench)
        assert (error.code, error.details) == ("PORT_MISSING", ("bench supply",))
        assert not bench.events and not bench.person.asked

    on_bench(test)


class OnePin(SimulatedPins):
    @property
    def names(self) -> frozenset[str]:
        return frozenset({"boot_1"})


def test_a_pin_that_the_box_has_not_got_is_told_by_its_name() -> None:
    async def test(bench: EntryBench) -> None:
        bench.ports._pins = OnePin(bench.bench)
        error = await refusal(bench)
        assert error.code == "PORT_MISSING" and "no pin boot_2, reset" in error.what
        assert not bench.events

    on_bench(test)


def test_a_driver_that_never_comes_back_is_not_waited_for() -> None:
    async def test(bench: EntryBench) -> None:
        async def never() -> Any:
            await asyncio.Event().wait()

        asyncio.get_running_loop().call_later(19.0, setattr, bench.supply, "read", never)
        with pytest.raises(PitboxError) as refused:
            async with bench.entry():
                raise AssertionError("it was entered")
        assert refused.value.code == "ENTRY_STUCK"
        assert bench.bench.is_safe, "switched off, though nobody can measure it"
        assert bench.outcomes[-1] is EntryOutcome.UNSAFE and bench.alarms == ["LINES_NOT_SAFE"]

    on_bench(test)
