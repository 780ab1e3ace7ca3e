"""write --propose, proposals, consent and withdraw, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.exits import Exit
from appliance.cli.main import main
from tests.unit.cli.fake_engine import JOB, PREVIEW, FakeEngine, operation

PROPOSAL = {
    "id": "a1b2c3d4e5f6",
    "verb": "write",
    "job": JOB["id"],
    "state": "open",
    "why": None,
    "digest": PREVIEW["digest"],
    "preview": PREVIEW,
    "proposer": {"role": "web", "uid": 33},
    "by": "Kim",
    "needs": ["other_or_operator"],
    "waits_for": ["other_or_operator"],
    "consents": [],
    "operation": None,
    "proposed_at": 0.0,
    "expires_at": 3600.0,
}
WRITTEN = {
    "job": JOB["id"],
    "result": "done",
    "blocks": {"total": 4, "written": 1, "skipped": 3},
    "verify": {"method": "hash", "blocks": 10, "result": "pass", "sha256": "cd" * 32, "unproven": []},
    "write_efficiency": None,
    "identity_after": {
        "hw": "H",
        "sw": "S",
        "boot": None,
        "serial": None,
        "vin": "V",
        "compared": ["vin"],
        "known_by": "vin",
    },
    "dtcs_after": [],
    "left_out": [],
    "rituals": [],
}
PLACE = f"/v1/proposals/{PROPOSAL['id']}"


def told(value: Any, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(value).encode()


def posted(engine: FakeEngine, path: str) -> list[Any]:
    return [body for asked, body in engine.asked if asked == f"POST {path}"]


@pytest.fixture
def tuned(tmp_path: Path) -> str:
    (tmp_path / "tuned.bin").write_bytes(b"tuned")
    return str(tmp_path / "tuned.bin")


def test_a_write_is_proposed_with_the_digest_of_what_was_shown(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], tuned: str
) -> None:
    engine.answers["/v1/proposals"] = told(PROPOSAL, 201)
    more = ["--needs", "operator,kind:owner", "--expires", "90", "--by", "Kim", "--engine-off"]
    assert main(["write", tuned, "--propose", *more]) == Exit.DONE
    (body,) = posted(engine, "/v1/proposals")
    asked = {"verb": "write", "job": JOB["id"], "upload": "up-1", "engine_off": True}
    assert body == {
        "operation": {**asked, "confirmed": PREVIEW["digest"]},
        "needs": ["operator", "kind:owner"],
        "expires_s": 5400,
        "by": "Kim",
    }
    out = capsys.readouterr().out
    assert f"Proposed as {PROPOSAL['id']}; nothing was started" in out
    assert "Waits for: other_or_operator" in out and "1,234 bytes change" in out
    assert not posted(engine, "/v1/operations")


@pytest.mark.parametrize("verb", ["restore", "recover"])
def test_what_goes_back_is_proposed_too(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    engine.jobs = [JOB | {"state": "interrupted" if verb == "recover" else "read_verified"}]
    engine.answers["/v1/proposals"] = told(PROPOSAL, 201)
    assert main([verb, "--propose", "--needs", "other", "--by", "Kim", "--car", "VIN1"]) == Exit.DONE
    assert engine.previews[0]["of"] == verb
    (body,) = posted(engine, "/v1/proposals")
    more = {"original": False, "more_erases": False} if verb == "recover" else {}
    asked = {"verb": verb, "job": JOB["id"], "car": "VIN1", **more}
    operation = {name: value for name, value in asked.items() if value is not False}
    shown = {name: value for name, value in body["operation"].items() if value is not False}
    assert shown == {**operation, "confirmed": PREVIEW["digest"]}
    assert (body["needs"], body["by"]) == (["other"], "Kim")
    assert "nothing was started" in capsys.readouterr().out
    assert not posted(engine, "/v1/operations")


@pytest.mark.parametrize("options", [["--needs", "web"], ["--expires", "5"], ["--propose", "--yes"]])
@pytest.mark.parametrize("verb", ["restore", "recover"])
def test_a_word_on_consents_alone_puts_nothing_back(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], verb: str, options: list[str]
) -> None:
    assert main([verb, *options]) == Exit.USAGE
    assert "OPTION_UNUSED" in capsys.readouterr().err
    assert not posted(engine, "/v1/operations") and not posted(engine, "/v1/proposals")


def test_who_waives_proposes_under_the_same_name(engine: FakeEngine) -> None:
    engine.answers["/v1/proposals"] = told(PROPOSAL, 201)
    word = ["--waive", "engine_off", "--by", "Kim", "--reason", "no program runs"]
    assert main(["restore", "--propose", *word]) == Exit.DONE
    (body,) = posted(engine, "/v1/proposals")
    waiver = {"gate": "engine_off", "by": "Kim", "reason": "no program runs"}
    assert body["operation"]["waivers"] == [waiver] and body["by"] == "Kim"


@pytest.mark.parametrize(
    "options", [["--needs", "web"], ["--by", "Kim"], ["--expires", "5"], ["--propose", "--yes"]]
)
def test_a_word_on_consents_alone_starts_nothing(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], tuned: str, options: list[str]
) -> None:
    assert main(["write", tuned, *options]) == Exit.USAGE
    assert "OPTION_UNUSED" in capsys.readouterr().err
    assert not posted(engine, "/v1/operations") and not posted(engine, "/v1/proposals")


def test_proposals_are_listed_with_what_they_wait_for(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"need": "operator", "actor": {"role": "operator", "uid": 0}, "by": None, "withdrawn_at": 1.0}
    given |= {"digest": PREVIEW["digest"], "at": 0.5}
    ready = PROPOSAL | {"state": "ready", "waits_for": [], "consents": [given], "by": None}
    damaged = PROPOSAL | {"state": "damaged", "verb": "", "job": None, "proposer": None, "why": "its record"}
    engine.answers["/v1/proposals"] = told([PROPOSAL, ready, damaged])
    assert main(["proposals"]) == Exit.DONE
    out = capsys.readouterr().out
    for part in (
        "a1b2c3d4e5f6  open  write of job 4a6f62000001",
        "Proposed by Kim (web, user 33), until ",
        "Waits for: other_or_operator. `pitbox consent a1b2c3d4e5f6` gives one.",
        "Consent (operator) of operator, user 0, withdrawn",
        "`pitbox consent a1b2c3d4e5f6 --start` starts it.",
        "a1b2c3d4e5f6  damaged",
        "Its record.",
    ):
        assert part in out
    engine.answers["/v1/proposals"] = told([])
    assert main(["proposals"]) == Exit.DONE
    assert "Nothing is proposed" in capsys.readouterr().out


def test_a_consent_is_to_what_is_shown_and_the_write_is_followed(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.answers["/v1/proposals"] = told([PROPOSAL])
    engine.answers[f"{PLACE}/consents"] = told(PROPOSAL | {"state": "started", "operation": "op-1"})
    engine.states = [operation("done", "write", result=WRITTEN)]
    assert main(["consent", "a1b2", "--by", "Ada"]) == Exit.REFUSED, "nobody said yes"
    assert not posted(engine, f"{PLACE}/consents")
    assert "1,234 bytes change" in capsys.readouterr().err
    assert main(["consent", "a1b2", "--by", "Ada", "--yes"]) == Exit.DONE
    assert posted(engine, f"{PLACE}/consents") == [{"digest": PREVIEW["digest"], "by": "Ada"}]
    assert "Done: every block is proven" in capsys.readouterr().out


def test_a_digest_that_is_given_is_the_one_that_is_consented_to(engine: FakeEngine) -> None:
    engine.answers["/v1/proposals"] = told([PROPOSAL])
    engine.answers[f"{PLACE}/consents"] = told(PROPOSAL | {"waits_for": ["kind:owner"]})
    assert main(["consent", "a1b2", "--digest", "0" * 64, "--need", "operator", "--yes"]) == Exit.DONE
    assert posted(engine, f"{PLACE}/consents") == [{"digest": "0" * 64, "need": "operator"}]


def test_what_has_every_consent_is_started_and_needs_no_other(engine: FakeEngine) -> None:
    engine.answers["/v1/proposals"] = told([PROPOSAL | {"state": "ready", "waits_for": []}])
    engine.answers[f"{PLACE}/start"] = told(PROPOSAL | {"state": "started", "operation": "op-1"})
    engine.states = [operation("done", "write", result=WRITTEN)]
    assert main(["consent", "a1b2", "--start", "--by", "Ada", "--yes"]) == Exit.USAGE
    assert main(["consent", "a1b2", "--start", "--yes"]) == Exit.DONE
    assert posted(engine, f"{PLACE}/start") == [{}]


def test_it_is_withdrawn(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answers["/v1/proposals"] = told([PROPOSAL])
    engine.answers[f"{PLACE}/withdraw"] = told(PROPOSAL | {"state": "withdrawn"})
    assert main(["withdraw", PROPOSAL["id"], "--by", "Kim"]) == Exit.DONE
    assert posted(engine, f"{PLACE}/withdraw") == [{"by": "Kim"}]
    assert "withdrawn" in capsys.readouterr().out


@pytest.mark.parametrize(("listed", "code"), [([], "UNKNOWN"), ([PROPOSAL] * 2, "AMBIGUOUS")])
def test_which_proposal_must_be_clear(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], listed: list[Any], code: str
) -> None:
    engine.answers["/v1/proposals"] = told(listed)
    assert main(["consent", "a1", "--yes"]) == Exit.REFUSED
    assert f"PROPOSAL_{code}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["consent", "", "--yes"],
        ["consent", "a1b2", "--digest", "", "--yes"],
        ["consent", "a1b2", "--digest=", "--yes"],
        ["consent", "a1b2", "--need", " ", "--yes"],
        ["withdraw", ""],
        ["recover", "--job", "", "--yes"],
    ],
)
def test_what_a_script_had_no_value_for_is_consented_to_by_nobody(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    engine.answers["/v1/proposals"] = told([PROPOSAL])
    engine.answers[f"{PLACE}/consents"] = told(PROPOSAL | {"waits_for": []})
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE
    assert "is empty" in capsys.readouterr().err
    assert not engine.asked


@pytest.mark.parametrize("minutes", ["0", "-5", "soon", "\u0663"])
def test_a_time_that_is_none_is_not_taken_for_the_usual_one(
    engine: FakeEngine, tuned: str, minutes: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["write", tuned, "--propose", f"--expires={minutes}"])
    assert ended.value.code == Exit.USAGE
    assert not engine.asked
