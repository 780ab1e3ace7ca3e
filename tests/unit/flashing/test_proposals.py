"""The life of a proposal: consented to by those who may, started once at most, and never lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.contract.actors import Actor
from appliance.contract.errors import PitboxError
from appliance.contract.operations import Restore
from appliance.contract.preview import FORM, Preview
from appliance.contract.proposals import Consent, Propose
from appliance.contract.proposals_told import WAITING, ProposalState
from appliance.flashing.journal import Journal
from appliance.flashing.operation_log import Beginning
from appliance.flashing.proposal_log import MOST_WAITING, ProposalLog
from appliance.flashing.proposal_rows import SHOWN_OTHERWISE
from appliance.flashing.recorder import acting
from appliance.flashing.rows import Step, add_step, seal_rows
from tests.support.box import mac

ADA, BEN = Actor("operator", 0), Actor("operator", 7)
WEB, WEB_TOO = Actor("web", 33), Actor("web", 34)
EVERYBODY = (ADA, BEN, WEB, WEB_TOO)
SHOWN, OTHER = "ab" * 32, "cd" * 32


def preview(job: str = "car", digest: str = SHOWN) -> Preview:
    return cast(Preview, {"form": FORM, "job": job, "definition": "pbx", "digest": digest})


def asking(*needs: str, job: str = "car", **more: Any) -> Propose:
    operation = Restore(verb="restore", job=job, confirmed=SHOWN)
    return Propose(operation=operation, **({"needs": list(needs)} if needs else {}), **more)


def beginning(number: object = 1) -> Beginning:
    return Beginning(f"op-{number}", "restore", "car", "ef" * 32)


class Shelf:
    """A journal on a disk that may lose its power between any two commits, with a clock to set."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self._lives = root, 1000.0, 0
        self.events: list[dict[str, Any]] = []
        (root / "0").mkdir(parents=True)
        self.journal = self._opened()

    def _opened(self) -> Journal:
        return Journal(
            self.root / str(self._lives) / "journal.db",
            lambda: self.now,
            mac,
            lambda told: self.events.append(told.as_dict()),
        )

    @property
    def proposals(self) -> ProposalLog:
        return self.journal.proposals

    def cut_power(self) -> None:
        """What is on the disk now is what the next life finds."""
        before = self.root / str(self._lives)
        self._lives += 1
        shutil.copytree(before, self.root / str(self._lives))
        self.journal.close()
        self.journal = self._opened()
        self.journal.operations.interrupt_running()

    def show_as_an_earlier_release(self, one: str) -> None:
        """Its row as a box before the last update sealed it."""
        with self.journal.events.change() as sql:
            sql.execute("UPDATE proposal SET preview=? WHERE id=?", (json.dumps(OF_AN_EARLIER_RELEASE), one))
            seal_rows(sql, mac, "proposal", "id=?", one)

    def fill_disk(self) -> None:
        sql = self.journal._db._sql
        sql.execute(f"PRAGMA max_page_count={sql.execute('PRAGMA page_count').fetchone()[0]}")

    def room(self) -> None:
        self.journal._db._sql.execute("PRAGMA max_page_count=1000000")

    def propose(self, actor: Actor, asked: Propose, shown: Preview | None = None) -> str:
        with acting(actor):
            return self.proposals.propose(asked, shown or preview(asked.operation.job or "")).id

    def consent(
        self, actor: Actor, one: str, need: str | None = None, by: str | None = None
    ) -> ProposalState:
        with acting(actor):
            return self.proposals.consent(one, Consent(digest=SHOWN, need=need, by=by)).state

    def state(self, one: str) -> ProposalState:
        return next(told["state"] for told in self.proposals.all() if told["id"] == one)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def refused(code: str, work: Callable[[], object]) -> PitboxError:
    with pytest.raises(PitboxError) as error:
        work()
    assert error.value.code == code, error.value
    assert error.value.what and error.value.do_now
    return error.value


def test_one_consent_of_another_makes_it_ready_and_one_start_starts_it(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking(by="Kim"))
    assert shelf.state(one) is ProposalState.OPEN
    refused("PROPOSAL_NOT_READY", lambda: shelf.proposals.start(one, beginning()))
    assert shelf.consent(ADA, one, by="Ada") is ProposalState.READY
    with acting(ADA):
        assert shelf.proposals.start(one, beginning()).operation_id == "op-1"
    refused("PROPOSAL_CLOSED", lambda: shelf.proposals.start(one, beginning(2)))
    assert [one["id"] for one in shelf.journal.operations.all()] == ["op-1"]
    (told,) = shelf.proposals.all()
    assert (told["by"], told["proposer"], told["operation"]) == ("Kim", {"role": "web", "uid": 33}, "op-1")
    assert [(one["by"], one["actor"]["uid"], one["digest"]) for one in told["consents"]] == [
        ("Ada", 0, SHOWN)
    ]
    events = [event for event in shelf.events if event["kind"] == "proposal"]
    assert [event["what"] for event in events] == ["proposed", "consented", "started"]
    assert [event["actor"]["uid"] for event in events] == [33, 0, 0]
    assert events[0]["waits_for"] == ("other_or_operator",) and not events[1]["waits_for"]


def test_a_consent_to_something_else_is_none(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking())
    with acting(ADA):
        refused("CONSENT_TO_ANOTHER", lambda: shelf.proposals.consent(one, Consent(digest=OTHER)))
    assert shelf.proposals.get(one).missing == ("other_or_operator",)


@pytest.mark.parametrize("other", [WEB, WEB_TOO])
@pytest.mark.parametrize("needs", [("other",), ("other_or_operator",), ("kind:owner",), ("operator",)])
def test_the_web_alone_never_completes_what_it_proposed(
    shelf: Shelf, other: Actor, needs: tuple[str, ...]
) -> None:
    one = shelf.propose(WEB, asking(*needs))
    refused("CONSENT_REFUSED", lambda: shelf.consent(other, one, by="Kim"))
    assert shelf.state(one) is ProposalState.OPEN
    refused("PARAMETERS_INVALID", lambda: shelf.propose(WEB, asking("web", "operator")))


@pytest.mark.parametrize(
    ("need", "proposer", "fits"),
    [
        ("operator", ADA, {ADA, BEN}),
        ("operator", WEB, {ADA, BEN}),
        ("other", ADA, {BEN, WEB, WEB_TOO}),
        ("other", WEB, {ADA, BEN}),
        ("other_or_operator", ADA, {ADA, BEN, WEB, WEB_TOO}),
        ("web", ADA, {WEB, WEB_TOO}),
        ("kind:owner", ADA, {ADA, BEN}),
    ],
)
def test_who_may_give_which_consent(shelf: Shelf, need: str, proposer: Actor, fits: set[Actor]) -> None:
    for actor in EVERYBODY:
        one = shelf.propose(proposer, asking(need))
        if actor in fits:
            assert shelf.consent(actor, one, by="Kim") is ProposalState.READY
        else:
            refused("CONSENT_REFUSED", lambda one=one, actor=actor: shelf.consent(actor, one, by="Kim"))


def test_a_consent_of_a_kind_names_its_person_and_one_user_gives_one_consent(shelf: Shelf) -> None:
    one = shelf.propose(ADA, asking("operator", "operator", "kind:owner"))
    assert shelf.consent(ADA, one) is ProposalState.OPEN
    refused("CONSENT_REFUSED", lambda: shelf.consent(ADA, one, need="operator"))
    refused("CONSENT_REFUSED", lambda: shelf.consent(ADA, one, need="kind:owner"))
    refused("CONSENT_REFUSED", lambda: shelf.consent(ADA, one, need="kind:tuner", by="Kim"))
    assert shelf.consent(ADA, one, need="kind:owner", by="Kim") is ProposalState.OPEN
    assert shelf.consent(BEN, one) is ProposalState.READY
    refused("PROPOSAL_READY", lambda: shelf.consent(WEB, one))


def test_who_consented_takes_it_back_and_who_proposed_ends_it(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking())
    shelf.consent(BEN, one)
    with acting(WEB_TOO):
        refused("WITHDRAWAL_REFUSED", lambda: shelf.proposals.withdraw(one, None))
    with acting(BEN):
        assert shelf.proposals.withdraw(one, None).state is ProposalState.OPEN
    refused("PROPOSAL_NOT_READY", lambda: shelf.proposals.start(one, beginning()))
    assert shelf.consent(BEN, one) is ProposalState.READY, "and may give it again"
    with acting(WEB):
        assert shelf.proposals.withdraw(one, "Kim").state is ProposalState.WITHDRAWN
    refused("PROPOSAL_CLOSED", lambda: shelf.consent(ADA, one))


def test_it_expires_by_the_clock_also_where_the_disk_does_not_take_it(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking(expires_s=60))
    shelf.consent(ADA, one)
    shelf.now += 59.9
    assert shelf.state(one) is ProposalState.READY
    shelf.now += 0.1
    shelf.fill_disk()
    assert shelf.state(one) is ProposalState.EXPIRED
    refused("PROPOSAL_CLOSED", lambda: shelf.proposals.start(one, beginning()))
    shelf.room()
    shelf.cut_power()
    assert shelf.state(one) is ProposalState.EXPIRED
    assert [e["what"] for e in shelf.events if e["kind"] == "proposal"][-1] == "expired"
    assert shelf.events[-1]["actor"]["role"] == "box"


OF_AN_EARLIER_RELEASE: Any = {
    "job": "car",
    "definition": "pbx",
    "digest": SHOWN,
    "regions": [
        {
            "name": "code",
            "memory": "flash",
            "start": 0x8000,
            "size_bytes": 0x4000,
            "blocks": 1,
            "changed_bytes": 3,
            "first": 0x8010,
            "last": 0x8012,
        }
    ],
    "gates": [{"name": "length", "verdict": "fail", "detail": "7 bytes"}],
    "refused": ["length: 7 bytes"],
}


def test_what_an_earlier_release_showed_is_told_and_never_started(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking(), OF_AN_EARLIER_RELEASE)
    refused("PROPOSAL_CLOSED", lambda: shelf.consent(ADA, one))
    refused("PROPOSAL_CLOSED", lambda: shelf.proposals.start(one, beginning()))
    (told,) = shelf.proposals.all()
    assert (told["state"], told["why"]) == (ProposalState.STALE, SHOWN_OTHERWISE)
    shown = told["preview"]
    assert shown is not None and shown["form"] == 1 and shown["digest"] == SHOWN
    assert shown["refused"] == ["length"]
    assert shown["regions"] == [
        {
            "name": "code",
            "place": {"memory": "flash", "start": 0x8000, "length": 0x4000},
            "blocks": 1,
            "changed_bytes": 3,
            "changed": {"memory": "flash", "start": 0x8010, "length": 3},
        }
    ]
    assert [e["what"] for e in shelf.events if e["kind"] == "proposal"][-1] == "stale"


def test_a_ready_one_of_an_earlier_release_is_over_also_where_the_disk_is_full(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking())
    shelf.consent(ADA, one)
    shelf.show_as_an_earlier_release(one)
    shelf.fill_disk()
    assert shelf.state(one) is ProposalState.STALE
    refused("PROPOSAL_CLOSED", lambda: shelf.proposals.start(one, beginning()))
    refused("PROPOSAL_CLOSED", lambda: shelf.proposals.ready(one))


def test_a_preview_that_an_earlier_release_gave_is_still_read(shelf: Shelf) -> None:
    shelf.journal.operations.begin(Beginning("op-1", "preview", "car", "ef" * 32))
    shelf.journal.operations.end("op-1", "done", result=OF_AN_EARLIER_RELEASE)
    (told,) = shelf.journal.operations.all()
    result: Any = told["result"]
    assert result["regions"][0]["place"] == {"memory": "flash", "start": 0x8000, "length": 0x4000}


def test_another_proposal_for_the_same_ecu_supersedes_it(shelf: Shelf) -> None:
    first, elsewhere = shelf.propose(ADA, asking()), shelf.propose(ADA, asking(job="other"))
    of_the_web = shelf.propose(WEB, asking())
    assert shelf.state(first) is ProposalState.OPEN, "the web takes nothing from an operator"
    last = shelf.propose(BEN, asking())
    states = [shelf.state(one) for one in (first, elsewhere, of_the_web, last)]
    assert states == ["superseded", "open", "superseded", "open"]


def test_a_car_that_came_twice_has_one_proposal(shelf: Shelf) -> None:
    """Of another job of the same ECU: its preview would not tell that the first one was written."""

    def shown(job: str, **more: str) -> Preview:
        return cast(Preview, {**preview(job), "vin": "VIN-1", **more})

    first = shelf.propose(ADA, asking(job="a"), shown("a"))
    gearbox = shelf.propose(ADA, asking(job="b"), shown("b", definition="dsg"))
    other = shelf.propose(ADA, asking(job="c"), shown("c", vin="VIN-2"))
    shelf.consent(BEN, first)
    shelf.propose(BEN, asking(job="d"), shown("d"))
    assert [shelf.state(one) for one in (first, gearbox, other)] == ["superseded", "open", "open"]


def test_only_so_many_wait(shelf: Shelf) -> None:
    for number in range(MOST_WAITING):
        shelf.propose(WEB, asking(job=f"car-{number}"))
    refused("PROPOSALS_FULL", lambda: shelf.propose(WEB, asking(job="one-more")))
    shelf.propose(WEB, asking(job="car-0"))


def test_a_full_disk_starts_nothing_and_loses_nothing(shelf: Shelf) -> None:
    one = shelf.propose(WEB, asking())
    big = "x" * 400
    shelf.fill_disk()
    for number in range(100):
        try:
            shelf.propose(ADA, asking(job=f"{number}", by=big))
        except PitboxError as error:
            assert error.code in {"STORAGE_FAILED", "PROPOSALS_FULL"}
            if error.code == "STORAGE_FAILED":
                break
            shelf.now += 1
    state = shelf.state(one)
    assert state is ProposalState.OPEN
    shelf.room()
    assert shelf.consent(ADA, one) is ProposalState.READY
    shelf.journal._db._sql.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON main.operation BEGIN SELECT raise(ABORT, 'full'); END"
    )
    with pytest.raises(PitboxError):
        shelf.proposals.start(one, beginning())
    assert shelf.state(one) is ProposalState.READY and not shelf.journal.operations.all()
    shelf.cut_power()
    assert shelf.proposals.start(one, beginning()).state is ProposalState.STARTED


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE proposal SET state='ready'",
        "UPDATE proposal SET expires_at=expires_at + 1",
        "UPDATE proposal SET needs='[\"web\"]'",
        "UPDATE proposal SET preview='{}'",
        "UPDATE consent SET digest='00'",
        "UPDATE consent SET withdrawn_at=NULL",
    ],
)
def test_what_was_changed_on_the_disk_is_never_started(shelf: Shelf, change: str) -> None:
    one = shelf.propose(WEB, asking("operator", "operator"))
    shelf.consent(ADA, one)
    shelf.consent(BEN, one)
    with acting(BEN):
        shelf.proposals.withdraw(one, None)
    shelf.journal.close()
    with sqlite3.connect(shelf.root / "0" / "journal.db") as sql:
        sql.execute(change)
    sql.close()
    shelf.cut_power()
    with pytest.raises(PitboxError):
        shelf.proposals.start(one, beginning())
    assert shelf.state(one) in (ProposalState.DAMAGED, ProposalState.OPEN)
    assert not shelf.journal.operations.all()


Rows = dict[str, list[tuple[Any, ...]]]
ASKED = ("proposal", "consent", "operation", "job", "flash", "flash_step", "read_chunk")


def rows_of(path: Path, tables: tuple[str, ...]) -> Rows:
    sql = sqlite3.connect(path)
    try:
        return {table: sql.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    finally:
        sql.close()


def put_back(path: Path, rows: Rows) -> None:
    """Each row as this box once wrote it, with the keyed hash that it had."""
    sql = sqlite3.connect(path)
    for table, them in rows.items():
        sql.execute(f"DELETE FROM {table}")
        for row in them:
            sql.execute(f"INSERT INTO {table} VALUES({','.join('?' * len(row))})", row)
    sql.commit()
    sql.close()


def end_it(shelf: Shelf, one: str, how: str) -> None:
    if how == "started":
        shelf.proposals.start(one, beginning())
        shelf.journal.operations.end("op-1", "done")
    elif how == "withdrawn":
        with acting(ADA):
            shelf.proposals.withdraw(one, None)
    elif how == "consent_withdrawn":
        with acting(BEN):
            shelf.proposals.withdraw(one, None)
    else:
        shelf.proposals.stale(one)


@pytest.mark.parametrize("how", ["started", "withdrawn", "consent_withdrawn", "stale"])
@pytest.mark.parametrize(
    ("tables", "lives"),
    [
        (("proposal",), False),
        (("proposal", "consent"), False),
        (("proposal", "consent", "meta"), False),
        (("proposal", "consent", "operation"), False),
        ((*ASKED, "meta"), False),
        ((), False),
        (("proposal",), True),
        (("proposal", "consent"), True),
        (("proposal", "consent", "operation"), True),
    ],
    ids=lambda value: "_".join(value) or "whole_file" if isinstance(value, tuple) else f"running={value}",
)
def test_a_row_that_was_put_back_starts_nothing_again(
    shelf: Shelf, how: str, tables: tuple[str, ...], lives: bool
) -> None:
    """What lay there an hour ago carries the box's keyed hash as well."""
    path = shelf.root / "0" / "journal.db"
    one = shelf.propose(ADA, asking("operator", "operator"))
    shelf.consent(ADA, one)
    shelf.consent(BEN, one)
    shelf.journal.close()
    before, whole = rows_of(path, tables), path.read_bytes()
    shelf.journal = shelf._opened()
    assert shelf.proposals.ready(one)
    end_it(shelf, one, how)
    if lives:
        put_back(path, before)
    else:
        shelf.journal.close()
        if tables:
            put_back(path, before)
        else:
            path.write_bytes(whole)
        shelf.cut_power()
        assert shelf.journal.differences
        assert not shelf.proposals.open()
    told = len(shelf.journal.operations.all())
    with pytest.raises(PitboxError):
        shelf.proposals.start(one, beginning(2))
    assert len(shelf.journal.operations.all()) == told
    shelf.cut_power()
    with pytest.raises(PitboxError):
        shelf.proposals.start(one, beginning(3))


def test_a_disk_that_kept_an_older_record_of_writes_as_well_starts_nothing_again(shelf: Shelf) -> None:
    """Row and both records of an hour ago, and the journal's own count of today."""
    home = shelf.root / "0"
    one = shelf.propose(ADA, asking("operator"))
    shelf.consent(BEN, one)
    before = rows_of(home / "journal.db", ("proposal", "operation"))
    records = {path: path.read_bytes() for path in home.glob("writes.[12]")}
    assert records
    end_it(shelf, one, "started")
    shelf.journal.close()
    put_back(home / "journal.db", before)
    for path, data in records.items():
        path.write_bytes(data)
    shelf.cut_power()
    with pytest.raises(PitboxError):
        shelf.proposals.start(one, beginning(2))
    assert shelf.state(one) is ProposalState.STALE


@pytest.mark.parametrize("table", ["job", "operation", "flash_step"])
def test_a_row_that_is_gone_is_told_once_and_the_box_goes_on(shelf: Shelf, table: str) -> None:
    shelf.journal.create_job("car")
    shelf.journal.operations.begin(beginning())
    with shelf.journal.events.change() as sql:
        add_step(sql, mac, 1.0, 1, Step.INTENT, None, None)
    shelf.journal.close()
    path = shelf.root / "0" / "journal.db"
    sql = sqlite3.connect(path)
    assert sql.execute(f"DELETE FROM {table} WHERE rowid = 1").rowcount == 1
    sql.commit()
    sql.close()
    shelf.cut_power()
    assert [one.key for one in shelf.journal.differences] == ["rows_put_back"]
    shelf.journal.create_job("new")
    shelf.cut_power()
    assert not shelf.journal.differences


class Life(RuleBasedStateMachine):
    """Whatever they do in whatever order: it is started once at most, by those whose consents are in."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.shelf = Shelf(Path(self._folder.name))
        self.needs: dict[str, tuple[str, ...]] = {}
        self.proposer: dict[str, Actor] = {}
        self.ends: dict[str, float] = {}
        self.given: dict[str, list[tuple[Actor, str]]] = {}
        self.over: dict[str, ProposalState] = {}
        self.starts: Counter[str] = Counter()
        self.full = False

    def teardown(self) -> None:
        self.shelf.journal.close()
        self._folder.cleanup()

    def _waiting(self) -> list[str]:
        return [one for one in self.needs if one not in self.over]

    def _try(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except PitboxError as error:
            assert error.what and error.do_now
            return False
        return True

    def _pass(self) -> None:
        for one in self._waiting():
            if self.shelf.now >= self.ends[one]:
                self.over[one] = ProposalState.EXPIRED

    @rule(
        actor=st.sampled_from(EVERYBODY),
        job=st.sampled_from(["a", "b"]),
        needs=st.lists(
            st.sampled_from(["other", "operator", "web", "other_or_operator", "kind:owner"]),
            min_size=1,
            max_size=3,
        ),
        expires_s=st.sampled_from([60, 120]),
    )
    def propose(self, actor: Actor, job: str, needs: list[str], expires_s: int) -> None:
        before = {told["id"] for told in self.shelf.proposals.all()}
        made = self._try(lambda: self.shelf.propose(actor, asking(*needs, job=job, expires_s=expires_s)))
        told = {one["id"]: one for one in self.shelf.proposals.all()}
        if not made:
            assert set(told) == before
            return
        (new,) = set(told) - before
        for one in self._waiting():
            if told[one]["state"] is ProposalState.SUPERSEDED:
                assert told[one]["job"] == job and (actor.role == "operator" or self.proposer[one] == actor)
                self.over[one] = ProposalState.SUPERSEDED
        self.needs[new], self.proposer[new], self.given[new] = tuple(needs), actor, []
        self.ends[new] = self.shelf.now + expires_s

    @precondition(lambda self: self.needs)
    @rule(
        data=st.data(),
        actor=st.sampled_from(EVERYBODY),
        by=st.sampled_from([None, "Kim"]),
        digest=st.sampled_from([SHOWN, SHOWN, SHOWN, OTHER]),
    )
    def consent(self, data: st.DataObject, actor: Actor, by: str | None, digest: str) -> None:
        one = data.draw(st.sampled_from(sorted(self.needs)))
        before = self.shelf.proposals.get(one).missing
        with acting(actor):
            given = self._try(lambda: self.shelf.proposals.consent(one, Consent(digest=digest, by=by)))
        after = self.shelf.proposals.get(one).missing
        if not given:
            assert after == before
            return
        assert digest == SHOWN and one not in self.over
        assert not (actor.role == self.proposer[one].role == "web")
        ((need, count),) = (Counter(before) - Counter(after)).items()
        assert count == 1
        if need in ("operator", "kind:owner"):
            assert actor.role == "operator"
        if need == "other":
            assert actor.uid != self.proposer[one].uid
        self.given[one].append((actor, need))

    @precondition(lambda self: self.needs)
    @rule(data=st.data(), actor=st.sampled_from(EVERYBODY))
    def withdraw(self, data: st.DataObject, actor: Actor) -> None:
        one = data.draw(st.sampled_from(sorted(self.needs)))
        with acting(actor):
            if not self._try(lambda: self.shelf.proposals.withdraw(one, None)):
                return
        assert one not in self.over
        mine = [given for given in self.given[one] if given[0] == actor]
        if actor != self.proposer[one] and mine:
            self.given[one] = [given for given in self.given[one] if given[0] != actor]
            return
        assert actor == self.proposer[one] or actor.role == "operator"
        self.over[one] = ProposalState.WITHDRAWN

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.needs)))
        number = sum(self.starts.values())
        if not self._try(lambda: self.shelf.proposals.start(one, beginning(number))):
            return
        self.starts[one] += 1
        assert one not in self.over
        assert Counter(need for _, need in self.given[one]) == Counter(self.needs[one])
        self.over[one] = ProposalState.STARTED

    @rule(seconds=st.sampled_from([1, 30, 60]))
    def time_passes(self, seconds: int) -> None:
        self.shelf.now += seconds
        self._pass()

    @rule()
    def power_cut(self) -> None:
        self.shelf.cut_power()
        self.full = False

    @rule()
    def disk(self) -> None:
        self.full = not self.full
        (self.shelf.fill_disk if self.full else self.shelf.room)()

    @invariant()
    def it_is_known_what_became_of_each(self) -> None:
        told = {one["id"]: one for one in self.shelf.proposals.all()}
        assert set(told) == set(self.needs), "none is lost"
        operations = Counter(one["id"] for one in self.shelf.journal.operations.all())
        assert len(operations) == sum(self.starts.values()) == len(+self.starts), "each once at most"
        for one, state in self.over.items():
            assert told[one]["state"] is state
        for one in self._waiting():
            assert told[one]["state"] in WAITING
            ready = Counter(need for _, need in self.given[one]) == Counter(self.needs[one])
            assert (told[one]["state"] is ProposalState.READY) == ready


Life.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_whatever_they_do_it_is_started_once_at_most = Life.TestCase
