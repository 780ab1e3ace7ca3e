"""What an operation takes of the car it gives back, and what it saw of the supply is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.access.uds import uds_access
from appliance.engine.ecu import on_ecu, require_same_ecu
from appliance.flashing.context import JobContext
from appliance.protocols.access import EcuIdentity, EcuRefusedError, Refusal
from drivers.can.interface import CanFrame
from tests.support.garage import Garage, Readied, visit


def voltage(garage: Garage) -> Any:
    return garage.box.journal.job(garage.job).detail.get("voltage")


def highest_v(ecu: JobContext) -> float:
    span = ecu.power.span()
    assert span is not None
    return span[1].volts


async def at_volts(garage: Garage, volts: float, job_id: str | None = None) -> None:
    """One operation that does nothing but wait, on this supply."""
    garage.car.battery.set_level(volts)
    how = uds_access(garage.definition)
    async with on_ecu(garage.box, job_id or garage.job, garage.definition, access=how):
        await asyncio.sleep(2)


def test_the_supply_of_all_operations_is_kept_with_the_job(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        garage.box.journal.note(garage.job, voltage=None)
        for volts, low, high in (
            (13.0, 13.0, 13.0),
            (12.5, 12.5, 13.0),
            (13.5, 12.5, 13.5),
            (13.0, 12.5, 13.5),
        ):
            await at_volts(garage, volts)
            kept = voltage(garage)
            assert (kept["min_v"], kept["max_v"]) == (
                pytest.approx(low, abs=0.1),
                pytest.approx(high, abs=0.1),
            )
            for at in (kept["min_at"], kept["max_at"]):
                assert garage.box.now() - 60 < at <= garage.box.now()
            assert kept["source"] == "simulated"

    visit(slave, scene)


def test_a_supply_that_cannot_be_noted_fails_nothing(
    slave: Readied, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        before = voltage(garage)
        monkeypatch.setattr(garage.box.journal, "note", no_room)
        await at_volts(garage, 9.0)
        assert voltage(garage) == before
        assert garage.job in caplog.text
        assert "no room" in caplog.text

    visit(slave, scene)


def no_room(*_: object, **_detail: object) -> None:
    raise PitboxError("STORAGE_FAILED", "no room", do_now="Make some.")


def test_who_has_no_job_yet_has_no_supply_to_note(slave: Readied, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(garage: Garage) -> None:
        before = voltage(garage)
        await at_volts(garage, 9.0, "nosuchjob")
        assert voltage(garage) == before
        assert not caplog.text

    visit(slave, scene)


def test_without_a_voltmeter_nothing_is_noted(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        before = voltage(garage)
        garage.box.connection.meter.silent = True  # type: ignore[attr-defined]
        await at_volts(garage, 9.0)
        assert voltage(garage) == before

    visit(slave, scene)


async def kept(garage: Garage, *, confirmed: bool) -> JobContext:
    async with on_ecu(garage.box, garage.job, garage.definition, confirmed=confirmed) as ecu:
        assert ecu.id == garage.job
        assert ecu.car.confirmed is confirmed
        assert ecu.access.link is not None
        await require_same_ecu(ecu)
        return ecu


@pytest.mark.parametrize("confirmed", [False, True])
def test_bus_and_supply_are_given_back(slave: Readied, confirmed: bool) -> None:
    async def scene(garage: Garage) -> None:
        ecu = await kept(garage, confirmed=confirmed)
        heard: list[CanFrame] = []
        bus = uds_access(garage.definition).bus
        witness = garage.box.connection.open_port(bus.bitrate_bps, bus.data_bitrate_bps)
        witness.subscribe(heard.append)
        await asyncio.sleep(30)
        assert not heard, "nobody talks to the ECU any more"
        seen = highest_v(ecu)
        garage.car.battery.set_level(16.0)
        await asyncio.sleep(5)
        assert highest_v(ecu) == seen, "nobody looks at the supply any more"
        witness.close()

    visit(slave, scene)


def test_another_ecu_is_not_the_jobs(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        job = garage.box.journal.job(garage.job)
        other = replace(job.identity or EcuIdentity(), vin="ANOTHERCAR0000001")
        garage.box.journal.describe(
            garage.job, garage.definition.id, garage.definition.digest(), "obd", other
        )
        error = await garage.refusal(kept(garage, confirmed=False))
        assert error.code == "ECU_CHANGED"

    visit(slave, scene)


def test_what_the_ecu_refuses_is_told_as_an_error_of_ours(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        async def refused() -> None:
            async with on_ecu(garage.box, garage.job, garage.definition):
                raise EcuRefusedError(Refusal.CONDITIONS, "not now")

        error = await garage.refusal(refused())
        assert isinstance(error, PitboxError)
        assert "not now" in error.what
        assert isinstance(error.__cause__, EcuRefusedError)
        assert not await garage.box.vigil.end(), "nothing was erased: the ECU is let go"

    visit(slave, scene)
