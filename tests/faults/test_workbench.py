"""The bench in the campaign: every class of fault strikes, and a box that bears with it is caught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from appliance.contract.catalogue import Phrase
from appliance.contract.entry_events import EntryOutcome
from appliance.contract.phrases import phrase
from appliance.definitions.loader import PACKS, load_definition
from appliance.flashing import entry, entry_findings
from appliance.flashing.entry_actions import Actions
from drivers.person.interface import Answer, Question
from drivers.person.simulated import SimulatedPerson
from drivers.supply.interface import Output
from simulator.bench.bench import Bench
from simulator.car import Car, CarSettings
from simulator.faults import Fault, FaultPlan
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.faults import run as runs
from tests.faults import workbench
from tests.faults.campaign import campaign, hitches
from tests.faults.hardships import Hardship
from tests.faults.judge import BrokenPromiseError, Outcome
from tests.faults.run import Result
from tests.faults.scenario import Storm
from tests.faults.workbench import OF_A_PERSON, Before, Hitch, Site, Workbench, judge_at_rest, judge_told

SEED, X050 = 11, "pbx-x050"
DEFINITION = load_definition(PACKS / f"{X050}.toml")
UNDER_POWER = (Hitch.TRIP, Hitch.SAG, Hitch.LIMIT, Hitch.DRAWS_NOTHING, Hitch.IGNITION_STUCK)


def on_bench(count: int = 1) -> list[Result]:
    return list(campaign(SEED, count, X050, hardship=Hardship.NONE, site=Site.BENCH))


def broken(count: int = 1) -> str:
    return "; ".join(result.broken for result in on_bench(count) if result.broken)


def hitch(monkeypatch: pytest.MonkeyPatch, *wanted: Hitch, at: float = 0.0) -> None:
    """These at the job itself, at that moment, and nothing else ever."""
    brew, fault = Workbench.brew, workbench._fault
    calm = Storm(FaultPlan(), None)

    def brewed(table: Workbench, dice: Any, _wanted: Sequence[Hitch] | None = None) -> list[Fault]:
        first, table.brewed = not getattr(table, "brewed", False), True  # type: ignore[attr-defined]
        return brew(table, dice, wanted if first else ())

    def at_once(dice: Any, one: Hitch) -> Fault:
        return fault(dice, one).model_copy(update={"at": at})

    monkeypatch.setattr(Workbench, "brew", brewed)
    monkeypatch.setattr(workbench, "_fault", at_once)
    monkeypatch.setattr(runs, "storm_for", lambda *_: calm)


@pytest.mark.timeout(900)
def test_every_run_on_the_bench_keeps_every_promise() -> None:
    results = list(campaign(SEED, 24, X050))
    assert [result.broken for result in results if result.broken] == []
    assert {result.site for result in results} == set(Site)
    ended = {result.outcome for result in results if result.site == Site.CAR_THEN_BENCH}
    assert Outcome.NEEDS_BENCH not in ended
    assert "draws_nothing" in hitches(results)


@pytest.mark.parametrize("one", list(Hitch))
def test_each_class_strikes_and_an_honest_box_bears_it(one: Hitch, monkeypatch: pytest.MonkeyPatch) -> None:
    hitch(monkeypatch, one, at=18.3 if one in (Hitch.TRIP, Hitch.SAG) else 0.0)
    (result,) = on_bench()
    assert (result.broken, result.hitches) == ("", [one])
    assert one in OF_A_PERSON or result.struck == 1


@pytest.mark.parametrize("one", UNDER_POWER)
def test_a_supply_left_on_behind_an_error_is_caught(one: Hitch, monkeypatch: pytest.MonkeyPatch) -> None:
    hitch(monkeypatch, one, at=18.3 if one in (Hitch.TRIP, Hitch.SAG) else 0.0)

    async def nothing(*_arguments: object) -> list[Phrase]:
        return []

    monkeypatch.setattr(entry.Entry, "_end", nothing)
    assert "left on at the bench" in broken()


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (Hitch.GROUND_MISSING, "powered an ECU without its ground"),
        (Hitch.POLARITY, "powered an ECU the wrong way round"),
    ],
)
def test_an_ecu_powered_without_ground_or_the_wrong_way_round_is_caught(
    one: Hitch, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hitch(monkeypatch, one)

    async def unchecked(*_arguments: object) -> Phrase:
        return phrase("step.connect_wires")

    monkeypatch.setattr(Actions, "_check_ground", unchecked)
    assert told in broken()


@pytest.mark.parametrize("one", sorted(OF_A_PERSON))
def test_a_box_that_takes_silence_or_any_word_for_a_yes_is_caught(
    one: Hitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    hitch(monkeypatch, one)
    monkeypatch.setattr(workbench, "_WRONG_ENDS", ("stop",))

    async def trusting(_person: SimulatedPerson, question: Question) -> Answer:
        return Answer(question.choices[0], "nobody", 0.0)

    monkeypatch.setattr(SimulatedPerson, "ask", trusting)
    assert "whose wires nobody had confirmed" in broken()


def test_a_stuck_supply_that_is_called_safe_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    hitch(monkeypatch, Hitch.SUPPLY_STUCK)

    async def unmeasured(*_arguments: object) -> Phrase:
        return phrase("step.connect_wires")

    monkeypatch.setattr(Actions, "_supply_off", unmeasured)
    assert "cannot be switched off was called safe" in broken()


@pytest.mark.parametrize(
    ("one", "blind", "told"),
    [
        (Hitch.IGNITION_STUCK, "_too_much", "ignition was stuck, and the ECU was used"),
        (Hitch.DRAWS_NOTHING, "_too_little", "an ECU that draws nothing was used"),
    ],
)
def test_a_box_that_does_not_look_at_the_current_is_caught(
    one: Hitch, blind: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hitch(monkeypatch, one)

    async def unchecked(*_arguments: object) -> Phrase:
        return phrase("step.connect_wires")

    monkeypatch.setattr(entry_findings, blind, lambda *_arguments: False)
    monkeypatch.setattr(Actions, "_check_pin", unchecked)
    assert told in broken()


@pytest.mark.parametrize("one", [Hitch.OPEN, Hitch.SWAPPED, Hitch.SHORTED])
def test_wires_in_the_wrong_place_under_a_box_that_checks_nothing_are_caught(
    one: Hitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever wires the dice choose: an offence, or a supply that nobody switches off."""
    hitch(monkeypatch, one)

    async def unchecked(*_arguments: object) -> Phrase:
        return phrase("step.connect_wires")

    async def nothing(*_arguments: object) -> list[Phrase]:
        return []

    for check in ("_check_ground", "_check_off", "_check_pin"):
        monkeypatch.setattr(Actions, check, unchecked)
    monkeypatch.setattr(entry.Entry, "_end", nothing)
    assert "powered an ECU" in broken() or "left on at the bench" in broken()


def test_an_entry_that_is_left_open_in_the_journal_is_caught() -> None:
    calm = Before(set(), False, 0)
    judge_told([EntryOutcome.BEGUN, EntryOutcome.FAILED, EntryOutcome.SAFE], calm, hot=False)
    with pytest.raises(BrokenPromiseError, match="left entered"):
        judge_told([EntryOutcome.BEGUN, EntryOutcome.DONE, EntryOutcome.ENTERED], calm, hot=False)


def test_a_pin_that_is_left_driven_is_caught_and_a_stuck_output_is_not_the_boxs() -> None:
    async def scene() -> None:
        car = Car([DEFINITION], wires_for(DEFINITION), CarSettings())
        bench = Bench(car)
        bench.supply.weld(Output.SUPPLY)
        judge_at_rest(bench)
        bench.set_line("boot_1", False)
        with pytest.raises(BrokenPromiseError, match="boot_1 left driven"):
            judge_at_rest(bench)
        car.close()

    run_virtual(scene())
