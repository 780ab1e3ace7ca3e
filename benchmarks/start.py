"""How long the command line takes to say anything at all.

`python -m benchmarks.start [--json FILE]`. Wall time of a fresh process, the best of five.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.report import Benchmark, Row

TRIES = 5
COMMANDS = {"python -c pass": ("-c", "pass"), "pitbox --help": ("-m", "appliance.cli.main", "--help")}


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall time of one run."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_s


def measure() -> list[Row]:
    """Every command."""
    return [
        {"command": name, "s": min(seconds(arguments) for _ in range(TRIES))}
        for name, arguments in COMMANDS.items()
    ]


BENCHMARK = Benchmark("start", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
