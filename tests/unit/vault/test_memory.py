from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.vault.memory import Hardening

CHILD = """
import ctypes, json, mmap, os, resource, sys
from dataclasses import asdict
from appliance.vault.memory import harden_process
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
if sys.argv[1] == "limited":
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)
untouched = mmap.mmap(-1, 256 << 20)
report = harden_process()
used = bytearray(b"x" * (16 << 20))
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "report": asdict(report),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "locked_kib": int(status["VmLck"].split()[0]),
    "resident_kib": int(status["VmRSS"].split()[0]),
}), flush=True)
if sys.argv[1] == "abort":
    os.abort()
"""


def harden_child(mode: str) -> tuple[dict[str, Any], int]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, mode], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    shown = child.stdout.read()
    child.stdout.close()
    _, status = os.waitpid(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return json.loads(shown), status


def test_core_limit_and_dumpable_flag_are_set_in_the_kernel() -> None:
    child, status = harden_child("run")
    assert status == 0
    assert (child["dumpable"], child["core"]) == (0, [0, 0])
    assert (child["report"]["not_dumpable"], child["report"]["no_core_file"]) == (True, True)


def test_a_crash_leaves_no_core() -> None:
    _, status = harden_child("abort")
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)


def test_the_lock_that_is_reported_is_the_one_the_kernel_holds() -> None:
    child, _ = harden_child("run")
    assert child["report"]["memory_locked"] is (child["locked_kib"] > 0)
    assert child["report"]["memory_locked"] is not any("not locked" in gap for gap in child["report"]["gaps"])


def test_locking_does_not_make_untouched_pages_resident() -> None:
    child, _ = harden_child("run")
    assert child["resident_kib"] < 80 * 1024


def test_without_the_right_to_lock_the_gap_is_named_and_the_process_goes_on() -> None:
    child, status = harden_child("limited")
    assert status == 0
    assert child["report"]["memory_locked"] is False
    assert child["locked_kib"] == 0
    assert any("LimitMEMLOCK" in gap for gap in child["report"]["gaps"])


def test_swap_is_reported_as_the_kernel_lists_it() -> None:
    child, _ = harden_child("run")
    assert child["report"]["swap_in_use"] is (len(Path("/proc/swaps").read_text().splitlines()) > 1)


@pytest.mark.parametrize(
    ("locked", "swap", "safe"), [(True, True, True), (False, False, True), (False, True, False)]
)
def test_plaintext_is_safe_from_swap_when_locked_or_without_swap(
    locked: bool, swap: bool, safe: bool
) -> None:
    report = Hardening(not_dumpable=True, no_core_file=True, memory_locked=False, swap_in_use=True, gaps=())
    assert replace(report, memory_locked=locked, swap_in_use=swap).swap_safe is safe
