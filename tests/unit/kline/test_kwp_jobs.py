"""Whole jobs over KWP2000: the heart and the engine know nothing of a K-line, and need not."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.phrases import phrase
from appliance.definitions.library import Library, Way
from appliance.definitions.schema import Definition
from appliance.engine.ecu_discovery import find_ecu
from appliance.engine.operations.check import verify
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.safety import standing
from appliance.protocols.kwp2000.links import discover
from appliance.protocols.port_missing import PortMissingError
from simulator.kline.answering import AnswerFault
from simulator.kline.refusing import refusal
from simulator.kline.reply import Reply
from simulator.kline.wire import WireByte
from simulator.virtualtime import run_virtual
from tests.support.killing import Killed, Killer
from tests.support.kwp_box import KLinePorts, KwpBox, KwpCar, stock, tuned
from tests.support.kwp_definition import SECTOR_BYTES, START, edc15_kind, me7_kind

TRANSFER = b"\x36"
KINDS = {"me7": me7_kind(), "edc15": edc15_kind()}


async def was_read(state: Path, definition: Definition, **changed: object) -> tuple[KwpBox, str]:
    at = KwpBox(state, KwpCar(definition, **changed))
    job = str((await identify(at.box, definition.id))["job"])
    await read(at.box, job)
    assert at.box.journal.job(job).state is JobState.READ_VERIFIED
    return at, job


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_job_from_identify_to_restore(kind: str, tmp_path: Path) -> None:
    definition = KINDS[kind]

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box", definition)
        wanted = tuned(definition, stock(definition))
        written = await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert (written["result"], written["verify"]["method"]) == ("done", "read_back")
        assert at.car.memory == wanted
        assert (await verify(at.box, job))["method"] == "read_back"
        assert (await restore(at.box, job))["result"] == "restored"
        assert at.car.memory == stock(definition)
        assert at.car.line.violations == []
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize("kind", KINDS)
def test_an_ecu_on_a_k_line_is_found_among_others_without_its_name(kind: str, tmp_path: Path) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(KINDS[kind]))
        at.box.library = Library()
        for definition in KINDS.values():
            at.box.library.add(definition, Path(f"{definition.id}.toml"))
        assert (await identify(at.box))["definition"] == KINDS[kind].id
        at.box.journal.close()

    run_virtual(inside())


class NoLine(KLinePorts):
    def kline(self) -> NoReturn:
        raise PortMissingError(phrase("port.kline"))


def test_a_missing_k_line_is_told_by_whoever_needs_it() -> None:
    async def inside() -> None:
        ways = [Way(one, one.accesses[0]) for one in KINDS.values()]
        for every in (True, False):
            with pytest.raises(PortMissingError):
                await discover(NoLine(KwpCar(KINDS["me7"])), ways, every=every)

    run_virtual(inside())


def knows_two_ways(at: KwpBox) -> str:
    """Its ECU is asked over CAN first, and over the K-line; the library knows nothing else."""
    can, kline = at.box.definition("pbx-s18").accesses[0], at.car.definition.accesses[0]
    first = can.model_copy(update={"name": "can", "memories": None, "recognition": kline.recognition})
    both = at.car.definition.model_copy(update={"accesses": (first, kline)})
    at.box.library = Library()
    at.box.library.add(both, Path("both.toml"))
    return both.id


@pytest.mark.parametrize("named", [True, False])
def test_a_port_that_is_missing_does_not_end_the_search(named: bool, tmp_path: Path) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(KINDS["me7"]))
        both = knows_two_ways(at)
        found = await find_ecu(at.box, both if named else None)
        assert found.access.protocol == "kwp2000"
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize(
    ("named", "has_line", "code"),
    [
        (True, True, "PORT_MISSING"),
        (True, False, "PORT_MISSING"),
        (False, True, "ECU_NOT_FOUND"),
        (False, False, "PORT_MISSING"),
    ],
)
def test_a_missing_port_is_told_where_nobody_answers(
    named: bool, has_line: bool, code: str, tmp_path: Path
) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(KINDS["me7"]))
        at.car.power_cut()
        both = knows_two_ways(at)
        if not has_line:
            at.box.connection = NoLine(at.car)
        with pytest.raises(PitboxError) as refused:
            await find_ecu(at.box, both if named else None)
        assert refused.value.code == code
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("number", [1, 5, 9, 18])
def test_a_power_cut_in_the_middle_of_a_block_is_recovered(
    number: int, original: bool, tmp_path: Path
) -> None:
    definition = me7_kind()

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box", definition)
        wanted = tuned(definition, stock(definition), 0x300, 0x900, 0x1100)
        killer, pieces = Killer(at.state), 0

        def cut_off(data: bytes) -> None:
            nonlocal pieces
            pieces += data[4:5] == TRANSFER
            if pieces == number:
                pieces += 1
                killer.strike()

        at.ports.watch = cut_off
        with pytest.raises(Killed):
            await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        at.live_again(killer.state)
        assert standing(at.box.journal, job).ecu is EcuSafety.HALF_WRITTEN
        done = await recover(at.box, job, original)
        assert done["result"] == ("restored" if original else "done")
        assert at.car.memory == (stock(definition) if original else wanted)
        assert standing(at.box.journal, job).ecu is EcuSafety.INTACT
        at.box.journal.close()

    run_virtual(inside())


def slow_to_read(definition: Definition) -> Definition:
    """Whoever reads sixteen bytes at once moves little more than half of what a write moves."""
    (access,) = definition.accesses
    reading = access.reading.model_copy(update={"block_bytes": 16})  # type: ignore[attr-defined]
    return definition.model_copy(update={"accesses": (access.model_copy(update={"reading": reading}),)})


def erased(at: KwpBox) -> list[int]:
    """Numbers of the sectors that the ECU was asked to erase, in their order."""
    asked = [one for one in at.car.line.requests if one[:2] == b"\x31\xc4"]
    return [(int.from_bytes(one[2:5]) - START) // SECTOR_BYTES for one in asked]


@pytest.mark.parametrize(("pays", "sectors"), [(True, [0, 3]), (False, [0, 1, 2, 3])])
def test_what_reads_as_wanted_is_left_alone_where_reading_pays(
    pays: bool, sectors: list[int], tmp_path: Path
) -> None:
    definition = KINDS["me7"] if pays else slow_to_read(KINDS["me7"])

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box", definition)
        wanted = tuned(definition, stock(definition))
        written = await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert at.car.memory == wanted
        assert erased(at) == sectors
        assert written["blocks"] == {"total": 4, "written": len(sectors), "skipped": 4 - len(sectors)}
        at.box.journal.close()

    run_virtual(inside())


def test_a_sector_that_changed_since_it_was_read_is_not_left_alone(tmp_path: Path) -> None:
    definition = KINDS["me7"]

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box", definition)
        at.car.flash.force(START + SECTOR_BYTES, b"other")
        wanted = tuned(definition, stock(definition))
        await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert at.car.memory == wanted
        assert erased(at) == [0, 1, 3]
        at.box.journal.close()

    run_virtual(inside())


def refuse_to_be_read(at: KwpBox) -> None:
    """Once, as a boot loader may that has no whole application."""
    answer = at.car.server.answer

    def refusing(payload: bytes) -> Reply:
        if payload[0] != 0x23:
            return answer(payload)
        at.car.server.answer = answer  # type: ignore[method-assign]
        return Reply(refusal(0x23, 0x11))

    at.car.server.answer = refusing  # type: ignore[method-assign]


@pytest.mark.parametrize(("lets_read", "again"), [(True, [0, 3]), (False, [0, 1, 2, 3])])
def test_a_recovery_leaves_alone_what_was_not_touched_and_writes_what_was_in_flight(
    lets_read: bool, again: list[int], tmp_path: Path
) -> None:
    definition = KINDS["me7"]

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box", definition)
        wanted = tuned(definition, stock(definition))
        killer, pieces = Killer(at.state), 0

        def cut_off(data: bytes) -> None:
            nonlocal pieces
            pieces += data[4:5] == TRANSFER
            if pieces == 3:
                pieces += 1
                killer.strike()

        at.ports.watch = cut_off
        with pytest.raises(Killed):
            await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert erased(at) == [0]
        at.live_again(killer.state)
        if not lets_read:
            refuse_to_be_read(at)
        await recover(at.box, job, False)
        assert at.car.memory == wanted
        assert erased(at) == [0, *again]
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize("kind", ["lost", "garbled", "cut", "late"])
def test_a_write_gets_over_answers_that_go_wrong(kind: str, tmp_path: Path) -> None:
    definition = me7_kind()

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box", definition)
        wanted = tuned(definition, stock(definition))
        count = 0

        def fault(byte: WireByte) -> None:
            nonlocal count
            count += 1
            if count % 4000 == 0:
                at.car.line.faults.append(AnswerFault(kind, 0.3))  # type: ignore[arg-type]

        at.car.wire.fault = fault
        written = await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert written["result"] == "done" and at.car.memory == wanted
        assert count > 12000
        at.box.journal.close()

    run_virtual(inside())


def test_a_write_over_a_channel_that_drops_at_every_erase(tmp_path: Path) -> None:
    definition = me7_kind()

    async def inside() -> None:
        at, job = await was_read(
            tmp_path / "box", definition, drops_after_erase=True, erase_s_per_byte=7.0 / SECTOR_BYTES
        )
        wanted = tuned(definition, stock(definition), 0x300, 0x900)
        written = await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert written["result"] == "done" and at.car.memory == wanted
        at.box.journal.close()

    run_virtual(inside())
