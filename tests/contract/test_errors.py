"""The error dictionary is what every client parses: five answers, and back again unharmed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.checked import checked
from appliance.contract.errors import EcuSafety, EngineError, ErrorTold, PitboxError
from appliance.contract.phrases import named, phrase


def _error(code: str, what: str, ecu: EcuSafety, **more: Any) -> PitboxError:
    error = PitboxError(code, what, **more)
    error.ecu = ecu
    return error


_errors = st.builds(
    _error,
    st.from_regex(r"[A-Z][A-Z_0-9]{0,40}", fullmatch=True),
    st.text(max_size=200),
    st.sampled_from(EcuSafety),
    do_now=st.text(max_size=200),
    log=st.none() | st.text(min_size=1, max_size=80),
    details=st.lists(st.text(max_size=80), max_size=5).map(tuple),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("code", "what", "ecu", "do_now", "log", "details", "key", "fields", "advice", "points")


@given(_errors)
def test_an_error_survives_its_journey_as_json(error: PitboxError) -> None:
    carried = PitboxError.from_dict(json.loads(json.dumps(error.as_dict())))
    assert carried.as_dict() == error.as_dict()
    assert tuple(error.as_dict()) == FIELDS


@given(st.dictionaries(st.sampled_from([*FIELDS, "future"]), _json))
def test_whatever_an_engine_of_another_version_says_becomes_an_error(data: dict[str, object]) -> None:
    error = PitboxError.from_dict(data)
    assert error.ecu in EcuSafety
    if data.get("ecu") not in list(EcuSafety):
        assert error.ecu is EcuSafety.UNKNOWN, "a word this client does not know is never taken for safe"


def test_an_error_with_keys_survives_its_journey_too() -> None:
    missing = named(["0x40 of flash"])
    why = phrase("package.member_missing", member="a\x1b[2J")
    for error in (
        EngineError("VAULT_IMAGE_INCOMPLETE", file="f", points=missing),
        EngineError("VAULT_PACKAGE_INVALID", why=why),
        EngineError("VAULT_EXPORT_MEMORIES", memories=("flash", "eeprom")),
    ):
        error.advise(phrase("advice.read_again"))
        told = json.loads(json.dumps(error.as_dict()))
        assert checked(ErrorTold, told) == told
        assert PitboxError.from_dict(told).as_dict() == error.as_dict()
        old = {name: told[name] for name in ("code", "what", "ecu", "do_now", "log", "details")}
        assert PitboxError.from_dict(old).as_dict() == {
            **old,
            "key": "",
            "fields": {},
            "advice": [{"key": "", "fields": {}, "text": told["do_now"]}],
            "points": [{"key": "", "fields": {}, "text": line} for line in told["details"]],
        }


def test_foreign_text_moves_no_cursor() -> None:
    error = EngineError("VAULT_DISK_FAILED", path="/x", technical_text="gone\x1b[2J")
    assert "\x1b" not in error.what and error.fields["technical_text"] == "gone\\x1b[2J"


@pytest.mark.parametrize("fields", [{}, {"path": "/x", "more": "y"}])
def test_an_error_is_raised_with_its_own_fields_alone(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="VAULT_DISK_FULL"):
        EngineError("VAULT_DISK_FULL", **fields)
    with pytest.raises(ValueError, match="no words"):
        EngineError("VAULT_UNHEARD_OF")


def test_what_was_caught_is_said_within_something_else_with_its_key() -> None:
    inner = EngineError("VAULT_DISK_FULL", path="/x")
    told = phrase("entry.failed", code=inner.code, problem=inner.said).as_dict()
    assert told["text"] == "VAULT_DISK_FULL: the disk is full: /x"
    assert told["fields"]["problem"] == {
        "key": "VAULT_DISK_FULL",
        "fields": {"path": "/x"},
        "text": "the disk is full: /x",
    }


def test_whoever_raises_an_error_says_nothing_of_the_ecu() -> None:
    assert PitboxError("X", "what", do_now="now").ecu is EcuSafety.UNKNOWN


def test_the_words_for_the_ecus_safety_do_not_change() -> None:
    assert {one.value for one in EcuSafety} == {"untouched", "intact", "half_written", "unknown"}
