"""`python -m tests.hostile.runs --runs 2000 --seed 1`: many hostile ECUs, and what the box made of them.

Every run follows from its own seed; `--only SEED` repeats one of them and shows its steps.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.hostile.boxes import Benches
from tests.hostile.can import CAN
from tests.hostile.kline.world import KLINE
from tests.hostile.run import Result, run

SEEDS_PER_CAMPAIGN = 1_000_000
WORLDS = {world.name: world for world in (CAN, KLINE)}
_RAM = Path("/dev/shm")


def main(arguments: list[str] | None = None) -> int:
    """0 where every promise was kept, 1 otherwise."""
    options = _parser().parse_args(arguments)
    if options.only is not None:
        result = one_run(options.only, options.shape, options.wire)
        print("\n".join(result.trace))
        print(f"{result.outcome}: {result.broken or 'every promise was kept'}")
        return int(bool(result.broken))
    began, results = time.process_time(), []
    for result in campaign(options.seed, options.runs, options.shape, wire=options.wire):
        results.append(result)
        if result.broken:
            print(
                f"BROKEN {result.shape} {result.kind}: {result.broken}\n  {command(result, options.wire)}",
                flush=True,
            )
    print(summary(results))
    print(f"{1000 * (time.process_time() - began) / len(results):.0f} ms of processor time per run")
    return int(any(result.broken for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.runs", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1, help="decides every run of the campaign")
    parser.add_argument("--wire", choices=sorted(WORLDS), default="can", help="on which the ECUs are")
    shapes = sorted(shape.name for world in WORLDS.values() for shape in world.shapes)
    parser.add_argument("--shape", choices=shapes, help="this ECU in every run")
    parser.add_argument("--only", type=int, metavar="SEED", help="one run, with its steps")
    return parser


def campaign(
    seed: int, runs: int, shape: str | None = None, first: int = 0, wire: str = "can"
) -> Iterator[Result]:
    """Results in the order of their seeds."""
    for number in range(first, first + runs):
        yield one_run(seed * SEEDS_PER_CAMPAIGN + number, shape, wire)


def one_run(seed: int, shape: str | None = None, wire: str = "can") -> Result:
    """The run of a seed."""
    return run(seed, _benches(wire), shape)


@cache
def _benches(wire: str) -> Benches:
    """One per process and wire; in memory where there is room for files, so that fsync costs nothing."""
    keeper = tempfile.TemporaryDirectory(dir=_RAM if _RAM.is_dir() else None)
    _keepers.append(keeper)
    return Benches(Path(keeper.name), WORLDS[wire])


_keepers: list[tempfile.TemporaryDirectory[str]] = []


def command(result: Result, wire: str = "can") -> str:
    """What repeats a run."""
    other = "" if wire == "can" else f" --wire {wire}"
    return f"python -m tests.hostile.runs --only {result.seed} --shape {result.shape}{other}"


def summary(results: list[Result]) -> str:
    """Runs by kind and outcome."""
    counts = Counter((result.kind, result.outcome) for result in results)
    lines = [f"{kind:>8} {outcome:<12} {count}" for (kind, outcome), count in sorted(counts.items())]
    struck = sum(result.struck for result in results)
    erases = sum(result.erases for result in results)
    lines.append(f"{len(results)} runs, {struck} misdeeds, {erases} erases")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
