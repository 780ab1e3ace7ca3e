"""A good file at the wrong moment: car, bus, supply or box are not as they must be. Nothing is written."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.loader import PACKS
from appliance.engine.operations.check import verify
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.ports.real import MissingVoltmeter
from drivers.can.interface import CanPort
from simulator.bus import SimBus
from simulator.controller import Build
from simulator.ecu.ecu import SimulatedEcu
from simulator.ecu.watch import Counter
from simulator.image_synthesis import synthesise
from simulator.traffic import PeriodicFrame
from tests.support.garage import Garage, Readied, visit

Prepare = Callable[[Garage], object]


def refused_write(readied: Readied, prepare: Prepare, **car: Any) -> PitboxError:
    """The refusal of a good package after `prepare`; the ECU's memory must be as before."""

    async def attempt(garage: Garage) -> PitboxError:
        upload = garage.hand_in(garage.package())
        prepare(garage)
        error = await garage.refusal(write(garage.box, garage.job, upload))
        assert garage.untouched
        assert garage.box.journal.job(garage.job).state is JobState.READ_VERIFIED
        return error

    return visit(readied, attempt, **car)


def gates(error: PitboxError, ecu: EcuSafety = EcuSafety.UNTOUCHED) -> set[str]:
    assert error.code == "GATES_REFUSED", error.what
    assert error.ecu is ecu
    return {line.split(":")[0] for line in error.details}


def _low(garage: Garage) -> None:
    garage.car.battery.set_level(11.0)


def _falling(garage: Garage) -> None:
    garage.car.battery.schedule(tuple((0.5 * n, 14.0 - 0.1 * n) for n in range(12)))


def _no_voltmeter(garage: Garage) -> None:
    garage.box.connection.meter = MissingVoltmeter("there is none")  # type: ignore[misc]


def _silent_voltmeter(garage: Garage) -> None:
    garage.box.connection.meter.silent = True  # type: ignore[attr-defined]


def _engine_on(garage: Garage) -> None:
    garage.car.engine_running = True


def _update_pending(garage: Garage) -> None:
    (garage.box.settings.state_dir / "update-pending").touch()


def _other_ecu(garage: Garage) -> None:
    """The plug sits in another car: same kind of ECU, other VIN."""
    ecu = garage.car.ecu
    other = ecu.definition.simulation.model_copy(update={"vin": "ANOTHERCAR0000001"})
    ecu.core.definition = ecu.definition.model_copy(update={"simulation": other})


class Case(NamedTuple):
    prepare: Prepare
    gates: set[str]


CASES = {
    "supply low": Case(_low, {"voltage_window"}),
    "supply falling": Case(_falling, {"voltage_steady"}),
    "no voltmeter": Case(_no_voltmeter, {"voltage_window", "voltage_steady", "voltage_ripple"}),
    "silent voltmeter": Case(_silent_voltmeter, {"voltage_window", "voltage_steady", "voltage_ripple"}),
    "engine running": Case(_engine_on, {"engine_off"}),
    "update pending": Case(_update_pending, {"no_update"}),
    "another car": Case(_other_ecu, {"identity"}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_gate_that_fails_is_named(slave: Readied, name: str) -> None:
    assert CASES[name].gates <= gates(refused_write(slave, CASES[name].prepare))


def test_all_of_them_at_once(slave: Readied) -> None:
    def everything(garage: Garage) -> None:
        _low(garage)
        _engine_on(garage)
        _update_pending(garage)

    found = gates(refused_write(slave, everything))
    assert {"voltage_window", "engine_off", "no_update"} <= found


def test_a_pulsing_charger_fails_the_ripple_gate(slave: Readied) -> None:
    assert "voltage_ripple" in gates(refused_write(slave, lambda g: None, ripple_v=0.6))


def test_a_busy_bus_fails_its_gate(slave: Readied) -> None:
    noise = tuple(PeriodicFrame(0x100 + n, bytes(8), 0.002) for n in range(7))
    assert "bus_quiet" in gates(refused_write(slave, lambda g: None, traffic=noise))


def test_low_disk_fails_its_gate(slave: Readied, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "disk" in gates(refused_write(slave, lambda g: None))


def test_a_bus_that_is_gone_names_every_gate_and_loses_nothing(slave: Readied) -> None:
    """The plug is pulled: the gates that need no wire are still shown with those that do."""
    error = refused_write(slave, lambda g: g.car.power_cut())
    assert {"identity", "voltage_window"} <= gates(error)


def test_two_ecus_with_one_id_are_never_written(slave: Readied) -> None:
    error = refused_write(slave, add_twin)
    assert error.code == "TWO_ECUS_AT_ONE_ID"


def add_twin(garage: Garage) -> SimulatedEcu:
    """A second ECU with the same identifiers, as on a bench beside the car."""
    definition = garage.definition
    twin = SimulatedEcu(definition, garage.car.bus.attach, Build(lambda: synthesise(definition, 9)))
    twin.power_on()
    return twin


def test_two_ecus_with_one_id_are_not_identified(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        add_twin(garage)
        await asyncio.sleep(1)
        error = await garage.refusal(identify(garage.box))
        assert error.code == "TWO_ECUS_AT_ONE_ID"
        assert len(garage.box.journal.jobs()) == 1

    visit(slave, attempt)


def test_an_ecu_may_be_read_without_a_voltmeter(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        _no_voltmeter(garage)
        assert (await read(garage.box, garage.job))["full"]

    visit(slave, attempt)


def test_a_job_reads_and_verifies_only_its_own_ecu(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        _other_ecu(garage)
        for work in (read(garage.box, garage.job), verify(garage.box, garage.job)):
            error = await garage.refusal(work)
            assert error.code == "ECU_CHANGED"
            assert "VIN" in error.details[0]

    visit(slave, attempt)


def test_a_write_that_is_open_keeps_every_other_job_from_writing(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        journal = garage.box.journal
        other = str((await identify(garage.box))["job"])
        await read(garage.box, other)
        await interrupted_write(garage)
        memory = garage.car.ecu.memory.whole()
        error = await garage.refusal(restore(garage.box, other))
        assert "no_open_write" in gates(error, EcuSafety.HALF_WRITTEN), "the other job's car is this one"
        assert garage.car.ecu.memory.whole() == memory
        assert [flash.job_id for flash in journal.open_flashes()] == [garage.job]

    visit(slave, attempt)


async def interrupted_write(garage: Garage) -> None:
    """A write that loses its bus after the first block, with the ECU kept alive."""
    programmed = asyncio.get_running_loop().create_future()
    garage.car.ecu.core.watch.at(Counter.PROGRAMMED, 20_000, lambda address: programmed.set_result(None))
    work = asyncio.ensure_future(write(garage.box, garage.job, garage.hand_in(garage.package())))
    await programmed
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await asyncio.sleep(0.5)  # the ECU ends the piece that was under way


def test_identify_tells_a_half_written_ecu_from_a_missing_one(slave: Readied) -> None:
    """This ECU has no bootloader of its own: silent after a reset, and the open write is not forgotten."""

    async def attempt(garage: Garage) -> None:
        await interrupted_write(garage)
        garage.car.power_cut()
        garage.car.power_up()
        await asyncio.sleep(1)
        error = await garage.refusal(identify(garage.box))
        assert error.code == "ECU_NOT_FOUND"
        assert "pitbox recover" in error.do_now
        bench = await garage.refusal(recover(garage.box))
        assert bench.code == "NEEDS_BENCH"

    visit(slave, attempt)


class DeafPort:
    """Stands for a bus nobody else is on."""

    @staticmethod
    def on(garage: Garage) -> None:
        def open_port(bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
            return SimBus(bitrate_bps, data_bitrate_bps).attach("nowhere")

        garage.box.connection.open_port = open_port  # type: ignore[method-assign]


@pytest.mark.parametrize("operation", [identify, read, verify, restore])
def test_every_operation_tells_of_a_dead_bus(
    slave: Readied, operation: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    async def attempt(garage: Garage) -> None:
        DeafPort.on(garage)
        arguments = () if operation is identify else (garage.job,)
        error = await garage.refusal(operation(garage.box, *arguments))
        assert error.code in {"ECU_NOT_FOUND", "LINK_LOST", "ECU_SILENT", "GATES_REFUSED"}
        assert garage.untouched

    visit(slave, attempt)


def test_an_ecu_that_two_definitions_fit_equally_well_is_named_by_a_person(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        alike = {"id": "pbx-twin", "name": "the same numbers, another memory map"}
        twin = garage.definition.model_copy(update=alike)
        garage.box.library.add(twin, PACKS / "pbx-twin.toml")
        error = await garage.refusal(identify(garage.box))
        assert error.code == "DEFINITION_AMBIGUOUS"
        assert "pbx-twin" in error.what and garage.definition.id in error.what
        assert len(garage.box.journal.jobs()) == 1
        named = await identify(garage.box, "pbx-twin")
        assert named["definition"] == "pbx-twin"

    visit(slave, attempt)
