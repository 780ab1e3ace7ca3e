"""`pitbox demo`: the whole job with the real engine, for every definition, power cut included."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KEYS = (
    "result definition evidence identity method reads sealed gates blocks verify dtcs voltage wire "
    "interruptions seconds"
)
RECOVERABLE = ("pbx-e400", "pbx-s18", "pbx-fd20", "pbx-t300")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OF_THIS_MACHINE = ("disk", "temperature")

pytestmark = pytest.mark.timeout(300)


def demo(
    folder: Path, *options: str, hash_seed: str = "random"
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run it; what it printed, and its report."""
    file = folder / "report.json"
    command = [sys.executable, "-m", "appliance.cli.main", "demo", "--json", str(file), *options]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=environment)
    return done, json.loads(file.read_text())


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what no seed decides: where sealed files lie, hashes, ids, free disk, the date."""
    gates = [
        gate
        | {
            "detail": "" if gate["name"] in OF_THIS_MACHINE else UUID.sub("ID", gate["detail"]),
            "findings": [one["key"] for one in gate["findings"]],
        }
        for gate in report["gates"]
    ]
    voltage = report["voltage"] | {"min_at": None, "max_at": None}
    return report | {"sealed": len(report["sealed"]), "gates": gates, "voltage": voltage}


@pytest.mark.slow
@pytest.mark.parametrize("definition", RECOVERABLE)
def test_a_write_survives_the_power_cut(definition: str, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    done, report = demo(tmp_path, "--definition", definition, "--keep", str(keep))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(report) == KEYS.split()
    assert (report["result"], report["definition"], report["evidence"]) == ("done", definition, "simulated")
    first, second = report["reads"]
    assert first["sha256"] == second["sha256"]
    assert all(Path(one["path"]).is_file() for one in report["sealed"])
    verdicts = {gate["name"]: gate["verdict"] for gate in report["gates"]}
    verdicts.pop("temperature")  # not applicable to a machine without a sensor
    assert set(verdicts.values()) == {"pass"}
    blocks = report["blocks"]
    assert 0 < blocks["written"] <= blocks["total"] == blocks["written"] + blocks["skipped"]
    assert report["verify"]["result"] == "pass"
    assert report["verify"]["sha256"] != first["sha256"]
    assert report["verify"]["blocks"] > blocks["total"] - blocks["skipped"]
    assert [one["resumed"] for one in report["interruptions"]] == [True]
    assert report["dtcs"]["before"]
    assert report["dtcs"]["after"] == []
    assert 12.0 <= report["voltage"]["min_v"] <= report["voltage"]["max_v"] <= 14.8
    assert report["wire"]["read_efficiency"] >= 0.95
    assert report["wire"]["write_efficiency"] > 0
    assert report["identity"]["vin"]
    assert "Do not start the engine. Nothing is lost." in done.stdout
    assert not _plaintext_lies_in(keep / "box")


@pytest.mark.slow
def test_a_write_over_the_k_line_survives_the_power_cut(tmp_path: Path) -> None:
    done, report = demo(tmp_path, "--scenario", "kline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report["result"], report["definition"], report["evidence"]) == ("done", "pbx-k7", "simulated")
    first, second = report["reads"]
    assert first["sha256"] == second["sha256"] != report["verify"]["sha256"]
    assert report["verify"]["result"] == "pass"
    assert [one["resumed"] for one in report["interruptions"]] == [True]
    assert report["dtcs"]["before"] == ["P0123"]
    assert report["dtcs"]["after"] == []
    assert report["wire"]["read_efficiency"] >= 0.95


def _plaintext_lies_in(folder: Path) -> bool:
    """The synthetic images carry their software number in the clear; nothing that the box keeps may."""
    return any(
        re.search(rb"-SW-\d+ (cal|calibration|code|boot|asw1)\b", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    )


def test_the_simulated_car_does_hold_what_the_box_may_not(tmp_path: Path) -> None:
    demo(tmp_path, "--definition", "pbx-x050", "--no-cut", "--keep", str(tmp_path))
    assert _plaintext_lies_in(tmp_path / "car")
    assert not _plaintext_lies_in(tmp_path / "box")


def test_an_ecu_that_cannot_answer_needs_the_bench_and_says_so(tmp_path: Path) -> None:
    done, report = demo(tmp_path, "--definition", "pbx-x050", "--keep", str(tmp_path / "kept"))
    assert done.returncode == 4, done.stdout + done.stderr
    assert report["result"] == "needs_bench"
    assert report["verify"] is None
    assert report["blocks"]["written"] < report["blocks"]["total"]
    assert report["blocks"]["skipped"] is None
    assert report["interruptions"][0]["phase"] == "write"
    assert "HALF WRITTEN" in done.stdout
    assert "Code:   NEEDS_BENCH" in done.stdout
    log = re.search(r"Log: +(\S+)", done.stdout)
    assert log is not None
    assert Path(log[1]).is_file()


def test_an_ecu_that_was_lost_in_its_car_is_finished_on_the_bench(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    done, report = demo(tmp_path, "--scenario", "bench", "--keep", str(keep))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report["result"], report["definition"]) == ("done", "pbx-x050")
    assert report["verify"]["result"] == "pass"
    assert [one["resumed"] for one in report["interruptions"]] == [True]
    told = done.stdout
    in_the_car, on_the_bench = told.index("Code:   NEEDS_BENCH"), told.index("3.1 V at the probe")
    assert in_the_car < on_the_bench < told.index("safe: pins released, supply off")
    assert "--access bench" in told[:on_the_bench]
    assert done.stderr.count(" of the ECU to ") == 6 and "Connect pin 1 of the ECU to ground" in done.stderr
    assert told.index("Back into its car") < told.index("Verify once more")
    assert not _plaintext_lies_in(keep / "box")


def test_one_seed_gives_one_report(tmp_path: Path) -> None:
    seeded = ("--definition", "pbx-fd20", "--seed", "7")
    runs = [demo(tmp_path, *seeded, hash_seed=hash_seed)[1] for hash_seed in ("1", "2")]
    assert comparable(runs[0]) == comparable(runs[1])
    other = demo(tmp_path, "--definition", "pbx-fd20", "--seed", "8")[1]
    assert other["reads"][0]["sha256"] != runs[0]["reads"][0]["sha256"]
    assert other["verify"]["sha256"] != runs[0]["verify"]["sha256"]


def test_without_a_cut_nothing_is_interrupted(tmp_path: Path) -> None:
    done, report = demo(tmp_path, "--definition", "pbx-x050", "--no-cut")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (report["result"], report["interruptions"]) == ("done", [])
    assert "Dark" not in done.stdout


def test_an_unknown_definition_is_refused_before_there_is_a_job(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "appliance.cli.main", "demo", "--definition", "pbx-none"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 1
    assert "ENGINE_NOT_STARTED" in done.stderr
    assert "pbx-none" in done.stderr
