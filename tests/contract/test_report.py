"""The report's keys are a promise: issue trackers, the demo and the file service read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.engine.operations.write import write
from appliance.engine.report import report_of
from appliance.vault.keys import Role
from tests.support.garage import Garage, ready, visit

KEYS = {
    "result": None,
    "definition": None,
    "evidence": None,
    "identity": {"hw", "sw", "boot", "serial", "vin", "calid", "cvn", "bootloader_hw", "chip_id"},
    "method": None,
    "reads": {"sha256", "bytes", "seconds", "voted_blocks"},
    "sealed": {"path", "ct_sha256"},
    "gates": {"name", "verdict", "detail", "findings"},
    "blocks": {"total", "written", "skipped"},
    "verify": {"method", "blocks", "result", "sha256", "unproven"},
    "identity_after": {"hw", "sw", "boot", "serial", "vin", "chip_id", "compared", "known_by"},
    "car_confirmed": None,
    "waived": None,
    "settled": None,
    "set_aside": None,
    "earlier": None,
    "dtcs": {"before", "after"},
    "voltage": {"min_v", "max_v", "min_at", "max_at", "source"},
    "wire": {"read_efficiency", "write_efficiency", "bitrate"},
    "interruptions": {"phase", "at_byte", "resumed"},
    "seconds": None,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    async def scene(garage: Garage) -> dict[str, Any]:
        interruption = {"phase": "read_1", "at_byte": 1, "resumed": True}
        garage.box.journal.note(garage.job, read_interruptions=[interruption])
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        return report_of(garage.box.journal, garage.job, garage.definition)

    whole = visit(ready(tmp_path_factory.mktemp("box") / "state", Role.SLAVE), scene)
    return dict(json.loads(json.dumps(whole)))


def test_the_report_of_a_finished_job_has_every_key(report: dict[str, Any]) -> None:
    assert set(report) - {"job"} == set(KEYS)
    for key, inner in KEYS.items():
        if inner is not None:
            values = report[key] if isinstance(report[key], list) else [report[key]]
            assert values, key
            assert all(set(value) == inner for value in values), key


def test_what_a_finished_job_reports(report: dict[str, Any]) -> None:
    assert report["result"] == "done"
    assert report["evidence"] == "simulated"
    assert len(report["reads"]) == 2
    assert report["reads"][0]["sha256"] == report["reads"][1]["sha256"]
    verdicts = {gate["name"]: gate["verdict"] for gate in report["gates"]}
    verdicts.pop("temperature")  # not applicable to a machine without a sensor
    assert set(verdicts.values()) == {"pass"}
    assert report["blocks"]["written"] + report["blocks"]["skipped"] == report["blocks"]["total"]
    assert report["verify"]["result"] == "pass"
    assert 12 < report["voltage"]["min_v"] <= report["voltage"]["max_v"] < 15
    assert report["voltage"]["source"] == "simulated"
    assert 0.9 < report["wire"]["read_efficiency"] <= 1
    assert report["wire"]["bitrate"] == 500_000


def test_every_sealed_segment_is_where_the_report_says(report: dict[str, Any]) -> None:
    for one in report["sealed"]:
        path = Path(one["path"])
        assert path.is_file()
        assert path.name == f"{one['ct_sha256']}.age"
