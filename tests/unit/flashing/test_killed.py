"""The box is killed at every instant of a write, and again while it recovers; every life ends well."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.access.uds import uds_access
from appliance.flashing.errors import NeedsBenchError
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import EcuSilentError
from appliance.vault.keys import KeyRing
from simulator.virtualtime import run_virtual
from tests.support.box import Box, Verify, random_image, request_for, small_definition, tuned_from, write_plan
from tests.support.killing import Killed, Killer
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

SECTOR_BYTES = 64
CUTS = (None, 0, 3, SECTOR_BYTES // 2, SECTOR_BYTES - 1, SECTOR_BYTES)
"""Bytes an erase or a program call gets done before it dies; None: it dies before the call."""
DEEPEST = 3
SEEDS = 120


@dataclass
class Campaign:
    """One ECU, one write, and a box that may die any number of times."""

    plan: FlashPlan
    ecu: ProbeEcu
    killer: Killer
    keys: KeyRing
    calls: dict[str, int] = field(default_factory=dict)
    """Of the last life."""

    def born(self, faults: Sequence[Fault] = ()) -> Box:
        """A box made from what is on its disk."""
        definition = self.plan.request.definition
        access = ProbeAccess(self.ecu, hashing=uds_access(definition).checking.verify == "hash")
        access.faults, self.calls = list(faults), access.calls
        return Box(self.killer.state, self.keys, definition, access)

    def go_on(self, *faults: Fault) -> None:
        """A life of the box: it finishes what is open, or starts what never began. Raises what ends it."""
        box = self.born(faults)
        interrupted = mark_interrupted(box.journal)
        if interrupted:
            order = WriteOrder.from_json(interrupted[0].write_order)
            run_virtual(recover(box.job, interrupted[0], order, self.plan.target))
        elif box.state is JobState.PREFLIGHT:
            run_virtual(write_plan(box.job, self.plan))

    def was_benched_by_a_dying_box(self) -> bool:
        """Whether the verdict was recorded, and the box killed before it could say so."""
        return self._last_state() is JobState.NEEDS_BENCH

    def assert_finished(self) -> None:
        assert self.ecu.image().sha256() == self.plan.target.sha256()
        assert self.ecu.running
        kind = self.plan.order.kind
        assert self._last_state() is (JobState.DONE if kind == "tuned" else JobState.RESTORED)

    def assert_on_the_bench(self) -> None:
        assert not self.ecu.powered
        assert self._last_state() is JobState.NEEDS_BENCH

    def _last_state(self) -> JobState:
        """As a box that nobody kills finds it: a death still due belongs to the life before."""
        self.killer.commits_left = 0
        box = self.born()
        assert box.journal.open_flashes() == []
        return box.state


class Campaigns:
    """Makes any number of campaigns that differ in how they are disturbed only."""

    def __init__(self, root: Path, keys: KeyRing, killer: Killer, verify: Verify, kind: str) -> None:
        self._root = root
        self._keys = keys
        self._killer = killer
        self._verify = verify
        self._kind = kind
        self._numbers = itertools.count()

    def fresh(self, recoverability: str = "bootloader") -> Campaign:
        """A tuned file onto the original, or the original onto a tuned ECU; the job has passed its gates."""
        definition = small_definition(self._verify, recoverability, SECTOR_BYTES)
        original = random_image(definition)
        tuned = tuned_from(definition, original, 5, 3 * SECTOR_BYTES)
        restoring = self._kind == "original"
        present = original.overlaid(tuned) if restoring else original
        plan = FlashPlan(request_for(definition, original, None if restoring else tuned))
        self._killer.state, self._killer.commits_left = self._root / str(next(self._numbers)), 0
        run = Campaign(plan, ProbeEcu.holding(definition, present), self._killer, self._keys)
        run.born().in_preflight().close()
        return run


@pytest.fixture
def killer(ram_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killer:
    killer = Killer(ram_path)
    killer.watch_commits(monkeypatch)
    return killer


@pytest.fixture(params=["tuned", "original"])
def campaigns(
    ram_path: Path, keys: KeyRing, killer: Killer, verify: Verify, request: pytest.FixtureRequest
) -> Campaigns:
    return Campaigns(ram_path, keys, killer, verify, request.param)


def test_killed_around_every_commit(campaigns: Campaigns, killer: Killer) -> None:
    deaths = 0
    while True:
        run = campaigns.fresh()
        killer.commits_left = deaths + 1
        try:
            run.go_on()
        except Killed:
            deaths += 1
        else:
            break
        run.go_on()
        run.assert_finished()
    assert deaths >= 20


@pytest.mark.parametrize("operation", ["open", "erase", "program", "proof", "commit"])
@pytest.mark.parametrize("recoverability", ["bootloader", "bench"])
def test_killed_in_every_call(
    campaigns: Campaigns, killer: Killer, verify: Verify, operation: str, recoverability: str
) -> None:
    operation = {"hash": "proves_equal", "read_back": "read"}[verify] if operation == "proof" else operation
    undisturbed = campaigns.fresh()
    undisturbed.go_on()
    undisturbed.assert_finished()
    for call, cut in itertools.product(range(1, undisturbed.calls[operation] + 1), cuts_of(operation)):
        run = campaigns.fresh(recoverability)
        with pytest.raises(Killed):
            run.go_on(Fault(operation, call, bytes_done=cut, strike=killer.strike))
        run.go_on()
        run.assert_finished()


@pytest.mark.parametrize("cut", CUTS)
def test_the_ecu_loses_its_supply_in_every_program_call(campaigns: Campaigns, cut: int | None) -> None:
    undisturbed = campaigns.fresh()
    undisturbed.go_on()
    for call in range(1, undisturbed.calls["program"] + 1):
        run = campaigns.fresh()
        run.go_on(Fault("program", call, bytes_done=cut, cuts_power=True, error=EcuSilentError("dark")))
        run.assert_finished()


def test_an_ecu_without_a_bootloader_needs_the_bench_once_it_is_dark(campaigns: Campaigns) -> None:
    run = campaigns.fresh("bench")
    with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
        run.go_on(Fault("program", 2, bytes_done=5, cuts_power=True, error=EcuSilentError("dark")))
    with pytest.raises(NeedsBenchError):
        run.go_on()
    run.assert_on_the_bench()


@pytest.mark.parametrize("recoverability", ["bootloader", "bench"])
def test_killed_and_cut_again_and_again_while_recovering(
    campaigns: Campaigns, killer: Killer, recoverability: str
) -> None:
    on_the_bench = 0
    for seed in range(SEEDS):
        chance = random.Random(seed)
        run = campaigns.fresh(recoverability)
        try:
            for _ in range(DEEPEST):
                with suppress(Killed):
                    run.go_on(*disturbance(chance, killer))
            killer.commits_left = 0
            run.go_on()
            if run.was_benched_by_a_dying_box():
                run.assert_on_the_bench()
                on_the_bench += 1
            else:
                run.assert_finished()
        except NeedsBenchError:
            run.assert_on_the_bench()
            on_the_bench += 1
        except (PitboxError, AssertionError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert 0 < on_the_bench < SEEDS if recoverability == "bench" else on_the_bench == 0


def cuts_of(operation: str) -> tuple[int | None, ...]:
    return CUTS if operation in ("erase", "program") else (None,)


def disturbance(chance: random.Random, killer: Killer) -> Iterator[Fault]:
    """How one life of the box ends: around some commit, or in some call, perhaps in the dark."""
    if chance.random() < 0.4:
        killer.commits_left = chance.randint(1, 30)
        return
    operation = chance.choice(["open", "erase", "program", "read", "proves_equal", "commit", "state"])
    yield Fault(
        operation,
        call=chance.choice((1, 1, 2, 2, 3, 5, 8)),
        bytes_done=chance.choice(cuts_of(operation)),
        cuts_power=chance.random() < 0.4,
        strike=killer.strike,
    )
