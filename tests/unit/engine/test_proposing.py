"""A write that one proposes and another consents to: begun once, and only as it was shown."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.operations import Restore
from appliance.contract.proposals import Consent, Propose
from appliance.contract.proposals_told import ProposalState
from appliance.engine.operations.write import write
from appliance.engine.proposal_timer import REST_S, expire_in_time
from appliance.flashing.database import StorageError
from appliance.vault import durable
from appliance.vault.errors import VaultError
from tests.support.desk import OPERATOR, OTHER_OPERATOR, WEB, Desk
from tests.support.engine import Engine, five_answers, kill, place, running, simulated
from tests.support.garage import NOW_S, Garage, Readied, visit


def held(readied: Readied) -> list[Path]:
    return sorted((readied.state / "proposed").glob("*"))


def test_the_consent_that_completes_it_starts_it_once(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        told = await desk.propose_write(garage.package(), by="Kim")
        assert (told["state"], told["waits_for"], told["job"]) == ("open", ["other_or_operator"], garage.job)
        assert len(held(slave)) == 1 and garage.untouched
        garage.hand_in(b"PK\x03\x04 another file meanwhile")
        done = await desk.desk.consent(told["id"], Consent(digest=told["digest"], by="Ada"), OPERATOR)
        operation = await desk.over(done)
        assert operation["state"] == "done", operation["error"]
        assert operation["actor"] == {"role": "operator", "uid": 0}
        assert operation["result"]["verify"]["sha256"] == told["preview"]["target_sha256"]
        assert (await desk.desk.told(told["id"]))["state"] is ProposalState.STARTED
        assert not held(slave) and not garage.box.proposed
        with pytest.raises(PitboxError, match="PROPOSAL_CLOSED"):
            await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OTHER_OPERATOR)
        with pytest.raises(PitboxError, match="PROPOSAL_CLOSED"):
            await desk.desk.start(told["id"], OPERATOR)

    visit(slave, scene)


def test_two_who_consent_at_once_start_it_once(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        told = await desk.propose_restore()
        consent = Consent(digest=told["digest"])
        both = await asyncio.gather(
            *(desk.desk.consent(told["id"], consent, one) for one in (OPERATOR, OTHER_OPERATOR)),
            return_exceptions=True,
        )
        (started,) = [one for one in both if isinstance(one, dict)]
        (refused,) = [one for one in both if isinstance(one, PitboxError)]
        assert refused.code in {"PROPOSAL_CLOSED", "PROPOSAL_READY"}
        assert (await desk.over(started))["state"] == "done"
        assert len([one for one in await desk.operator.all() if one["verb"] == "restore"]) == 1

    visit(slave, scene)


def test_two_who_start_it_at_once_start_it_once(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        told = await desk.propose_restore()
        free = await desk.occupied()
        ready = await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OPERATOR)
        assert (ready["state"], ready["operation"]) == ("ready", None)
        assert "busy with read of job other" in str(ready["why"])
        free()
        both = await asyncio.gather(
            *(desk.desk.start(told["id"], OPERATOR) for _ in range(2)), return_exceptions=True
        )
        (started,) = [one for one in both if isinstance(one, dict)]
        assert (await desk.over(started))["state"] == "done"
        assert len([one for one in await desk.operator.all() if one["verb"] == "restore"]) == 1

    visit(slave, scene)


def test_a_box_that_dies_between_consent_and_start_starts_it_when_told_to(slave: Readied) -> None:
    async def consented(garage: Garage) -> str:
        desk = Desk(garage)
        told = await desk.propose_write(garage.package())
        await desk.occupied()
        await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OPERATOR)
        return told["id"]

    proposal = visit(slave, consented)
    assert len(held(slave)) == 1

    async def later(garage: Garage) -> None:
        desk = Desk(garage)
        (told,) = await desk.desk.all()
        assert (told["id"], told["state"]) == (proposal, "ready")
        assert garage.untouched, "nothing is started by itself"
        operation = await desk.over(await desk.desk.start(proposal, OPERATOR))
        assert operation["state"] == "done", operation["error"]
        assert not garage.untouched and not held(slave)
        with pytest.raises(PitboxError, match="PROPOSAL_CLOSED"):
            await desk.desk.start(proposal, OPERATOR)

    visit(slave, later)


def test_what_is_no_longer_as_it_was_shown_is_not_begun(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        told = await desk.propose_restore()
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        before = garage.car.ecu.memory.whole()
        operation = await desk.over(
            await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OPERATOR)
        )
        assert operation["state"] == "failed" and operation["error"] is not None
        assert operation["error"]["code"] == "NOT_WHAT_WAS_CONFIRMED"
        assert operation["error"]["ecu"] == "intact"
        assert garage.car.ecu.memory.whole() == before
        assert (await desk.desk.told(told["id"]))["state"] is ProposalState.STALE
        kept = next(one for one in await desk.operator.all() if one["id"] == operation["id"])
        assert kept["state"] == "failed", "who asked for it finds what became of it"

    visit(slave, scene)


def test_only_what_was_shown_and_passes_is_proposed(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        other = Restore(verb="restore", job=garage.job, confirmed="0" * 64)
        with pytest.raises(PitboxError, match="NOT_WHAT_WAS_CONFIRMED"):
            await desk.desk.propose(Propose(operation=other), WEB)
        with pytest.raises(PitboxError, match="GATES_WOULD_REFUSE") as error:
            await desk.propose_write(garage.package(job_id="another-job"))
        assert any(detail.startswith("signatures: ") for detail in error.value.details)
        assert not await desk.desk.all() and not held(slave)

    visit(slave, scene)


def test_a_file_in_the_clear_waits_sealed(master: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        whole = garage.whole(garage.calibration())
        told = await desk.propose_write(whole, OPERATOR)
        (file,) = held(master)
        assert whole[0x200:0x220] not in file.read_bytes() and file.stat().st_mode & 0o77 == 0
        await desk.desk.withdraw(told["id"], None, OPERATOR)
        assert not held(master), "nothing will become of it"

    visit(master, scene)


def test_a_full_disk_proposes_nothing_and_starts_nothing(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)

        def full(path: Path, data: bytes) -> None:
            raise VaultError("VAULT_DISK_FULL", path="/state")

        with monkeypatch.context() as patch:
            patch.setattr(durable, "write_atomic", full)
            with pytest.raises(VaultError):
                await desk.propose_write(garage.package())
        assert not await desk.desk.all() and not held(slave)
        told = await desk.propose_write(garage.package())

        def lost(*_: object) -> None:
            raise StorageError(Path("journal.db"), "database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(garage.box.journal.operations, "add", lost)
            operation = await desk.over(
                await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OPERATOR)
            )
        assert operation["state"] == "failed" and operation["error"] is not None
        assert operation["error"]["code"] == "STORAGE_FAILED"
        assert garage.untouched and not garage.box.proposed
        assert (await desk.desk.told(told["id"]))["state"] is ProposalState.READY
        assert (await desk.over(await desk.desk.start(told["id"], OPERATOR)))["state"] == "done"

    visit(slave, scene)


def test_a_held_file_that_rotted_is_not_written(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk = Desk(garage)
        told = await desk.propose_write(garage.package())
        (file,) = held(slave)
        file.write_bytes(file.read_bytes()[:-1])
        operation = await desk.over(
            await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OPERATOR)
        )
        assert operation["error"] is not None and operation["error"]["code"] == "VAULT_CANNOT_OPEN"
        assert garage.untouched

    visit(slave, scene)


def test_it_is_over_when_its_time_is_though_nobody_looks(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        desk, loop, box = Desk(garage), asyncio.get_running_loop(), garage.box
        began_s = loop.time()
        box.journal.proposals._now = lambda: NOW_S + loop.time() - began_s
        told = await desk.propose_write(garage.package(), expires_s=65)
        before = box.journal.events.head
        timer = asyncio.create_task(expire_in_time(box, desk.call))
        await asyncio.sleep(64.9)
        assert box.journal.events.head == before and held(slave)
        await asyncio.sleep(0.2)
        (event,) = box.journal.events.between(before, box.journal.events.head, 10)
        assert (event["id"], event["state"], event["actor"]["role"]) == (told["id"], "expired", "box")
        assert not held(slave), "nothing will become of its file"
        timer.cancel()

    visit(slave, scene)


def test_a_journal_that_fails_for_a_while_ends_no_timer(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        calls = 0

        async def failing(function: Callable[[], float]) -> float:
            nonlocal calls
            calls += 1
            raise StorageError(Path("journal.db"), "disk I/O error")

        timer = asyncio.create_task(expire_in_time(garage.box, failing))
        await asyncio.sleep(REST_S * 3 + 1)
        assert calls == 4 and not timer.done()
        timer.cancel()

    visit(slave, scene)


def proposal_events(engine: Engine) -> list[dict[str, Any]]:
    found, after, more = list[dict[str, Any]](), 0, True
    while more:
        page = engine.ask("GET", f"/v1/events?after={after}")[1]
        found += [event for event in page["events"] if event["kind"] == "proposal"]
        after, more = page["last"], page["more"]
    return found


def test_over_the_socket_it_outlives_the_engine() -> None:
    with place() as folder, running(folder) as engine:
        job = engine.read_job()
        shown = engine.perform("preview", of="restore", job=job)
        body = {"operation": {"verb": "restore", "job": job, "confirmed": shown["digest"]}}
        status, told = engine.ask("POST", "/v1/proposals", {**body, "by": "Kim"})
        assert (status, told["state"], told["preview"]) == (201, "open", shown)
        kill(engine)
        engine.start()
        assert engine.ask("GET", "/v1/proposals") == (200, [told])
        path = f"/v1/proposals/{told['id']}"
        status, error = engine.ask("POST", f"{path}/consents", {"digest": "0" * 64})
        assert (status, five_answers(error)["code"]) == (409, "CONSENT_TO_ANOTHER")
        status, started = engine.ask("POST", f"{path}/consents", {"digest": told["digest"]})
        assert status == 200 and engine.end(started["operation"])["state"] == "done"
        assert [event["what"] for event in proposal_events(engine)] == ["proposed", "consented", "started"]


def test_an_engine_that_dies_in_a_proposed_write_never_starts_it_again() -> None:
    with place() as folder:
        with running(folder) as first:
            job = first.read_job()
        dies = {"faults": [{"kind": "box_dies", "on": "erased", "at": 1}]}
        engine = simulated(folder, "--faults", json.dumps(dies)).start()
        content = bytearray(engine.memory())
        content[0x31000] ^= 0xFF
        upload = engine.hand_in(bytes(content))
        asked = {"job": job, "upload": upload, "correct_checksums": True}
        shown = engine.perform("preview", of="write", **asked)
        body = {"operation": {"verb": "write", **asked, "confirmed": shown["digest"]}}
        told = engine.ask("POST", "/v1/proposals", body)[1]
        path = f"/v1/proposals/{told['id']}"
        with suppress(http.client.HTTPException, OSError):  # it may die before it answers
            engine.ask("POST", f"{path}/consents", {"digest": told["digest"]})
        assert engine.wait() == -signal.SIGKILL
        with running(folder) as engine:
            now = engine.ask("GET", path)[1]
            assert now["state"] == "started"
            assert engine.ask("GET", f"/v1/operations/{now['operation']}")[1]["state"] == "interrupted"
            status, error = engine.ask("POST", f"{path}/start")
            assert (status, five_answers(error)["code"]) == (409, "PROPOSAL_CLOSED")
            (write,) = engine.ask("GET", "/v1/safety")[1]["open_writes"]
            assert (write["job"], write["half_written"]) == (job, True), "recovered as any other write"


def test_a_screen_puts_an_original_back_without_asking_anybody() -> None:
    """Decision 22: proposals are a way to have two agree, not a wall before the web."""
    with place() as folder, running(folder, "--web-uid", str(os.getuid())) as engine:
        job = engine.read_job()
        shown = engine.perform("preview", of="restore", job=job)
        done = engine.perform("restore", job=job, confirmed=shown["digest"])
        assert done["result"] == "restored"
        assert engine.ask("GET", "/v1/proposals")[1] == []


def test_over_the_socket_the_web_proposes_and_an_operator_consents() -> None:
    with place() as folder, running(folder, "--web-uid", str(os.getuid())) as engine:
        job = engine.read_job()
        shown = engine.perform("preview", of="restore", job=job)
        body: dict[str, Any] = {"operation": {"verb": "restore", "job": job, "confirmed": shown["digest"]}}
        told = engine.ask("POST", "/v1/proposals", body)[1]
        path = f"/v1/proposals/{told['id']}"
        assert [one["id"] for one in engine.ask("GET", "/v1/snapshot")[1]["proposals"]] == [told["id"]]
        for by in ("consents", "start"):
            status, error = engine.ask("POST", f"{path}/{by}", {"digest": told["digest"]})
            assert (status, five_answers(error)["code"]) in [(403, "CONSENT_REFUSED"), (403, "ROLE_REFUSED")]
        assert engine.ask("GET", path)[1]["state"] == "open"
        assert engine.ask("POST", f"{path}/withdraw", {})[1]["state"] == "withdrawn"
        assert engine.ask("GET", "/v1/snapshot")[1]["proposals"] == []
        kill(engine)
        sql = sqlite3.connect(engine.state / "journal.db")
        (verbs,) = sql.execute("SELECT group_concat(DISTINCT verb) FROM operation").fetchone()
        sql.close()
        assert "restore" not in verbs.split(",")
