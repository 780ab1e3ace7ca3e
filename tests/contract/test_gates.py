"""Verdicts of gates, and the catalogue their words come from."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import appliance.flashing.gates
from appliance.contract.catalogue import spelled
from appliance.contract.gate_texts import TEXTS
from appliance.contract.gates import GateVerdict, Verdict, Waiver, found

LETS_THROUGH = {"pass", "not_applicable", "waived"}
ROOM = Path(appliance.flashing.gates.__file__).parent
_HOUSE = ROOM.parents[1]
SAID_ELSEWHERE = (
    _HOUSE / "flashing" / "plausibility.py",
    _HOUSE / "flashing" / "own_checksums.py",
    _HOUSE / "checksums" / "judge.py",
    _HOUSE / "engine" / "tuned_package.py",
)
"""Who tells a gate what it then says."""
SAYING = {"found", "passed", "failed", "unknown", "passed_if"}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_lets_a_write_begin(verdict: Verdict) -> None:
    waiver = Waiver("A. Smith", "seen") if verdict is Verdict.WAIVED else None
    assert GateVerdict("gate", verdict, waiver=waiver).passed == (verdict.value in LETS_THROUGH)


@pytest.mark.parametrize("word", ["PASS", "", "ok", "true", "passed"])
def test_another_word_is_no_verdict(word: str) -> None:
    with pytest.raises(ValueError, match="not a valid Verdict"):
        GateVerdict("gate", word)  # type: ignore[arg-type]


def test_nothing_is_waived_by_nobody() -> None:
    with pytest.raises(ValueError, match="waiver"):
        GateVerdict("gate", Verdict.WAIVED)
    with pytest.raises(ValueError, match="waiver"):
        GateVerdict("gate", Verdict.FAIL, waiver=Waiver("A. Smith", "seen"))


def test_a_finding_has_its_own_fields_and_no_others() -> None:
    assert found("disk_room", free_mib=3, wanted_mib=4).text == "3 MiB free, 4 MiB wanted"
    assert found("consents_missing", missing=("a", "b")).text == "missing: a, b"
    assert found("papers_detail", problem="{name}").text == "{name}", "a file's text is no template"
    for key, fields in (("disk_room", {"free_mib": 3}), ("write_none", {"job": "j"}), ("nothing", {})):
        with pytest.raises(ValueError, match=key):
            spelled(TEXTS, key, fields)


def test_every_text_is_said_by_a_gate_and_every_key_has_one() -> None:
    keys: set[str] = set()
    for path in (*ROOM.glob("*.py"), *SAID_ELSEWHERE):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAYING:
                words = {one.value for one in node.args[:2] if isinstance(one, ast.Constant)}
                keys |= words & set(TEXTS)
    assert keys == set(TEXTS)
