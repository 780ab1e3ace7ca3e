"""Processor seconds per MiB on the kernel's ISO-TP sockets: the engine and a plain udsoncan client.

`python -m benchmarks.kernel [--json FILE]`. In the emulated guest of tests/vm, some ten minutes; see
tests/vm/install.sh for what it needs. The guest counts instructions: a processor second is 500 million of
them, whatever else the machine does.
"""

from __future__ import annotations

import json

from benchmarks.report import Benchmark, Row
from tests.vm.guest import Guest

ROUNDS = 3
LIMIT_S = 3600


def measure() -> list[Row]:
    """Boot the guest and measure inside."""
    with Guest(counts_instructions=True) as guest:
        command = f"python3 -m benchmarks.kernel_inside --rounds {ROUNDS} --json /results/rows.json"
        guest.check(command, timeout_s=LIMIT_S)
        rows: list[Row] = json.loads((guest.results / "rows.json").read_text())
    return rows


BENCHMARK = Benchmark("kernel", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
