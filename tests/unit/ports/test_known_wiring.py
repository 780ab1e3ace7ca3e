"""When the wires of an ECU on the bench are asked for again, and when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance.contract.entry_events import EntryOutcome
from appliance.contract.errors import PitboxError
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.wiring import is_wire
from appliance.flashing.entry import Entry
from appliance.flashing.known_wiring import TRUSTED_S, Wiring, Wirings
from simulator.virtualtime import run_virtual
from tests.support.bench import connected

from .entry_bench import EntryBench

ACCESS = load_definition(PACKS / "pbx-x050.toml").access_named("bench")
WIRES = len(ACCESS.wiring)


class Known:
    """A bench, and what one engine knows of its wires in one job."""

    def __init__(self) -> None:
        self.at = EntryBench(connected(ACCESS))
        self.wiring = Wiring()

    def entry(self) -> Entry:
        at = self.at
        return Entry(
            ACCESS.choreography,
            at.ports,
            at.record,
            ACCESS.name,
            "job-1",
            wires=lambda step: is_wire(step, ACCESS.wiring),
            wiring=self.wiring,
        )

    async def questions(self, during: Callable[[], object] = lambda: None) -> int:
        """How many an entry asks, with this done inside of it."""
        before = len(self.at.person.asked)
        async with self.entry():
            during()
            await asyncio.sleep(0.1)
        assert self.at.bench.is_safe and not self.at.bench.offences
        return len(self.at.person.asked) - before


def known(test: Callable[[Known], Awaitable[None]]) -> None:
    async def inside() -> None:
        made = Known()
        try:
            await test(made)
        finally:
            made.at.car.close()

    run_virtual(inside())


def test_confirmed_wires_that_measured_well_are_not_asked_for_again() -> None:
    async def test(of: Known) -> None:
        assert [await of.questions() for _ in range(3)] == [WIRES, 0, 0]
        told = [event.what for event in of.at.told if event.outcome is EntryOutcome.DONE]
        assert told.count("confirmed before in this job, and measured well since") == 2 * WIRES
        assert sum("at the probe" in what for what in told) == 3, "each entry measures"

    known(test)


def test_work_that_failed_behind_the_wires_has_them_asked_for_again() -> None:
    """It may have been another ECU, which a person is about to exchange."""

    def fails() -> None:
        raise PitboxError("ECU_CHANGED", "another ECU answers", do_now="Connect the job's.")

    async def test(of: Known) -> None:
        assert [await of.questions() for _ in range(2)] == [WIRES, 0]
        with pytest.raises(PitboxError):
            await of.questions(fails)
        assert [await of.questions() for _ in range(2)] == [WIRES, 0]

    known(test)


def test_a_probe_that_finds_other_wires_has_them_asked_for_before_anything_is_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(of: Known) -> None:
        assert await of.questions() == WIRES
        probe = of.at.supply.probe

        async def otherwise() -> float:
            assert not of.at.bench.supply.on
            return await probe() - 0.5

        monkeypatch.setattr(of.at.supply, "probe", otherwise)
        powered = of.at.bench.times_powered
        assert await of.questions() == WIRES
        assert of.at.bench.times_powered == powered + 1
        assert await of.questions() == 0, "they are known as they are now"

    known(test)


@pytest.mark.parametrize("wire", ["ground", "supply", "ignition", "boot_1"])
def test_an_entry_that_failed_has_every_wire_asked_for_anew(wire: str) -> None:
    async def test(of: Known) -> None:
        assert await of.questions() == WIRES
        of.at.bench.wires.open(wire)
        with pytest.raises(PitboxError):
            await of.questions()
        assert of.at.bench.is_safe and not of.at.bench.harm
        of.at.bench.mend()
        assert await of.questions() == WIRES

    known(test)


def test_a_supply_that_was_lost_has_every_wire_asked_for_anew() -> None:
    async def test(of: Known) -> None:
        assert await of.questions(of.at.bench.supply.trip) == WIRES
        assert of.at.bench.times_powered == 1
        of.at.bench.mend()
        assert await of.questions() == WIRES

    known(test)


def test_a_doubt_during_the_work_outlives_a_supply_that_came_back() -> None:
    async def test(of: Known) -> None:
        assert [await of.questions(of.wiring.doubt), await of.questions(), await of.questions()] == [
            WIRES,
            WIRES,
            0,
        ]

    known(test)


def test_wires_that_were_not_measured_for_long_are_asked_for_anew() -> None:
    async def test(of: Known) -> None:
        await of.questions()
        await asyncio.sleep(TRUSTED_S - 60)
        assert await of.questions() == 0
        await asyncio.sleep(TRUSTED_S + 1)
        assert await of.questions() == WIRES

    known(test)


def test_wires_are_known_for_one_job_and_one_access() -> None:
    wirings = Wirings()
    wirings.of("job", "bench").begin(0.0)
    wirings.of("job", "bench").measured_well(3.1, 0.0)
    assert wirings.of("job", "bench").begin(1.0)
    for other in (wirings.of("another", "bench"), wirings.of("job", "boot"), wirings.of(None, "bench")):
        assert not other.begin(1.0)
    nobody = wirings.of(None, "bench")
    nobody.begin(0.0)
    nobody.measured_well(3.1, 0.0)
    assert not wirings.of(None, "bench").begin(1.0)
