"""A request of every verb, and a result of every verb in the form it promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from appliance.contract.operations import Operation, OperationClass
from appliance.contract.report import Report
from appliance.engine.operations.registry import PREVIEWS, VERBS, Verb, prepare
from appliance.engine.report import report_of
from appliance.vault.keys import Role
from tests.support.garage import Garage, Readied, ready, visit

REQUEST: TypeAdapter[Any] = TypeAdapter(Operation)


def _fits(kind: Any, told: object) -> None:
    """Raises AssertionError unless the JSON form has all keys of the type, and no other."""
    crossed = json.loads(json.dumps(told))
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    assert adapter.dump_python(adapter.validate_python(crossed), mode="json") == crossed


@pytest.fixture(scope="module")
def readied(tmp_path_factory: pytest.TempPathFactory) -> Readied:
    return ready(tmp_path_factory.mktemp("box") / "state", Role.MASTER)


def _asked(verb: str, job: str) -> dict[str, object]:
    """Parameters with which a verb comes to its end on a car that was read."""
    more: dict[str, dict[str, object]] = {"write": {"upload": "file"}, "identify": {}}
    return more.get(verb, {"job": job}) | ({"job": job} if verb == "write" else {})


@pytest.mark.parametrize("verb", ["identify", "read", "restore", "verify", "dtc", "write"])
def test_a_verb_gives_the_result_that_it_promises(readied: Readied, verb: str, tmp_path: Path) -> None:
    async def scene(garage: Garage) -> None:
        garage.hand_in(garage.package())
        told = await prepare(verb, _asked(verb, garage.job))(garage.box)
        _fits(VERBS[verb].result, told)
        _fits(Report, report_of(garage.box.journal, str(told["job"]), garage.definition))

    visit(readied.copy(tmp_path / "state"), scene)


@pytest.mark.parametrize("verb", ["write", "restore"])
def test_a_preview_gives_the_result_that_it_promises(readied: Readied, verb: str, tmp_path: Path) -> None:
    async def scene(garage: Garage) -> None:
        garage.hand_in(garage.package())
        told = await prepare("preview", {**_asked(verb, garage.job), "of": verb})(garage.box)
        _fits(PREVIEWS[verb].result, told)

    visit(readied.copy(tmp_path / "state"), scene)


@pytest.mark.parametrize("of", [*VERBS.values(), *PREVIEWS.values()])
def test_every_verb_is_a_request_of_the_contract(of: Verb) -> None:
    fields = of.request.model_fields
    asked: dict[str, object] = {
        key: fields[key].annotation.__args__[0]  # type: ignore[union-attr]
        for key in ("verb", "of")
        if key in fields
    }
    given = {"job": "j", "upload": "u", "by": "A Person", "reason": "because"}
    asked |= {key: value for key, value in given.items() if key in fields}
    assert type(REQUEST.validate_python(asked)) is of.request
    with pytest.raises(ValidationError):
        REQUEST.validate_python({**asked, "unheard": 1})


def test_what_writes_has_the_ecu_to_itself() -> None:
    for verb in ("write", "restore", "recover"):
        assert VERBS[verb].kind is OperationClass.EXCLUSIVE
    assert {one.kind for one in PREVIEWS.values()} == {OperationClass.HARMLESS}
