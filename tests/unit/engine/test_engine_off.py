"""How it is told that the engine is off, where the ECU has no OBD 01 0C."""

from __future__ import annotations

import pytest

from appliance.contract.operations import GateWaiver, Restore
from appliance.engine.operations.preview import preview_restore
from appliance.engine.operations.write import restore, write
from appliance.engine.report import report_of
from simulator.ecu.options import EcuOptions
from tests.support.definitions import with_access
from tests.support.garage import PACK, Garage, Readied, visit

SILENT_ON_SPEED = {PACK: EcuOptions(tells_obd_engine_speed=False)}
SPEED_DID = 0x1F40


def gate(garage: Garage) -> tuple[str, str]:
    told = garage.box.journal.job(garage.job).detail["gates"]
    assert isinstance(told, list)
    return next((one["verdict"], one["detail"]) for one in told if one["name"] == "engine_off")


def as_engine(garage: Garage, **identity: object) -> None:
    own = with_access(garage.definition, identity=identity)
    garage.use(own.model_copy(update={"kind": "engine"}))


def test_unknown_is_not_running_but_wants_a_persons_word(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        as_engine(garage)
        package = garage.package()
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(package)))
        assert error.code == "GATES_REFUSED"
        assert [line for line in error.details if "engine_off" in line] == list(error.details)
        assert "--engine-off" in error.details[0]
        assert garage.untouched
        work = write(garage.box, garage.job, garage.hand_in(garage.package()), engine_off=True)
        assert (await work)["result"] == "done"
        assert gate(garage) == ("pass", "stated by a person; the ECU does not tell")

    visit(slave, scene, options=SILENT_ON_SPEED)


def test_the_own_original_goes_back_though_nobody_tells(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        as_engine(garage)
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert gate(garage)[0] == "waived"

    visit(slave, scene, options=SILENT_ON_SPEED)


def word(gate: str = "engine_off") -> GateWaiver:
    return GateWaiver(gate=gate, by="A. Smith", reason="stood beside it")


def test_a_named_person_may_set_it_aside_and_is_in_the_report(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        as_engine(garage)
        work = restore(garage.box, garage.job, waivers=[word()])
        assert (await work)["result"] == "restored"
        verdict, detail = gate(garage)
        assert (verdict, "waived by A. Smith: stood beside it" in detail) == ("waived", True)
        (told,) = report_of(garage.box.journal, garage.job, garage.definition)["waived"]
        assert (told["gate"], told["by"], told["reason"]) == ("engine_off", "A. Smith", "stood beside it")

    visit(slave, scene, options=SILENT_ON_SPEED)


@pytest.mark.parametrize("gate_name", ["identity", "voltage_window", "no_such_gate"])
def test_a_gate_that_nobody_waives_is_not_waived(slave: Readied, gate_name: str) -> None:
    async def scene(garage: Garage) -> None:
        asked = Restore(verb="restore", job=garage.job, waivers=[word(gate_name)])
        for work in (
            restore(garage.box, garage.job, waivers=asked.waivers),
            preview_restore(garage.box, asked),
        ):
            error = await garage.refusal(work)
            assert error.code == "WAIVER_REFUSED"
            assert error.details == ("engine_off may be waived where it is unknown",)
        assert report_of(garage.box.journal, garage.job, garage.definition)["waived"] == []
        assert garage.untouched

    visit(slave, scene, options=SILENT_ON_SPEED)


def test_a_definition_says_where_the_speed_is_told(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        as_engine(garage, engine_speed=SPEED_DID)
        work = write(garage.box, garage.job, garage.hand_in(garage.package()))
        assert (await work)["result"] == "done"
        assert gate(garage) == ("pass", "0 rpm, told by the ECU")

    visit(slave, scene, options=SILENT_ON_SPEED)


def test_an_ecu_that_says_its_engine_runs_is_believed_before_any_person(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        as_engine(garage, engine_speed=SPEED_DID)
        garage.car.engine_running = True
        work = write(garage.box, garage.job, garage.hand_in(garage.package()), engine_off=True)
        assert (await garage.refusal(work)).code == "GATES_REFUSED"
        assert gate(garage) == ("fail", "750 rpm, told by the ECU")
        assert garage.untouched

    visit(slave, scene, options=SILENT_ON_SPEED)
