"""What is painted: progress, gates, errors, fault codes, identities."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli.exits import Exit, exit_of
from appliance.cli.meter import Meter, progress_line
from appliance.cli.outlet import Outlet
from appliance.cli.problems import ENGINE_LOG
from appliance.cli.verbs.checking import dtc_lines
from appliance.cli.verbs.reading import identify_lines, read_lines
from appliance.cli.words import SAFETY, banner_lines, error_lines, gate_lines, share
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import Phase, ProgressEvent
from appliance.contract.voltage import Voltage


def event(done: int, phase: Phase = Phase.WRITE, total: int = 1000) -> dict[str, Any]:
    return ProgressEvent(
        "j", phase, done, total, 27_500.0, 0.941, 75.0, Voltage(13.52, 0.1, "ina226")
    ).as_dict()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_painted_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    meter = Meter(Outlet(stream))
    for done in (0, 500, 1000):
        meter.show(event(done))
    meter.clear()
    meter.clear()
    painted = stream.getvalue()
    assert painted.count("\r") == 3
    assert painted.count("\n") == 1
    assert "[████████████············]" in painted
    assert " 50 %  500 bytes of 1000 bytes  27.5 kB/s  94 % of the wire  1:15 left  13.5 V" in painted


def test_a_terminal_keeps_the_last_line_of_each_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    meter = Meter(Outlet(stream))
    for phase in (Phase.READ_1, Phase.READ_2, Phase.VERIFY):
        meter.show(event(1000, phase))
    meter.clear()
    lines = [line for line in stream.getvalue().split("\n") if line]
    assert [line.strip("\r").split("  ")[0].strip() for line in lines] == ["Read 1/2", "Read 2/2", "Verify"]


@given(st.integers(20, 200))
def test_a_narrow_terminal_is_never_wrapped(columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        Meter(Outlet(stream)).show(event(500))
    assert len(stream.getvalue().strip("\r").removesuffix("\x1b[K")) < columns


def test_a_pipe_gets_a_plain_line_now_and_then() -> None:
    stream = io.StringIO()
    meter = Meter(Outlet(stream))
    for done in range(1001):
        meter.show(event(done))
    meter.show(event(1000))
    for done in range(1001):
        meter.show(event(done, Phase.VERIFY))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 20
    assert "\r" not in stream.getvalue()
    assert lines[9].startswith("Write      100 %")
    assert lines[10].startswith("Verify      10 %")


@given(
    st.sampled_from(list(Phase)),
    st.integers(0, 1 << 30),
    st.integers(0, 1 << 30),
    st.floats(0, 1e7),
    st.none() | st.floats(0, 2),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(0, 60),
)
def test_any_progress_is_a_line(
    phase: Phase,
    done: int,
    total: int,
    rate: float,
    share: float | None,
    eta_s: float | None,
    voltage_v: float | None,
) -> None:
    voltage = None if voltage_v is None else Voltage(voltage_v, 0.1, "ina226")
    shown = ProgressEvent("j", phase, done, total, rate, share, eta_s, voltage).as_dict()
    line = progress_line(shown, 160)
    assert "\n" not in line
    shares = [int(part.split(" %")[0].strip()) for part in line.split("  ") if " %" in part]
    assert shares
    assert all(0 <= value <= 100 for value in shares)


@given(st.text(), st.text(), st.text(), st.sampled_from(EcuSafety), st.none() | st.text(min_size=1))
def test_any_error_gives_five_answers_and_never_success(
    code: str, what: str, do_now: str, ecu: EcuSafety, log: str | None
) -> None:
    error = PitboxError(code, what, do_now=do_now, log=log)
    error.ecu = ecu
    told = list(error_lines(error))
    assert told[0] == f"✘ {what}"
    assert told[1:] == [
        f"  ECU:    {SAFETY[ecu]}",
        f"  Do now: {do_now}",
        f"  Code:   {code}",
        f"  Log:    {log or ENGINE_LOG}",
    ]
    assert exit_of(error) is not Exit.DONE
    if ecu in (EcuSafety.HALF_WRITTEN, EcuSafety.UNKNOWN):
        assert exit_of(error) is not Exit.REFUSED


def test_only_a_pass_has_a_tick() -> None:
    gates = [{"name": "a_b", "verdict": word, "detail": "d"} for word in ("pass", "fail", "unknown", "odd")]
    failed = ["  ✘ a b  d", "  ✘ a b  unknown: d", "  ✘ a b  odd: d"]
    assert list(gate_lines(gates)) == ["  ✔ 1 of 4 passed: a b", *failed]
    assert list(gate_lines(gates, full=True)) == ["  ✔ a b  d", *failed]
    words = ("not_applicable", "waived", "pending")
    others = [{"name": "a", "verdict": word, "detail": "d"} for word in words]
    assert list(gate_lines(others)) == ["  – a  not applicable: d", "  ! a  waived: d", "  · a  pending: d"]


def test_new_and_cleared_fault_codes_are_marked() -> None:
    result = {
        "dtcs": [{"code": "P0100-00", "status": 0x2F}, {"code": "U0001-00", "status": 8}],
        "before": ["P0100-00", "P0999-00"],
        "cleared": False,
        "new": ["U0001-00"],
    }
    assert list(dtc_lines(result)) == [
        "⚠ The ECU did not clear its fault codes.",
        "  P0100-00  status 0x2F",
        "  U0001-00  status 0x08  NEW",
        "  Cleared: P0999-00",
        "Next: `pitbox report` tells the whole job.",
    ]
    assert list(dtc_lines({"dtcs": [], "before": [], "cleared": None, "new": []})) == [
        "✔ No fault codes stored.",
        "Next: `pitbox report` tells the whole job.",
    ]


def test_a_protected_ecu_is_told_with_its_advice() -> None:
    found = {
        "job": "j",
        "definition": "pbx",
        "name": "PBX",
        "evidence": "simulated",
        "identity": {"hw": "H1", "sw": None, "calid": ["A", "B"]},
        "protection": {"kind": "security_gateway", "advice": "Use the official access."},
        "method": {"recommended": "bench", "reason": "It is safer."},
        "rituals": [
            {"when": "before_read", "text": "Ignition on."},
            {"when": "before_write", "text": "Connect a support unit."},
        ],
        "others": ["pbx-t300: T"],
    }
    told = "\n".join(identify_lines(found))
    assert "Hardware:           H1" in told
    assert "Software" not in told
    assert "Calibration id:     A, B" in told
    assert "Method: bench. It is safer." in told
    assert "Protection: security gateway. Use the official access." in told
    assert "Before reading: Ignition on." in told
    assert "support unit" not in told, "what is due later is told later"
    assert "Also on the bus: pbx-t300: T" in told


def test_voted_pieces_and_partial_reads_are_named() -> None:
    one = {"sha256": "ab" * 32, "bytes": 100, "seconds": 1.0, "voted_blocks": 0}
    result = {"reads": [one, one | {"voted_blocks": 3}], "sealed": [], "full": False, "file": "f"}
    told = "\n".join(read_lines(result | {"read_efficiency": None}))
    assert "3 pieces differed and were settled by a third read" in told
    assert "partial read (not an original)" in told


@given(
    st.sampled_from(list(Phase)),
    st.integers(0, 1 << 30),
    st.integers(1, 1 << 30),
    st.floats(0, 1e7),
    st.none() | st.floats(0, 1),
    st.floats(1, 5990),
    st.floats(9, 16),
    st.integers(40, 200),
)
def test_time_left_and_voltage_stay_on_the_narrowest_line(
    phase: Phase,
    done: int,
    total: int,
    rate: float,
    share: float | None,
    eta_s: float,
    volts: float,
    columns: int,
) -> None:
    shown = ProgressEvent(
        "j", phase, done, total, rate, share, eta_s, Voltage(volts, 0.1, "ina226")
    ).as_dict()
    line = progress_line(shown, columns - 1)
    assert len(line) < columns
    assert line.endswith(f"{volts:.1f} V")
    assert (" left" in line) == (done < total)
    assert " %" in line
    assert "[" in line, "the bar shrinks before it goes"


def test_what_matters_least_goes_first() -> None:
    shown = event(500)
    lines = {width: progress_line(shown, width) for width in (40, 72, 160)}
    assert "kB/s" not in lines[40]
    assert "500 bytes of" in lines[72]
    assert "kB/s" not in lines[72]
    assert "of the wire" in lines[160]


def test_a_silent_phase_shows_that_the_box_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    meter = Meter(Outlet(stream))
    meter.beat(5.0)
    meter.show(event(500))
    meter.beat(10.0)
    first, second, third = stream.getvalue().replace("\n", "").split("\r")[1:]
    assert "Working, 0:05 without news" in first
    assert "1:15 left  13.5 V\x1b" in second
    assert "0:10 without news  13.5 V 0:10 ago" in third, "and so old is its voltage"


def test_a_pipe_hears_of_a_silent_phase_now_and_then() -> None:
    stream = io.StringIO()
    meter = Meter(Outlet(stream))
    meter.show(event(1000))
    for second in range(5, 65, 5):
        meter.beat(float(second))
    assert stream.getvalue().splitlines()[1:] == [
        "Write is still working: 0:30 without news",
        "Write is still working: 1:00 without news",
    ]


@pytest.mark.parametrize("value", [8.87, 1.01, -0.1])
def test_an_impossible_share_is_not_told(value: float) -> None:
    assert share(value) == "-"


def test_a_share_is_told_up_to_all() -> None:
    assert [share(value) for value in (None, 0.0, 0.954, 1.0, 1.004)] == [
        "-",
        "0 %",
        "95 %",
        "100 %",
        "100 %",
    ]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (
            {"state": "interrupted", "half_written": True},
            ["HALF WRITTEN: VIN V1 (job j1)", "--job j1 --original"],
        ),
        ({"state": "needs_bench", "half_written": True}, ["HALF WRITTEN", "the bench, then `pitbox recover"]),
        ({"state": "interrupted", "half_written": False}, ["before anything was erased", "recover --job j1"]),
        ({"state": "flashing", "half_written": True}, ["is being written now", "jobs --watch"]),
        ({"state": "interrupted", "half_written": True, "vin": None}, ["pbx, VIN not told"]),
    ],
)
def test_the_banner_names_car_and_way_on(write: dict[str, Any], words: list[str]) -> None:
    told = "\n".join(banner_lines([{"job": "j1", "vin": "V1", "definition": "pbx", **write}]))
    for word in words:
        assert word in told
