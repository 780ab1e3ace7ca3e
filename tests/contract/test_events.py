"""The shapes of live events: clients of other versions and the touchscreen parse them."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import pytest

from appliance.contract.actors import BOX, Actor, actor_of
from appliance.contract.checked import checked
from appliance.contract.entry_events import EntryOutcome, QuestionEvent, entry_event
from appliance.contract.errors import PitboxError
from appliance.contract.events import (
    AlarmEvent,
    DroppedEvent,
    Event,
    GatesEvent,
    NoteEvent,
    OperationEvent,
    Phase,
    ProgressEvent,
    Recorded,
    RegionChange,
    StateEvent,
    StepEvent,
)
from appliance.contract.events_told import AnyEvent
from appliance.contract.gates import GateVerdict, Verdict, found
from appliance.contract.phrases import phrase
from appliance.contract.places import Range
from appliance.contract.proposals import ProposalEvent
from appliance.contract.voltage import Voltage

ERROR = PitboxError("X", "silent", do_now="Wait.").as_dict()
SHAPES: list[tuple[Event, dict[str, object]]] = [
    (
        StateEvent("j", "flashing", "preflight"),
        {"kind": "state", "job_id": "j", "state": "flashing", "before": "preflight"},
    ),
    (
        StepEvent("j", 1, "programmed", "flash", 0x4000, None),
        {
            "kind": "step",
            "job_id": "j",
            "write": 1,
            "step": "programmed",
            "memory": "flash",
            "block_start": 0x4000,
            "detail": None,
        },
    ),
    (
        OperationEvent("j", "op", "read", "failed", "ab", {**ERROR}),
        {
            "kind": "operation",
            "job_id": "j",
            "id": "op",
            "verb": "read",
            "state": "failed",
            "parameters_sha256": "ab",
            "error": ERROR,
        },
    ),
    (
        DroppedEvent(None, 100, 250, 1.5),
        {"kind": "dropped", "job_id": None, "events": 100, "through_seq": 250, "through_at": 1.5},
    ),
    (
        ProgressEvent("j", Phase.READ_1, 10, 20, 5.0, 0.97, 2.0, Voltage(13.5, 0.1, "ina226")),
        {
            "kind": "progress",
            "job_id": "j",
            "phase": "read_1",
            "done_bytes": 10,
            "total_bytes": 20,
            "bytes_per_s": 5.0,
            "wire_share": 0.97,
            "eta_s": 2.0,
            "voltage": {"volts": 13.5, "age_s": 0.1, "source": "ina226"},
            "wire_bytes": None,
        },
    ),
    (
        entry_event("j", "bench", EntryOutcome.DONE, phrase("step.ignition_off"), 1),
        {
            "kind": "entry",
            "job_id": "j",
            "access": "bench",
            "outcome": "done",
            "what": "ignition off",
            "key": "step.ignition_off",
            "fields": {},
            "step": 1,
        },
    ),
    (
        ProposalEvent("j", "p", "restore", "consented", "ready", "ab", (), "Kim"),
        {
            "kind": "proposal",
            "job_id": "j",
            "id": "p",
            "verb": "restore",
            "what": "consented",
            "state": "ready",
            "digest": "ab",
            "waits_for": [],
            "by": "Kim",
            "operation": None,
            "why": None,
        },
    ),
    (
        QuestionEvent("j", "q", "strap_set", "Is the strap set?", ("yes", "no"), 1.0, 60.0),
        {
            "kind": "question",
            "job_id": "j",
            "id": "q",
            "key": "strap_set",
            "text": "Is the strap set?",
            "choices": ["yes", "no"],
            "asked_at": 1.0,
            "deadline_s": 60.0,
            "state": "open",
            "answer": None,
            "by": None,
            "answered_at": None,
            "who": "at_the_box",
            "fields": {},
        },
    ),
    (
        NoteEvent(None, "trying_again", {"error": "silent"}),
        {
            "kind": "note",
            "job_id": None,
            "key": "trying_again",
            "fields": {"error": "silent"},
            "text": "silent: trying again",
        },
    ),
    (
        AlarmEvent("j", "LINES_NOT_SAFE", "lines_not_safe", True, {"problems": ("stuck", "hot")}),
        {
            "kind": "alarm",
            "job_id": "j",
            "code": "LINES_NOT_SAFE",
            "key": "lines_not_safe",
            "fields": {"problems": ["stuck", "hot"]},
            "text": "Take the controller off the bench by hand: stuck, hot",
            "raised": True,
        },
    ),
    (
        GatesEvent(
            "j",
            (GateVerdict("length", Verdict.PASS, (found("length_right", bytes=7),), "As long?"),),
            (
                RegionChange(
                    "cal",
                    "calibration",
                    Range("flash", 0, 16),
                    3,
                    (Range("flash", 4, 2), Range("flash", 15, 1)),
                    2,
                ),
            ),
        ),
        {
            "kind": "gates",
            "job_id": "j",
            "gates": [
                {
                    "name": "length",
                    "verdict": "pass",
                    "findings": [{"key": "length_right", "fields": {"bytes": 7}, "text": "7 bytes"}],
                    "question": "As long?",
                    "waiver": None,
                    "detail": "7 bytes",
                }
            ],
            "changes": [
                {
                    "region": "cal",
                    "tag": "calibration",
                    "place": {"memory": "flash", "start": 0, "length": 16},
                    "changed_bytes": 3,
                    "ranges": [
                        {"memory": "flash", "start": 4, "length": 2},
                        {"memory": "flash", "start": 15, "length": 1},
                    ],
                    "ranges_total": 2,
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("event", "shape"), SHAPES, ids=lambda one: type(one).__name__)
def test_the_shape_of_an_event(event: Event, shape: dict[str, object]) -> None:
    assert json.loads(json.dumps(event.as_dict())) == shape


def test_a_recorded_event_says_when_in_which_order_and_who_asked() -> None:
    told = Recorded(7, 1.5, Actor("operator", 1000), NoteEvent("j", "dtcs_untold")).as_dict()
    assert json.loads(json.dumps(told)) == {
        "seq": 7,
        "at": 1.5,
        "actor": {"role": "operator", "uid": 1000},
        "kind": "note",
        "job_id": "j",
        "key": "dtcs_untold",
        "fields": {},
        "text": "Fault codes were not read: no answer in time",
    }


@pytest.mark.parametrize("actor", [BOX, Actor("operator", 0), Actor("web", 33)])
def test_an_actor_is_known_by_its_text(actor: Actor) -> None:
    assert actor_of(str(actor)) == actor


def test_every_kind_of_event_has_its_shape_above() -> None:
    kinds = {kind.__name__ for kind in Event.__subclasses__()}
    assert {type(event).__name__ for event, _ in SHAPES} == kinds


KINDS: dict[str, Any] = {get_args(get_type_hints(kind)["kind"])[0]: kind for kind in get_args(AnyEvent)}


@pytest.mark.parametrize("event", [event for event, _ in SHAPES], ids=lambda one: type(one).__name__)
def test_an_event_is_told_as_its_type_says(event: Event) -> None:
    told = json.loads(json.dumps(Recorded(7, 1.5, BOX, event).as_dict()))
    assert checked(KINDS[told["kind"]], told) == told
    assert set(told) <= set(get_type_hints(KINDS[told["kind"]])), "and nothing that it does not say"


def test_every_kind_of_event_has_a_type_it_is_told_in() -> None:
    kinds = {event.as_dict()["kind"] for event, _ in SHAPES}
    assert kinds == set(KINDS) - {"damaged"}
