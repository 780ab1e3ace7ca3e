"""A slice of the fault campaign, and proof that its judge can say no."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.records import Segment
from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.conditions import LiveConditions
from appliance.engine.context import EngineContext
from appliance.engine.operations.registry import prepare
from appliance.flashing import accepting, comparing, writing
from appliance.flashing.block_writing import BlockWriter
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.safekeeping import Safekeeping
from appliance.flashing.write_order import WriteOrder
from appliance.ports.simulated import SimulatedCarInterface
from appliance.protocols.access import Block
from appliance.protocols.keepalive import KeepAlive
from appliance.protocols.request import Request
from appliance.protocols.uds.memory import UdsMemory
from appliance.protocols.uds.transfer import Transfers
from appliance.vault.errors import VaultError
from appliance.vault.store import BlobStore
from simulator import virtualtime
from simulator.car import Car
from simulator.ecu.chip import Program
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.ecu.watch import Counter
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger
from tests.faults import run as runs
from tests.faults.campaign import campaign, command, main, one_run, table
from tests.faults.hardships import Fortune, Hardship, OtherCar
from tests.faults.judge import (
    BrokenPromiseError,
    Ecu,
    Memories,
    Outcome,
    Record,
    Rot,
    judge_end,
    judge_error,
    judge_last_copy,
    judge_other_car,
    judge_reopened,
    judge_rest,
    judge_source_lost,
    judge_without_room,
)
from tests.faults.killable_box import Life
from tests.faults.prepared_boxes import PACK_IDS
from tests.faults.run import Result
from tests.faults.scenario import Storm
from tests.faults.ties import Tie
from tests.faults.workbench import Workbench

SEED = 11
RUNS_PER_DEFINITION = 24
RUNS_PER_TIE = 8
T300, X050, P179, E400 = (
    load_definition(PACKS / f"{name}.toml") for name in ("pbx-t300", "pbx-x050", "pbx-p179", "pbx-e400")
)


def broken_in(results: Iterator[Result]) -> list[str]:
    return [f"{command(result)}: {result.broken}" for result in results if result.broken]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("definition_id", PACK_IDS)
def test_every_run_keeps_every_promise(definition_id: str) -> None:
    results = list(campaign(SEED, RUNS_PER_DEFINITION, definition_id))
    assert broken_in(iter(results)) == [], table(results)
    outcomes = {result.outcome for result in results}
    assert {Outcome.DONE, Outcome.RESTORED} <= outcomes <= set(Outcome)
    assert (Outcome.NEEDS_BENCH in outcomes) == (definition_id == X050.id)
    assert sum(result.deaths for result in results) >= 5
    assert sum(result.struck for result in results) >= 2 * RUNS_PER_DEFINITION


@pytest.mark.timeout(900)
@pytest.mark.parametrize("tie", [tie for tie in Tie if tie is not Tie.NONE])
def test_regions_that_hang_together_keep_every_promise(tie: Tie) -> None:
    results = list(campaign(SEED, RUNS_PER_TIE, tie=tie))
    assert broken_in(iter(results)) == [], table(results)
    assert {result.tie for result in results} <= {tie.value, Tie.NONE.value}
    assert Outcome.DONE in {result.outcome for result in results}


def test_a_heart_that_leaves_out_the_last_block_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge can say no: without the block that ends every write no ECU of that kind runs."""
    monkeypatch.setattr(EraseGroups, "finished", lambda _groups, blocks: set(blocks))
    results = campaign(SEED, 12, T300.id, tie=Tie.ENDS)
    assert any(result.outcome not in (Outcome.DONE, Outcome.RESTORED) for result in results)


def test_a_seed_repeats_its_run() -> None:
    first, second = one_run(SEED), one_run(SEED)
    assert first == second
    assert first.trace and first.virtual_s > 0


def test_the_command_line_tells_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "2", "--seed", "7", "--workers", "1", "--definition", T300.id]) == 0
    assert "2 runs in" in capsys.readouterr().out
    with patch.object(runs, "judge_rest", side_effect=BrokenPromiseError("as asked")):
        assert main(["--only", "7", "--definition", T300.id]) == 1
        assert main(["--runs", "1", "--seed", "7", "--workers", "1", "--definition", T300.id]) == 1
    shown = capsys.readouterr().out
    assert "broken: BrokenPromiseError: as asked" in shown
    assert "python -m tests.faults.campaign --only 7000000 --definition pbx-t300" in shown


async def _nothing(*_arguments: object, **_options: object) -> None:
    return


def _nothing_at_all(*_arguments: object) -> None:
    return


async def _blind(*_arguments: object) -> list[Block]:
    """Memory is always as expected."""
    return []


def test_invented_success_is_caught() -> None:
    with (
        patch.object(BlockWriter, "rewrite_all", _nothing),
        patch.object(writing, "prove", _nothing),
        patch.object(accepting, "commit", _nothing),
    ):
        broken = broken_in(campaign(SEED, 12, T300.id))
    assert any("bytes of calibration are wrong" in one for one in broken)


def test_a_write_that_does_not_verify_is_caught() -> None:
    lie = Fault(kind=FaultKind.LIE, on=Trigger.PROGRAMMED, at=100)

    def lying(*_arguments: object) -> Storm:
        return Storm(FaultPlan(faults=(lie,)), None)

    with patch.object(runs, "storm_for", lying):
        assert broken_in(campaign(SEED, 4, T300.id)) == []
        with patch.object(comparing, "differing", _blind):
            broken = broken_in(campaign(SEED, 4, T300.id))
    assert any("1 bytes of" in one for one in broken)


@pytest.mark.parametrize(
    ("misbehaviour", "told"),
    [(KeyError("x"), "KeyError"), (asyncio.CancelledError(), "CancelledError"), (None, "TimeoutError")],
)
def test_what_escapes_and_what_never_ends_is_caught(
    misbehaviour: BaseException | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def misbehave(*_arguments: object) -> dict[str, Any]:
        if misbehaviour is not None:
            raise misbehaviour
        await asyncio.sleep(1e6)
        return {}

    monkeypatch.setattr(runs, "prepare", lambda *_asked: misbehave)
    calm = Storm(FaultPlan(), None)
    monkeypatch.setattr(runs, "storm_for", lambda *_arguments: calm)
    assert told in one_run(SEED, T300.id).broken


def test_a_loop_in_which_no_time_passes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spin(*_arguments: object) -> dict[str, Any]:
        while True:  # noqa: ASYNC110 - a spin is what is caught
            await asyncio.sleep(0)

    monkeypatch.setattr(runs, "prepare", lambda *_asked: spin)
    monkeypatch.setattr(virtualtime, "_STUCK_AFTER", 1000)
    assert "TimeStandsStillError" in one_run(SEED, T300.id).broken


STOCK, TUNED, GARBAGE = bytes(range(8)), bytes(8), b"\x55" * 8
MEMORIES = Memories(STOCK, STOCK, TUNED)


def ecu(memory: bytes, program: Program = Program.APPLICATION, valid: bool = True) -> Ecu:
    return Ecu(memory, program, valid)


def record(state: JobState, open_flashes: int = 0, report: str | None = None) -> Record:
    return Record(state, state.value, open_flashes, report or state.value)


@pytest.mark.parametrize(
    ("outcome", "seen", "told"),
    [
        (Outcome.DONE, ecu(STOCK), record(JobState.DONE)),
        (Outcome.DONE, ecu(TUNED, Program.BOOTLOADER), record(JobState.DONE)),
        (Outcome.DONE, ecu(TUNED, valid=False), record(JobState.DONE)),
        (Outcome.DONE, ecu(TUNED), record(JobState.INTERRUPTED)),
        (Outcome.DONE, ecu(TUNED), record(JobState.DONE, open_flashes=1)),
        (Outcome.DONE, ecu(TUNED), record(JobState.DONE, report="restored")),
        (Outcome.RESTORED, ecu(TUNED), record(JobState.RESTORED)),
        (Outcome.REFUSED, ecu(TUNED), record(JobState.READ_VERIFIED)),
        (Outcome.READ, ecu(GARBAGE), record(JobState.READ_VERIFIED)),
        (Outcome.NEEDS_BENCH, ecu(GARBAGE, Program.BOOTLOADER), record(JobState.NEEDS_BENCH)),
        (Outcome.NEEDS_BENCH, ecu(GARBAGE, Program.SILENT), record(JobState.INTERRUPTED)),
        (Outcome.NEEDS_BENCH, ecu(GARBAGE, Program.SILENT), record(JobState.NEEDS_BENCH, report="done")),
    ],
)
def test_a_false_end_is_caught(outcome: Outcome, seen: Ecu, told: Record) -> None:
    with pytest.raises(BrokenPromiseError):
        judge_end(outcome, X050, MEMORIES, seen, told)


def test_the_bench_is_for_ecus_without_a_bootloader_and_fixed_memory_stays() -> None:
    dead, told = ecu(STOCK[:4] + GARBAGE[4:], Program.SILENT), record(JobState.NEEDS_BENCH)
    with pytest.raises(BrokenPromiseError, match="bootloader is promised"):
        judge_end(Outcome.NEEDS_BENCH, T300, MEMORIES, dead, told)
    with pytest.raises(BrokenPromiseError, match="boot has changed"):
        judge_end(Outcome.NEEDS_BENCH, X050, MEMORIES, dead, told)


def test_the_bench_of_a_box_without_records_is_for_a_silent_ecu_alone() -> None:
    nothing = Record(None, None, 0, "")
    judge_end(Outcome.NEEDS_BENCH, X050, MEMORIES, ecu(STOCK, Program.SILENT), nothing)
    with pytest.raises(BrokenPromiseError, match="the ECU runs"):
        judge_end(Outcome.NEEDS_BENCH, X050, MEMORIES, ecu(STOCK, Program.BOOTLOADER), nothing)


def test_a_true_end_is_none_of_the_judges_business() -> None:
    judge_end(Outcome.DONE, T300, MEMORIES, ecu(TUNED), record(JobState.DONE))
    judge_end(Outcome.REFUSED, T300, MEMORIES, ecu(STOCK), record(JobState.READ_VERIFIED))
    judge_end(Outcome.NEEDS_BENCH, X050, MEMORIES, ecu(STOCK, Program.SILENT), record(JobState.NEEDS_BENCH))


@pytest.mark.parametrize("memory", [GARBAGE, TUNED])
def test_a_changed_memory_that_nobody_remembers_is_caught(memory: bytes) -> None:
    judge_rest(MEMORIES, ecu(memory), record(JobState.INTERRUPTED, open_flashes=1))
    with pytest.raises(BrokenPromiseError, match="no write is open"):
        judge_rest(MEMORIES, ecu(memory), record(JobState.READ_VERIFIED))


def test_another_car_that_is_touched_or_called_done_is_caught() -> None:
    judge_other_car(ecu(STOCK), ecu(STOCK), None)
    for after, said in (
        (ecu(TUNED), None),
        (ecu(STOCK, valid=False), None),
        (ecu(STOCK), "done"),
    ):
        with pytest.raises(BrokenPromiseError, match="another car"):
            judge_other_car(ecu(STOCK), after, said)


def test_a_half_written_ecu_that_is_forgotten_with_the_records_is_caught() -> None:
    lost = Record(None, None, 0, "")
    judge_reopened(MEMORIES, ecu(STOCK), lost, told=False)
    judge_reopened(MEMORIES, ecu(GARBAGE), lost, told=True)
    judge_reopened(MEMORIES, ecu(GARBAGE), record(JobState.INTERRUPTED, open_flashes=1), told=False)
    for memory, valid in ((GARBAGE, True), (STOCK, False)):
        with pytest.raises(BrokenPromiseError, match="forgotten with the records"):
            judge_reopened(MEMORIES, ecu(memory, valid=valid), lost, told=False)


def test_a_rotten_copy_excuses_only_what_needs_it() -> None:
    interrupted = record(JobState.INTERRUPTED, open_flashes=1)
    head = Rot(slice(0, 4), held=False, legible=True)
    judge_source_lost(MEMORIES, ecu(GARBAGE), interrupted, head)
    with pytest.raises(BrokenPromiseError, match="nobody needs"):
        judge_source_lost(MEMORIES, ecu(STOCK[:4] + GARBAGE[4:]), interrupted, head)
    with pytest.raises(BrokenPromiseError, match="was forgotten"):
        judge_source_lost(MEMORIES, ecu(GARBAGE), record(JobState.READ_VERIFIED), head)
    with pytest.raises(BrokenPromiseError, match="has lost them since"):
        judge_source_lost(MEMORIES, ecu(GARBAGE), interrupted, replace(head, held=True))


def test_the_last_copy_of_the_original_is_gone_only_where_nobody_could_read_it() -> None:
    rot = Rot(slice(0, 4), held=True, legible=True)
    judge_last_copy(MEMORIES, ecu(STOCK), rot, sealed=False)
    judge_last_copy(MEMORIES, ecu(GARBAGE), rot, sealed=True)
    judge_last_copy(MEMORIES, ecu(GARBAGE), replace(rot, legible=False), sealed=False)
    judge_last_copy(MEMORIES, ecu(GARBAGE), replace(rot, held=False), sealed=False)
    with pytest.raises(BrokenPromiseError, match="destroyed the last copy"):
        judge_last_copy(MEMORIES, ecu(GARBAGE), rot, sealed=False)


Verb = Callable[[EngineContext], Awaitable[dict[str, Any]]]


def replaced(monkeypatch: pytest.MonkeyPatch, lie: Callable[[Verb], Verb]) -> None:
    """Every operation of the box is a lie."""
    monkeypatch.setattr(runs, "prepare", lambda verb, asked: lie(prepare(verb, asked)))


def at_once(monkeypatch: pytest.MonkeyPatch, hardship: Hardship, attempt: int = 0) -> None:
    """The job itself meets with it, or a later attempt, and with nothing else."""
    fortune = Fortune(hardship, attempt, OtherCar.HEALTHY_TWIN, writes_until_full=5, full_for=1000)
    monkeypatch.setattr("tests.faults.scenario.fortune_for", lambda *_arguments, **_options: fortune)
    monkeypatch.setattr(runs, "storm_for", lambda *_arguments: Storm(FaultPlan(), None))


def behind_a_death(monkeypatch: pytest.MonkeyPatch, hardship: Hardship) -> None:
    """The box dies in the first block it programs; what is met comes before the recovery."""
    death = Storm(FaultPlan(faults=(Fault(kind=FaultKind.BOX_DIES, on=Trigger.PROGRAMMED, at=100),)), None)
    calm = Storm(FaultPlan(), None)
    at_once(monkeypatch, hardship, attempt=1)
    monkeypatch.setattr(runs, "_VANISHES_SHARE", 0.0)
    monkeypatch.setattr(runs, "storm_for", lambda _scenario, attempt, _totals: calm if attempt else death)


def test_a_box_that_writes_whatever_car_is_there_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def reckless(honest: Verb) -> Verb:
        async def work(box: EngineContext) -> dict[str, Any]:
            connection = box.connection
            assert isinstance(connection, SimulatedCarInterface)
            connection.car.ecu.memory.force(min(one.start for one in X050.regions), b"#")
            return await honest(box)

        return work

    replaced(monkeypatch, reckless)
    at_once(monkeypatch, Hardship.OTHER_CAR)
    broken = broken_in(campaign(SEED, 4, X050.id))
    assert any("another car than the job's was written" in one for one in broken)


def test_a_box_that_dies_in_the_wrong_car_goes_on_in_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_into, cars = Life.plug_into, set[Car]()

    def deadly(life: Life, car: Car, table: Workbench | None = None) -> None:
        plug_into(life, car, table)
        if car not in cars:
            cars.add(car)
            life.die()

    at_once(monkeypatch, Hardship.OTHER_CAR)
    monkeypatch.setattr(Life, "plug_into", deadly)
    results = list(campaign(SEED, 2, X050.id))
    assert broken_in(iter(results)) == []
    assert all(result.deaths for result in results)


@pytest.mark.parametrize("kind", [Hardship.JOURNAL_LOST, Hardship.JOURNAL_FLIPPED])
def test_a_box_that_forgets_with_its_records_is_caught(
    monkeypatch: pytest.MonkeyPatch, kind: Hardship
) -> None:
    def emptied(_dice: object, _kind: object, state: Path) -> str:
        for path in [one for one in state.iterdir() if one.is_file()]:
            path.unlink()
        return "everything is lost, and it shall be remembered all the same"

    monkeypatch.setattr(runs, "hurt_records", emptied)
    broken = broken_in(campaign(SEED, 12, X050.id, hardship=kind))
    assert any("forgotten with the records" in one for one in broken)


def test_a_box_that_swallows_a_full_disk_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(honest: Verb) -> Verb:
        async def work(box: EngineContext) -> dict[str, Any]:
            try:
                return await honest(box)
            except PitboxError as error:
                if error.code not in ("STORAGE_FAILED", "VAULT_DISK_FULL"):
                    raise
                return {"result": "done"}

        return work

    replaced(monkeypatch, careless)
    at_once(monkeypatch, Hardship.DISK_FULL)
    broken = broken_in(campaign(SEED, 4, T300.id))
    assert any("done, " in one for one in broken)


def test_a_box_that_writes_what_rotted_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    get = BlobStore.get

    def unchecked(store: BlobStore, segment: Segment) -> bytes:
        try:
            return get(store, segment)
        except VaultError:
            return bytes(segment.place.length)

    monkeypatch.setattr(BlobStore, "get", unchecked)
    at_once(monkeypatch, Hardship.ORIGINAL_DAMAGED)
    broken = broken_in(campaign(SEED, 8, T300.id))
    assert any("are wrong" in one for one in broken)


def test_a_box_that_erases_what_it_alone_has_read_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes from the ECU what its disk has lost, keeps it in its memory, erases it, and dies."""

    def deaths(_scenario: object, attempt: int, totals: Mapping[Counter, int]) -> Storm:
        at = totals[Counter.PROGRAMMED] + 100
        death = Fault(kind=FaultKind.BOX_DIES, on=Trigger.PROGRAMMED, at=at)
        return Storm(FaultPlan(faults=(death,) if attempt < 2 else ()), None)

    behind_a_death(monkeypatch, Hardship.ORIGINAL_DAMAGED)
    monkeypatch.setattr(runs, "storm_for", deaths)
    assert broken_in(campaign(SEED, 1, P179.id)) == []
    monkeypatch.setattr(Safekeeping, "keep", _nothing)
    monkeypatch.setattr(Safekeeping, "mend", lambda *_arguments: [])
    broken = broken_in(campaign(SEED, 1, P179.id))
    assert any("destroyed the last copy" in one for one in broken)


def test_a_box_that_finishes_with_a_rotten_tuned_file_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    get = BlobStore.get

    def unchecked(store: BlobStore, segment: Segment) -> bytes:
        try:
            return get(store, segment)
        except VaultError:
            return bytes(segment.place.length)

    behind_a_death(monkeypatch, Hardship.TUNED_DAMAGED)
    assert broken_in(campaign(SEED, 6, T300.id)) == []
    monkeypatch.setattr(BlobStore, "get", unchecked)
    monkeypatch.setattr(WriteOrder, "check_target", _nothing_at_all)
    monkeypatch.setattr(runs.Run, "_takes_original", lambda _run, _attempt: False)
    broken = broken_in(campaign(SEED, 6, T300.id))
    assert any("are wrong" in one for one in broken)


def test_a_box_that_calls_an_ecu_restored_it_knows_nothing_of_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def restored(_box: EngineContext) -> dict[str, Any]:
        return {"result": "restored"}

    def lying(verb: str, asked: dict[str, Any]) -> Verb:
        return restored if "definition" in asked else prepare(verb, asked)

    behind_a_death(monkeypatch, Hardship.ALL_RECORDS_LOST)
    assert broken_in(campaign(SEED, 4, T300.id)) == []
    monkeypatch.setattr(runs, "prepare", lying)
    broken = broken_in(campaign(SEED, 4, T300.id))
    assert any("restored, and" in one for one in broken)


def test_a_box_that_begins_without_room_for_its_records_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch, Hardship.DISK_SCARCE)
    assert broken_in(campaign(SEED, 4, T300.id)) == []
    monkeypatch.setattr(LiveConditions, "free_bytes", lambda _conditions: 1 << 60)
    broken = broken_in(campaign(SEED, 4, T300.id))
    assert any("without room for its records" in one for one in broken)
    with pytest.raises(BrokenPromiseError):
        judge_without_room(ecu(STOCK), ecu(STOCK, valid=False))


@pytest.mark.parametrize(
    ("fault", "service"),
    [
        (FaultKind.DOUBLED_ANSWER, 0x31),
        (FaultKind.REPLAYED_ANSWER, 0x31),
        (FaultKind.HELD_ANSWER, 0x31),
        (FaultKind.TRUNCATED_ANSWER, 0x31),
        (FaultKind.OVERSIZED_ANSWER, 0x31),
        (FaultKind.ERASE_REFUSED, 0x31),
    ],
)
def test_each_kind_of_answer_strikes_and_a_box_that_believes_it_is_caught(
    monkeypatch: pytest.MonkeyPatch, fault: FaultKind, service: int
) -> None:
    """A box that takes any end of an erase for its success, and asks nobody whether memory holds."""
    strike = Fault(kind=fault, on=Trigger.REQUEST, at=2, service=service, mask=1)
    monkeypatch.setattr(runs, "storm_for", lambda *_: Storm(FaultPlan(faults=(strike,)), None))
    honest = list(campaign(SEED, 3, X050.id, hardship=Hardship.NONE))
    assert all(result.struck for result in honest if result.kind != "read")
    monkeypatch.setattr(UdsMemory, "erase", _nothing)
    monkeypatch.setattr(comparing, "differing", _blind)
    assert broken_in(campaign(SEED, 3, X050.id, hardship=Hardship.NONE))


def of_that_make(monkeypatch: pytest.MonkeyPatch, make: EcuOptions) -> None:
    monkeypatch.setattr("tests.faults.scenario.make_of", lambda _dice: make)


@pytest.mark.timeout(900)
def test_a_box_that_loses_a_session_which_only_3e_keeps_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    of_that_make(monkeypatch, EcuOptions(s3_kept_by_any_request=False))
    monkeypatch.setattr(runs, "storm_for", lambda *_: Storm(FaultPlan(), None))
    assert broken_in(campaign(SEED, 3, E400.id, hardship=Hardship.NONE)) == []
    monkeypatch.setattr(KeepAlive, "start", _nothing_at_all)
    broken = broken_in(campaign(SEED, 3, E400.id, hardship=Hardship.NONE))
    assert any("not over after" in one for one in broken)


def test_a_box_that_leaves_a_transfer_open_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the announcement is lost: only a restart ends what the ECU has begun."""
    of_that_make(monkeypatch, EcuOptions(transfer_ended_by=frozenset({TransferEnd.RESET, TransferEnd.POWER})))
    lost = Fault(kind=FaultKind.LOST_ANSWER, on=Trigger.REQUEST, at=1, service=0x34)
    monkeypatch.setattr(runs, "storm_for", lambda *_: Storm(FaultPlan(faults=(lost,)), None))
    assert broken_in(campaign(SEED, 1, E400.id, hardship=Hardship.NONE)) == []

    async def only_ask(transfers: Transfers, request: Request[int], *_: object, **__: object) -> int:
        return await transfers._client.ask(request)

    monkeypatch.setattr(Transfers, "_begin_after_ending", only_ask)
    broken = broken_in(campaign(SEED, 1, E400.id, hardship=Hardship.NONE))
    assert any("not over after" in one for one in broken)


def test_an_error_that_soothes_is_caught() -> None:
    untouched = PitboxError("X", "what", do_now="now")
    untouched.ecu = EcuSafety.UNTOUCHED
    half_written = PitboxError("X", "what", do_now="now")
    half_written.ecu = EcuSafety.HALF_WRITTEN
    interrupted = record(JobState.INTERRUPTED, open_flashes=1)
    judge_error(untouched, MEMORIES, ecu(STOCK), record(JobState.READ_VERIFIED))
    judge_error(half_written, MEMORIES, ecu(GARBAGE), interrupted)
    with pytest.raises(BrokenPromiseError, match="memory has changed"):
        judge_error(untouched, MEMORIES, ecu(GARBAGE), interrupted)
    with pytest.raises(BrokenPromiseError, match="nothing is left to recover"):
        judge_error(half_written, MEMORIES, ecu(GARBAGE), record(JobState.READ_VERIFIED))
    with pytest.raises(BrokenPromiseError, match="five questions"):
        judge_error(PitboxError("X", "what", do_now=""), MEMORIES, ecu(STOCK), interrupted)
