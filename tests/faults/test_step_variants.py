"""The campaign's promises with steps that no pack has, and a person who answers late, wrong or never."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from appliance.definitions.schema import Definition
from appliance.protocols.uds.steps.rates import Rates
from drivers.person.interface import Person
from drivers.person.simulated import Reply, SimulatedPerson
from tests.faults.killable_box import KillableConnection
from tests.faults.prepared_boxes import Benches
from tests.faults.run import Result, run
from tests.faults.scenario import scenario_for
from tests.faults.ties import Tie
from tests.faults.workbench import Site
from tests.support.step_variants import (
    QUESTION,
    announces_wire,
    asks_first,
    changed,
    read_by_upload,
    written_faster,
)

RUNS = 16
_FIRST_SEED = 41_000_000
_AT_ONCE = [Reply("done")]
_REPLIES = (*[_AT_ONCE] * 6, [Reply("done", 61)], [Reply("perhaps"), Reply("done")], [Reply("stop")], [])


def with_links(definition: Definition) -> Definition:
    return changed(definition, written_faster, read_by_upload, asks_first)


def of_the_wire(definition: Definition) -> Definition:
    return changed(definition, announces_wire)


CHANGES = {"pbx-q250": with_links, "pbx-v381": of_the_wire}


@pytest.fixture(scope="module", params=sorted(CHANGES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Benches:
    return Benches(tmp_path_factory.mktemp("links"), with_links)


@pytest.fixture(scope="module")
def benches(name: str, tmp_path_factory: pytest.TempPathFactory) -> Benches:
    return Benches(tmp_path_factory.mktemp(name), CHANGES[name])


class Crowd:
    """Somebody else at the box for each question; `met` counts who."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(f"{seed}/person")
        self.met: Counter[str] = Counter()

    def person(self) -> Person:
        replies = self._dice.choice(_REPLIES)
        self.met[" ".join(f"{one.value} {one.after_s:g}" for one in replies) or "never"] += 1
        return SimulatedPerson({QUESTION: replies})


def one_run(
    seed: int, benches: Benches, name: str, folder: Path, patch: pytest.MonkeyPatch
) -> tuple[Result, Crowd]:
    crowd = Crowd(seed)
    patch.setattr(KillableConnection, "person", lambda _connection: crowd.person())
    scenario = scenario_for(seed, benches, name, None, Tie.NONE, Site.CAR)
    return run(scenario, folder), crowd


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(_FIRST_SEED, _FIRST_SEED + RUNS))
def test_every_promise_is_kept(
    seed: int, benches: Benches, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = one_run(seed, benches, name, tmp_path, monkeypatch)
    assert not result.broken, "\n".join([*result.trace, str(result.broken)])


_LONG_RUN = 41_000_003


def test_a_run_meets_every_kind_of_person_and_dies(
    links: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, crowd = one_run(_LONG_RUN, links, "pbx-q250", tmp_path, monkeypatch)
    assert not result.broken and result.deaths and result.struck
    assert len(crowd.met) == len({str(one) for one in _REPLIES})


def test_a_box_that_stays_at_the_other_rate_is_caught(
    links: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stay(_rates: Rates) -> None:
        return

    monkeypatch.setattr(Rates, "home", stay)
    monkeypatch.setattr(Rates, "first", lambda _rates: None)
    result, _ = one_run(_LONG_RUN, links, "pbx-q250", tmp_path, monkeypatch)
    assert "not over after" in result.broken
