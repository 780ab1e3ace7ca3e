"""What the engine keeps in memory before it is asked for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.engine import Engine, place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")

MOST_MB = 72.0
"""Of 10^6 bytes. Measured: 68.4; a flash of 4 MiB needs some 12 more, of the 80 that it may take."""
SPARED = (
    "ssl",
    "_ssl",
    "_hashlib",
    "simulator",
    "joserfc",
    "cryptography.x509",
    "frozenlist._frozenlist",
    "wrapt",
)
LIBRARIES = ("libssl", "libcrypto", "libstdc++")
_LOADED = """
import runpy, sys
sys.argv[1:] = ["--help"]
try:
    runpy.run_module("appliance.engine", run_name="__main__", alter_sys=True)
except SystemExit:
    print("|", *(name for name, module in sys.modules.items() if module is not None))
"""


def test_the_engine_loads_nothing_that_it_does_not_use() -> None:
    told = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True).stdout
    loaded = set(told.rpartition("|")[2].split())
    assert {"aiohttp.web", "appliance.engine.serving", "appliance.flashing.writing"} <= loaded
    assert [name for name in SPARED if name in loaded] == []


def test_an_engine_that_waits_stays_small() -> None:
    with place() as root:
        engine = Engine(root, "--can", "virtual:memory", "--voltmeter", "simulated:13.5")
        engine.start()
        try:
            status = Path(f"/proc/{engine.pid}/status").read_text(encoding="ascii")
            mapped = Path(f"/proc/{engine.pid}/maps").read_text(encoding="utf-8")
        finally:
            engine.stop()
    (most_kib,) = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M)
    assert int(most_kib) * 1024 / 1e6 < MOST_MB
    assert "_rust.abi3.so" in mapped
    assert [name for name in LIBRARIES if name in mapped] == []
