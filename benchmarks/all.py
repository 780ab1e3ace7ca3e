"""Every benchmark in one run; its tables go into docs/performance.md, between their markers.

`python -m benchmarks.all [--json FILE]`. Half an hour: the memory of the engine is measured in real time, and
the kernel's ISO-TP in an emulated guest, for which this has to run as root on Debian (tests/vm/install.sh).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from benchmarks import delta, host, kernel, kline, kline_packs, kline_pulses, memory, start, transfer, wire
from benchmarks.report import Benchmark, Row, table

BENCHMARKS: tuple[Benchmark, ...] = (
    transfer.BENCHMARK,
    kline.BENCHMARK,
    kline_packs.BENCHMARK,
    kline_pulses.BENCHMARK,
    delta.BENCHMARK,
    host.BENCHMARK,
    kernel.BENCHMARK,
    memory.BENCHMARK,
    start.BENCHMARK,
    wire.BENCHMARK,
)
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


def machine() -> str:
    """What the figures were made on, in one line."""
    system, python = platform.system(), platform.python_version()
    return f"Made on {_processor()}, {os.cpu_count()} cores, {system}, Python {python}."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def replaced(document: str, name: str, text: str) -> str:
    """The document with this text between the markers of that name. Raises ValueError without them."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{DOCUMENT.name} has no markers for {name}")
    return f"{before}{begin}{text}\n{end}{after}"


def main() -> None:
    """Measure everything, then write the document: half a document is never left behind."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, metavar="FILE", help="write all rows to this file too")
    chosen = options.parse_args()
    document = replaced(DOCUMENT.read_text("utf-8"), "machine", machine())
    results: dict[str, list[Row]] = {}
    for benchmark in BENCHMARKS:
        results[benchmark.name] = benchmark.measure()
        text = f"`{benchmark.command}`\n\n{table(results[benchmark.name])}"
        print(f"{text}\n", flush=True)
        document = replaced(document, benchmark.name, text)
    DOCUMENT.write_text(document, "utf-8")
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine(), **results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
