"""What the engine keeps in memory before it is asked for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.client import EngineClient
from appliance.contract.told import OperationTold
from appliance.vault.keys import Role
from tests.support.engine import Engine, place
from tests.support.garage import Garage, ready, visit
from tests.unit.engine.test_buffers import every_sector_changed, read_e400

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")

MOST_MB = 71.0
"""Of 10^6 bytes. Measured: 68.7; a flash of 4 MiB needs some 12 more, of the 80 that it may take."""
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
PREVIEWED_MB, PACKAGED_MB, AFTERWARDS_MB = 86.0, 82.5, 73.0
"""Of a plain file of 4 MiB on a master-role box; measured: 84.5, 81.0 and 71.5. The aim is 80: what is
above it are file, original and content at once, beside the 68 of an engine that waits."""
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


def test_the_engine_keeps_no_table_of_files_types() -> None:
    asked = f"{_LOADED}\nprint('|', sys.modules['mimetypes'].knownfiles)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert told.rpartition("|")[2].split() == ["[]"]


def test_an_engine_that_waits_stays_small() -> None:
    with place() as root:
        engine = Engine(root, "--can", "virtual:memory", "--voltmeter", "simulated:13.5")
        engine.start()
        try:
            status = Path(f"/proc/{engine.pid}/status").read_text(encoding="ascii")
            mapped = Path(f"/proc/{engine.pid}/maps").read_text(encoding="utf-8")
        finally:
            engine.stop()
    assert resident_mb(status, "VmHWM") < MOST_MB
    assert "_rust.abi3.so" in mapped
    assert [name for name in LIBRARIES if name in mapped] == []


def resident_mb(status: str, what: str) -> float:
    """Of 10^6 bytes, out of proc(5)."""
    (kib,) = re.findall(rf"^{what}:\s+(\d+) kB", status, re.M)
    return int(kib) * 1024 / 1e6


def test_a_plain_file_is_shown_and_packaged_in_little_memory_and_leaves_none_behind(tmp_path: Path) -> None:
    """The write is refused by its gates: no car is there, and all that a file needs is done before."""
    kept: dict[str, Any] = {}

    async def read(garage: Garage) -> None:
        kept["job"], image = read_e400(garage)
        definition = garage.box.definition("pbx-e400")
        kept["regions"] = [region.name for region in definition.regions if region.writable]
        kept["file"] = every_sector_changed(definition, image)

    with place() as root:
        visit(ready(root / "state", Role.MASTER), read)
        engine = Engine(
            root, "--role", "master", "--can", "virtual:packaged", "--voltmeter", "simulated:13.5"
        )
        engine.start()
        try:
            proc, client = Path(f"/proc/{engine.pid}"), EngineClient(engine.socket)

            def most_mb(verb: str, state: str, **more: object) -> tuple[float, float]:
                (proc / "clear_refs").write_text("5")
                asked = {"job": kept["job"], "upload": upload, "changed_regions": kept["regions"], **more}
                operation = client.post("/v1/operations", OperationTold, {"verb": verb, **asked})
                while operation["state"] == "running":
                    operation = client.get(f"/v1/operations/{operation['id']}?wait=60", OperationTold)
                assert operation["state"] == state, operation
                status = (proc / "status").read_text(encoding="ascii")
                return resident_mb(status, "VmHWM"), resident_mb(status, "VmRSS")

            upload = client.upload(kept["file"])
            assert most_mb("preview", "done", of="write", correct_checksums=True)[0] < PREVIEWED_MB
            packaged, afterwards = most_mb("write", "failed", correct_checksums=True)
        finally:
            engine.stop()
    assert packaged < PACKAGED_MB
    assert afterwards < AFTERWARDS_MB
