"""How it is told that the engine is off, where the ECU has no OBD 01 0C."""

from __future__ import annotations

import json

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.operations import GateWaiver, Restore
from appliance.contract.proposals import Consent, Propose
from appliance.engine.operations.preview import preview_restore
from appliance.engine.operations.registry import prepare
from appliance.engine.operations.write import restore, write
from appliance.engine.report import report_of
from appliance.flashing.gates.judging import CAR_GATES, PAPER_GATES, WAIVABLE
from appliance.flashing.rows import seal_rows
from simulator.ecu.options import EcuOptions
from tests.support.definitions import with_access
from tests.support.desk import OPERATOR, Desk
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
            assert error.details == (
                "engine_off may be waived where it is unknown",
                "no_update may be waived where it is fail",
            )
        assert report_of(garage.box.journal, garage.job, garage.definition)["waived"] == []
        assert garage.untouched

    visit(slave, scene, options=SILENT_ON_SPEED)


NEVER = sorted({gate.name for gate in (*PAPER_GATES, *CAR_GATES)} - WAIVABLE.keys())


@pytest.mark.parametrize("gate_name", NEVER)
def test_no_request_waives_a_gate_that_nobody_waives(slave: Readied, gate_name: str) -> None:
    """By verb as the socket and the command line send it, and as a proposal."""

    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        given = [word(gate_name).model_dump()]
        asked = {"job": garage.job, "waivers": given}
        for verb, more in (("restore", {}), ("preview", {"of": "restore"})):
            error = await garage.refusal(prepare(verb, {**asked, **more})(garage.box))
            assert error.code == "WAIVER_REFUSED"
        for verb, more in (("write", {"upload": "up"}), ("recover", {})):
            with pytest.raises(PitboxError, match="PARAMETERS_INVALID"):
                prepare(verb, {**asked, **more})
        proposed = Restore.model_validate({"verb": "restore", **asked, "confirmed": "0" * 64})
        with pytest.raises(PitboxError, match="WAIVER_REFUSED"):
            await desk.desk.propose(Propose(operation=proposed), OPERATOR)
        assert not await desk.desk.all() and garage.untouched

    visit(slave, scene)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_waiver_put_into_a_stored_proposal_sets_nothing_aside(slave: Readied, sealed: bool) -> None:
    """Also where whoever put it there had the box's own key: the gate has the last word."""

    async def scene(garage: Garage) -> None:
        desk, journal = Desk(garage), garage.box.journal
        told = await desk.propose_restore(needs=["operator"])
        (row,) = journal._db.rows("SELECT request FROM proposal WHERE id=?", told["id"])
        forged = {**json.loads(row["request"]), "waivers": [word("voltage_window").model_dump()]}
        with journal.events.change() as sql:
            sql.execute("UPDATE proposal SET request=? WHERE id=?", (json.dumps(forged), told["id"]))
            if sealed:
                seal_rows(sql, garage.box.keys.record_mac, "proposal", "id=?", told["id"])
        consent = Consent(digest=told["digest"])
        if not sealed:
            with pytest.raises(PitboxError, match="PROPOSAL_DAMAGED"):
                await desk.desk.consent(told["id"], consent, OPERATOR)
        else:
            operation = await desk.over(await desk.desk.consent(told["id"], consent, OPERATOR))
            assert operation["error"] is not None and operation["error"]["code"] == "WAIVER_REFUSED"
        assert garage.untouched

    visit(slave, scene)


def test_a_waiver_in_the_journal_is_a_record_and_no_word_for_the_next_write(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        as_engine(garage)
        kept = {**word().model_dump(), "at": 1.0}
        garage.box.journal.note(garage.job, waived=[kept, {**kept, "gate": "signatures"}])
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert error.code == "GATES_REFUSED"
        assert [line.split(":")[0] for line in error.details] == ["engine_off"]
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
