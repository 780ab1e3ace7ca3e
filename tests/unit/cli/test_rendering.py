"""What is painted: progress, gates, errors, fault codes, identities."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli.exits import Exit, exit_of
from appliance.cli.meter import Meter, progress_line
from appliance.cli.verbs.checking import dtc_lines
from appliance.cli.verbs.reading import identify_lines, read_lines
from appliance.cli.words import SAFETY, error_lines, gate_lines
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import Phase, ProgressEvent


def event(done: int, phase: Phase = Phase.WRITE, total: int = 1000) -> dict[str, Any]:
    return ProgressEvent("j", phase, done, total, 27_500.0, 0.941, 75.0, 13.52).as_dict()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_painted_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    meter = Meter(stream)
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
    meter = Meter(stream)
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
        Meter(stream).show(event(500))
    assert len(stream.getvalue().strip("\r").removesuffix("\x1b[K")) < columns


def test_a_pipe_gets_a_plain_line_now_and_then() -> None:
    stream = io.StringIO()
    meter = Meter(stream)
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
    shown = ProgressEvent("j", phase, done, total, rate, share, eta_s, voltage_v).as_dict()
    line = progress_line(shown, bar=True)
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
        f"  Log:    {log or 'journalctl -u pitbox-engine'}",
    ]
    assert exit_of(error) is not Exit.DONE
    if ecu in (EcuSafety.HALF_WRITTEN, EcuSafety.UNKNOWN):
        assert exit_of(error) is not Exit.REFUSED


def test_only_a_pass_has_a_tick() -> None:
    gates = [{"name": "a_b", "verdict": word, "detail": "d"} for word in ("pass", "fail", "unknown", "odd")]
    assert list(gate_lines(gates)) == ["  ✔ a b  d", "  ✘ a b  d", "  ✘ a b  unknown: d", "  ✘ a b  odd: d"]


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
    ]
    assert list(dtc_lines({"dtcs": [], "before": [], "cleared": None, "new": []})) == [
        "✔ No fault codes stored."
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
        "rituals": [{"when": "before_read", "text": "Ignition on."}],
        "others": ["pbx-t300: T"],
    }
    told = "\n".join(identify_lines(found))
    assert "Hardware:           H1" in told
    assert "Software" not in told
    assert "Calibration id:     A, B" in told
    assert "Method: bench. It is safer." in told
    assert "Protection: security gateway. Use the official access." in told
    assert "Before read: Ignition on." in told
    assert "Also on the bus: pbx-t300: T" in told


def test_voted_pieces_and_partial_reads_are_named() -> None:
    one = {"sha256": "ab" * 32, "bytes": 100, "seconds": 1.0, "voted_blocks": 0}
    result = {"reads": [one, one | {"voted_blocks": 3}], "sealed": [], "full": False, "file": "f"}
    told = "\n".join(read_lines(result | {"read_efficiency": None}))
    assert "3 pieces differed and were settled by a third read" in told
    assert "partial read (not an original)" in told
