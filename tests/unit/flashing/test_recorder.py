"""Events: written with the change they tell of, numbered for ever, and never in the way of a write."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.actors import Actor
from appliance.contract.errors import PitboxError
from appliance.contract.events import AlarmEvent, NoteEvent, Phase, ProgressEvent, Recorded
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH
from appliance.flashing import recorder
from appliance.flashing.database import Database, StorageError
from appliance.flashing.journal import FlashRecord, Journal, Step
from appliance.flashing.operation_log import MOST_OPERATIONS, Beginning
from appliance.flashing.recorder import UNWRITTEN, acting
from tests.support.box import mac

ORDER = "{}"
FAR = 2**62


class Box:
    """A journal with everything it told; `restart` is a new life, orderly or not."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.db"
        self.now = 1000.0
        self.heard: list[Recorded] = []
        self.journal = self._open()

    def _open(self) -> Journal:
        return Journal(self._path, lambda: self.now, mac, self.heard.append)

    def restart(self) -> None:
        self.journal.close()
        self.journal = self._open()

    @property
    def written(self) -> list[dict[str, Any]]:
        return self.journal.events.between(0, FAR, 100_000)

    def note(self, text: str) -> None:
        self.journal.events.tell(NoteEvent("job", "trying_again", {"error": text}))

    def progress(self, done: int, total: int = 1000, phase: Phase = Phase.WRITE) -> None:
        self.journal.events.tell(ProgressEvent("job", phase, done, total, 1.0, None, None, None))

    def spoil(self, *statements: str) -> None:
        """Change the file behind the box's back."""
        self.journal.close()
        with sqlite3.connect(self._path) as sql:
            for statement in statements:
                sql.execute(statement)
        sql.close()
        self.journal = self._open()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    one = Box(tmp_path)
    yield one
    one.journal.close()


@contextmanager
def disk(monkeypatch: pytest.MonkeyPatch, full: Callable[[], bool]) -> Iterator[Counter[str]]:
    """Commits are counted, and fail while the disk is full."""
    plain, commits = Database.transaction, Counter[str]()

    @contextmanager
    def watched(database: Database) -> Iterator[sqlite3.Connection]:
        with plain(database) as sql:
            yield sql
            if full():
                raise StorageError(Path("journal.db"), "database or disk is full")
        commits["all"] += 1

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", watched)
        yield commits


# --- nothing moves unseen ---------------------------------------------------------------------------


def _act(journal: Journal, action: str, target: JobState) -> None:
    """One thing that may be refused; what is refused must leave no event."""
    newest = journal.jobs()[0]
    write = journal.last_flash(newest.id)
    on_job: dict[str, Callable[[], object]] = {
        "create": lambda: journal.create_job(f"job-{len(journal.jobs())}"),
        "move": lambda: journal.move(newest.id, target),
        "read": lambda: journal.read_verified(newest.id, "file"),
        "open": lambda: journal.open_flash(newest.id, ORDER),
        "rescue": lambda: journal.open_rescue(replace(newest, id=f"{newest.id}-again"), ORDER),
    }
    if action in on_job:
        on_job[action]()
    elif write is not None:
        _act_on_write(journal, write, action, target)


def _act_on_write(journal: Journal, write: FlashRecord, action: str, target: JobState) -> None:
    if action == "block":
        journal.next_block(write.id, (FLASH, 0x10), (FLASH, 0x20))
    elif action == "interrupt":
        journal.move_with_step(write.id, Step.INTERRUPTED, write.job_id, target, "why")
    elif action == "resume":
        journal.resume_flash(write, ORDER)
    else:
        journal.close_flash(write.id, write.job_id, target, target.value)


_ACTIONS = ("create", *("move",) * 3, "read", "open", "rescue", "block", "interrupt", "resume", "close")


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from((*_ACTIONS, "restart")), st.sampled_from(JobState)), max_size=40)
)
def test_the_events_alone_tell_every_state_and_every_step(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, JobState]]
) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    box.journal.create_job("first")
    for action, target in [("move", JobState.IDENTIFIED), *steps]:
        if action == "restart":
            box.restart()
            continue
        with suppress(PitboxError):
            _act(box.journal, action, target)
    told, taken = dict[str, str](), list[tuple[int, str]]()
    for event in box.written:
        if event["kind"] == "state":
            assert event["before"] == told.get(event["job_id"]), "no move was left out"
            told[event["job_id"]] = event["state"]
        elif event["kind"] == "step":
            taken.append((event["write"], event["step"]))
    assert told == {job.id: job.state.value for job in box.journal.jobs()}
    for flash in box.journal.flashes():
        known = [step.step.value for step in box.journal.steps(flash.id)]
        assert [step for write, step in taken if write == flash.id] == known
    box.journal.close()


def test_what_is_refused_is_not_told(box: Box) -> None:
    box.journal.create_job("job")
    before = len(box.written)
    with pytest.raises(PitboxError):
        box.journal.move("job", JobState.FLASHING)
    assert len(box.written) == before == len(box.heard)


def test_what_an_older_record_of_writes_sets_right_is_told_as_well(box: Box) -> None:
    box.journal.create_job("job")
    box.journal.move("job", JobState.IDENTIFIED)
    box.journal.move("job", JobState.PREFLIGHT)
    box.journal.open_flash("job", ORDER)
    box.spoil("DELETE FROM flash_step", "DELETE FROM flash", "DELETE FROM job")
    assert (box.written[-1]["kind"], box.journal.job("job").state) == ("step", JobState.INTERRUPTED)
    states = [one["state"] for one in box.written if one["kind"] == "state"]
    assert states[-1] == JobState.INTERRUPTED


# --- numbers, times, actors -------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.sampled_from(("note", "progress", "cut")), max_size=120))
def test_no_number_comes_twice_whatever_a_power_cut_takes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    for number, step in enumerate(steps):
        if step == "note":
            box.note(str(number))
        elif step == "progress":
            box.progress(number)
        else:
            box.restart()  # what waits to be written is lost, as in a power cut
    numbers = [one.seq for one in box.heard]
    assert all(one < two for one, two in pairwise(numbers))
    kept = [one["fields"]["error"] for one in box.written if one["kind"] == "note"]
    assert kept == [str(number) for number, step in enumerate(steps) if step == "note"]
    box.journal.close()


def test_a_clock_set_back_changes_no_order(box: Box) -> None:
    for box.now, text in ((2e9, "first"), (1e9, "second"), (1.5e9, "third")):
        box.note(text)
    told = [(one["fields"]["error"], one["at"]) for one in box.written]
    assert told == [("first", 2e9), ("second", 1e9), ("third", 1.5e9)]


def test_who_asked_is_told_and_nobody_is_the_box(box: Box) -> None:
    with acting(Actor("operator", 1000)):
        box.note("asked")
    box.note("by itself")
    assert [one["actor"] for one in box.written] == [
        {"role": "operator", "uid": 1000},
        {"role": "box", "uid": None},
    ]


# --- what it costs ----------------------------------------------------------------------------------


def test_progress_is_kept_in_marks_and_costs_no_commit(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.note("the first")
    with disk(monkeypatch, lambda: False) as commits:
        for done in range(1001):
            box.progress(done)
        assert commits["all"] == 0
        box.note("the end")
        assert commits["all"] == 1
    kept = [one["done_bytes"] for one in box.written if one["kind"] == "progress"]
    assert kept == list(range(0, 1001, 50))
    assert len(box.heard) == 1003, "all of it is told"


def test_a_block_is_one_commit_as_before(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.journal.create_job("job")
    box.journal.move("job", JobState.IDENTIFIED)
    box.journal.move("job", JobState.PREFLIGHT)
    write = box.journal.open_flash("job", ORDER)
    box.journal.next_block(write, None, (FLASH, 0))
    with disk(monkeypatch, lambda: False) as commits:
        for block in range(1, 30):
            for part in range(10):
                box.progress(block * 10 + part, 300)
            box.journal.next_block(write, (FLASH, block - 1), (FLASH, block))
    assert commits["all"] == 29


def test_many_unwritten_events_are_written_in_time(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.note("the first")
    with disk(monkeypatch, lambda: False) as commits:
        for _ in range(3 * UNWRITTEN):
            box.progress(1)
    assert commits["all"] == 3
    assert box.heard[-1].seq - box.written[-1]["seq"] < UNWRITTEN


# --- a disk that takes nothing ----------------------------------------------------------------------


def test_a_full_disk_stops_no_telling_and_what_waits_is_written_later(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.journal.create_job("job")
    full = True
    with disk(monkeypatch, lambda: full):
        box.journal.events.tell(AlarmEvent("job", "POWER_UNKNOWN", "supply_silent", True))
        box.progress(10)
        with pytest.raises(StorageError):
            box.journal.move("job", JobState.IDENTIFIED)
        assert [type(one.event).__name__ for one in box.heard[1:]] == ["AlarmEvent", "ProgressEvent"]
        assert [one["kind"] for one in box.written] == ["state"]
        full = False
        box.journal.move("job", JobState.IDENTIFIED)
    assert [one["kind"] for one in box.written] == ["state", "alarm", "progress", "state"]
    assert [one["state"] for one in box.written if one["kind"] == "state"] == ["draft", "identified"]


def test_a_disk_that_stays_full_fills_no_memory(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "UNWRITTEN", 64)
    box.note("the first")
    with disk(monkeypatch, lambda: True):
        for number in range(200):
            box.note(str(number))
    assert len(box.heard) == 64
    box.note("it is repaired")
    assert len(box.written) == 65


# --- age and damage ---------------------------------------------------------------------------------


def test_the_oldest_make_room_and_that_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MOST_EVENTS", 100)
    monkeypatch.setattr(recorder, "_SLACK", 20)
    for number in range(130):
        box.note(str(number))
        assert len(box.written) <= 121
    gone = next(one for one in box.written if one["kind"] == "dropped")
    box.journal.events.make_room()
    last = [one for one in box.written if one["kind"] == "dropped"][-1]
    kept = [int(one["fields"]["error"]) for one in box.written if one["kind"] == "note"]
    assert kept == list(range(kept[0], 130))
    assert last["events"] >= kept[0], "of all that ever went"
    assert last["through_seq"] < box.written[0]["seq"]
    assert gone["through_at"] == box.now


@pytest.mark.parametrize("column", ["body", "actor", "kind", "at"])
def test_a_changed_event_is_told_as_damaged_and_bars_nothing(box: Box, column: str) -> None:
    box.note("genuine")
    box.note("to be changed")
    seq = box.written[1]["seq"]
    value = 5.0 if column == "at" else '\'{"text": "forged"}\''
    box.spoil(f"UPDATE event SET {column}={value} WHERE seq={seq}")
    assert [one["kind"] for one in box.written] == ["note", "damaged"]
    assert box.written[1]["seq"] == seq
    box.note("goes on")
    assert box.written[-1]["fields"]["error"] == "goes on"


# --- operations -------------------------------------------------------------------------------------


def test_operations_outlive_a_restart_and_a_power_cut_is_told(box: Box) -> None:
    with acting(Actor("operator", 1000)):
        box.journal.operations.begin(Beginning("one", "read", "job", "ab"))
        box.journal.operations.end("one", "failed", error={"code": "X"})
        box.journal.operations.begin(Beginning("two", "identify", None, "cd"))
        box.journal.operations.end("two", "done", "new", {"job": "new"})
        box.journal.operations.begin(Beginning("three", "write", "job", "ef"))
    box.restart()
    box.journal.operations.interrupt_running()
    told = box.journal.operations.all()
    assert [(one["id"], one["state"], one["job"]) for one in told] == [
        ("three", "interrupted", "job"),
        ("two", "done", "new"),
        ("one", "failed", "job"),
    ]
    assert {str(one["actor"]["uid"]) for one in told} == {"1000"}
    assert (told[1]["result"], told[2]["error"]) == ({"job": "new"}, {"code": "X"})
    ends = [(one["id"], one["state"]) for one in box.written if one["state"] != "running"]
    assert ends == [("one", "failed"), ("two", "done"), ("three", "interrupted")]
    box.spoil("UPDATE operation SET state='done' WHERE id='one'")
    changed = box.journal.operations.get("one")
    assert changed is not None and changed["state"] == "damaged"


def test_only_so_many_operations_are_kept(box: Box) -> None:
    for number in range(MOST_OPERATIONS + 5):
        box.journal.operations.begin(Beginning(str(number), "dtc", None, ""))
    assert [one["id"] for one in box.journal.operations.all()][-1] == "5"
