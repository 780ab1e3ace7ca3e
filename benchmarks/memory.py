"""Resident memory of the engine over a whole job on 4 MiB, with the car in another process.

`python -m benchmarks.memory [--json FILE]`. Real time over udp_multicast, some minutes: the engine identifies
pbx-e400, reads 4 MiB twice, seals them, writes an image in which every writable sector differs, and puts the
original back. The most that was resident is told for each step apart (VmHWM, set back between them).
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from appliance.cli.client import EngineClient
from appliance.contract.told import OperationTold
from appliance.definitions.loader import load_all
from appliance.flashing.image import blocks_of
from benchmarks.report import Benchmark, Row
from simulator.image_synthesis import synthesise
from tests.integration.witness.buses import process
from tests.support.multicast import group

ECU, SEED = "pbx-e400", 5
START_S = 30.0
_HELD_S = 60
_RESET_PEAK = "5"
"""proc(5), /proc/pid/clear_refs."""


class RunningEngine:
    """A master-role engine on a multicast bus, and its client."""

    def __init__(self, pid: int, client: EngineClient) -> None:
        self.client = client
        self._proc = Path(f"/proc/{pid}")

    def resident_mib(self) -> tuple[float, float]:
        """(most since the last call, now)."""
        text = (self._proc / "status").read_text(encoding="ascii")
        peak, now = (re.search(rf"^{name}:\s+(\d+) kB", text, re.M) for name in ("VmHWM", "VmRSS"))
        if peak is None or now is None:
            raise OSError(f"{self._proc} does not tell")
        (self._proc / "clear_refs").write_text(_RESET_PEAK)
        return int(peak[1]) / 1024, int(now[1]) / 1024

    def work(self, verb: str, **parameters: Any) -> dict[str, Any]:
        """One operation to its end. Raises AssertionError if it fails."""
        operation = self.ended(verb, **parameters)
        if operation["state"] != "done":
            raise AssertionError(f"{verb}: {operation}")
        return cast(dict[str, Any], operation["result"])

    def ended(self, verb: str, **parameters: Any) -> OperationTold:
        """One operation, however it ended."""
        operation = self.client.post("/v1/operations", OperationTold, {"verb": verb, **parameters})
        while operation["state"] == "running":
            operation = self.client.get(f"/v1/operations/{operation['id']}?wait={_HELD_S}", OperationTold)
        return operation


@contextmanager
def engine(bus: str) -> Iterator[RunningEngine]:
    """An engine of its own state directory, up to the end of the block."""
    with tempfile.TemporaryDirectory() as place:
        socket = Path(place) / "engine.sock"
        command = [sys.executable, "-m", "appliance.engine", "--state", place, "--socket", str(socket)]
        command += ["--role", "master", "--can", bus, "--voltmeter", "simulated:13.5"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout is not None
                running.stdout.readline()
                yield RunningEngine(running.pid, EngineClient(socket))
            finally:
                running.send_signal(signal.SIGTERM)
                running.wait(START_S)


def tuned_file() -> bytes:
    """The stock image with the first byte of each writable sector inverted."""
    definition = load_all().get(ECU)
    image = bytearray(synthesise(definition, SEED))
    base = min(region.start for region in definition.regions)
    for block in blocks_of(definition, definition.best_access, writable_only=True):
        image[block.start - base] ^= 0xFF
    return bytes(image)


def measure() -> list[Row]:
    """After each step of the job."""
    bus = f"udp_multicast:{group()}"
    rows: list[Row] = []
    with (
        process("simulator", "--definition", ECU, "--bus", bus, "--seed", str(SEED)),
        engine(bus) as running,
    ):
        began_s = time.monotonic()

        def note(step: str) -> None:
            peak, now = running.resident_mib()
            seconds = time.monotonic() - began_s
            rows.append({"step": step, "most MiB": peak, "at its end MiB": now, "finished at s": seconds})

        note("start")
        job = running.work("identify")["job"]
        note("identify")
        running.work("read", job=job)
        note("read twice and seal")
        upload = running.client.upload(tuned_file())
        running.ended("write", job=job, upload=upload)
        note("write of a plain file, refused by its gates")
        upload = running.client.upload(tuned_file())
        running.work("preview", of="write", job=job, upload=upload)
        note("preview of a plain file")
        upload = running.client.upload(tuned_file())
        regions = [region.name for region in load_all().get(ECU).regions if region.writable]
        running.work("write", job=job, upload=upload, changed_regions=regions, correct_checksums=True)
        note("write a plain file, every writable sector")
        running.work("restore", job=job)
        note("restore, every writable sector")
    return rows


BENCHMARK = Benchmark("memory", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
