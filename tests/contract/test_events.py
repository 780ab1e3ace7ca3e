"""The shapes of live events: clients of other versions and the touchscreen parse them."""

from __future__ import annotations

import json

import pytest

from appliance.contract.events import (
    AlarmEvent,
    Event,
    GatesEvent,
    NoteEvent,
    Phase,
    ProgressEvent,
    RegionChange,
    StateEvent,
)
from appliance.contract.gates import GateVerdict, Verdict, found
from appliance.contract.places import Range

SHAPES: list[tuple[Event, dict[str, object]]] = [
    (StateEvent("j", "flashing"), {"kind": "state", "job_id": "j", "state": "flashing"}),
    (
        ProgressEvent("j", Phase.READ_1, 10, 20, 5.0, 0.97, 2.0, 13.5),
        {
            "kind": "progress",
            "job_id": "j",
            "phase": "read_1",
            "done_bytes": 10,
            "total_bytes": 20,
            "bytes_per_s": 5.0,
            "wire_share": 0.97,
            "eta_s": 2.0,
            "voltage_v": 13.5,
        },
    ),
    (NoteEvent(None, "retry"), {"kind": "note", "job_id": None, "text": "retry"}),
    (
        AlarmEvent("j", "POWER_OUT_OF_WINDOW", "low", True),
        {"kind": "alarm", "job_id": "j", "code": "POWER_OUT_OF_WINDOW", "text": "low", "raised": True},
    ),
    (
        GatesEvent(
            "j",
            (GateVerdict("length", Verdict.PASS, (found("length_right", bytes=7),), "As long?"),),
            (RegionChange("cal", "calibration", 16, 3, (Range("flash", 4, 2), Range("flash", 15, 1)), 2),),
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
                    "size_bytes": 16,
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


def test_every_kind_of_event_has_its_shape_above() -> None:
    kinds = {kind.__name__ for kind in Event.__subclasses__()}
    assert {type(event).__name__ for event, _ in SHAPES} == kinds
