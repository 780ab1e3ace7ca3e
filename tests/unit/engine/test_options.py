"""Options of the engine and of the simulator that would have no effect are wrong usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.engine.options import parse
from appliance.engine.program import main

CAN = ["--can", "socketcan:can0"]
SIMULATE = ["--simulate", "pbx-e400"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([*SIMULATE, *CAN], "--can"),
        ([*SIMULATE, "--voltmeter", "ina226:/dev/i2c-1:0x40"], "--voltmeter"),
        ([*CAN, "--seed", "1"], "--seed"),
        ([*CAN, "--car-data", "car"], "--car-data"),
        ([*CAN, "--pace", "1"], "--pace"),
        ([*CAN, "--faults", "{}"], "--faults"),
        ([*CAN, "--bench"], "--bench"),
        (["--voltmeter", "simulated:13.5"], "--voltmeter"),
        ([*SIMULATE, "--pins", "rpi:reset=27"], "--pins"),
        (["--pins", "rpi:reset=27"], "--pins"),
        ([*SIMULATE, "--kline", "serial:/dev/ttyAMA3"], "--kline"),
        ([*CAN, "--kline", "ttyAMA3"], "serial:DEVICE"),
        ([*CAN, "--pins", "rpi:rset=27"], "no definition drives rset"),
        (["--can", "can0"], "INTERFACE:CHANNEL"),
        (["--can", "socketcan:"], "INTERFACE:CHANNEL"),
    ],
)
def test_an_option_without_an_effect_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_each_option_has_its_effect_where_it_belongs() -> None:
    simulated = parse(
        [*SIMULATE, "--seed", "7", "--car-data", "car", "--pace", "2", "--faults", "{}"]
    ).simulation
    assert simulated is not None
    assert (simulated.seed, simulated.data_dir, simulated.pace) == (7, Path("car"), 2.0)
    plain = parse(SIMULATE).simulation
    assert plain is not None and (plain.seed, plain.bench) == (1, False)
    assert parse([*SIMULATE, "--bench"]).simulation.bench  # type: ignore[union-attr]
    real = parse([*CAN, "--voltmeter", "simulated:13.5"])
    assert (real.can, real.voltmeter, real.simulation) == ("socketcan:can0", "simulated:13.5", None)
    assert parse([*CAN, "--pins", "rpi:reset=27,supply=22"]).pins == "rpi:reset=27,supply=22"
    assert parse([*CAN, "--kline", "serial:/dev/ttyAMA3"]).kline == "serial:/dev/ttyAMA3"
    alone = parse(["--kline", "terminal:/dev/pts/7"])
    assert (alone.can, alone.kline) == (None, "terminal:/dev/pts/7")


@pytest.mark.parametrize("image", ["/dev/zero", "old"])
def test_a_simulated_ecus_image_has_an_end_and_an_effect(tmp_path: Path, image: str) -> None:
    (tmp_path / "old").write_bytes(bytes(16))
    if image == "old":
        (tmp_path / "pbx-x050.flash").write_bytes(bytes(16))
    command = [sys.executable, "-m", "simulator", "--definition", "pbx-x050", "--bus", "virtual:options"]
    command += ["--data-dir", str(tmp_path), "--image", str(tmp_path / image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert ("no regular file" if image == "/dev/zero" else "is for a new ECU") in done.stderr


def test_an_unknown_simulated_ecu_leaves_no_state_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "box"
    assert main(["--simulate", "nosuch", "--state", str(state), "--socket", str(tmp_path / "s")]) == 1
    assert not state.exists()
    shown = capsys.readouterr().err
    assert "DEFINITION_UNKNOWN" in shown and str(state) not in shown


def test_a_state_directory_that_cannot_be_used_names_no_log_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    assert main(["--state", str(blocked / "box"), "--socket", str(tmp_path / "s")]) == 1
    shown = capsys.readouterr().err
    assert "STATE_UNUSABLE" in shown and "engine.log" not in shown
