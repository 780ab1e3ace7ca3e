"""`python -m tests.faults.campaign --runs 1000 --seed 1`: many runs, their statistics, and what broke.

Every run follows from its own seed; `--only SEED` repeats one of them and shows its steps.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

from tests.faults.hardships import Hardship
from tests.faults.judge import Outcome
from tests.faults.prepared_boxes import PACK_IDS, Benches
from tests.faults.run import Result, run
from tests.faults.scenario import scenario_for
from tests.faults.slave import PACK, visit
from tests.faults.ties import Tie
from tests.faults.workbench import Site

SEEDS_PER_CAMPAIGN = 1_000_000
PACKAGE = "package"
PACKAGES_EVERY = 200
_RAM = Path("/dev/shm")
_SHARE = 10
"""Runs handed to a worker at once."""


def main(arguments: list[str] | None = None) -> int:
    """0 where every promise was kept, 1 otherwise."""
    options = _parser().parse_args(arguments)
    if options.only is not None:
        result = one_run(options.only, options.definition, options.hardship, options.tie, options.site)
        print("\n".join(result.trace))
        print(f"{result.outcome}: {result.broken or 'every promise was kept'}")
        return int(bool(result.broken))
    began = time.monotonic()
    asked = (options.seed, options.runs, options.definition, options.workers)
    asked += (options.hardship, options.tie, options.site)
    results = list(_shown(campaign(*asked)))
    print(table(results))
    print(hardships(results))
    print(ties(results))
    print(hitches(results))
    print(f"{len(results)} runs in {time.monotonic() - began:.0f} s")
    return int(any(result.broken for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="decides every run of the campaign")
    parser.add_argument("--definition", choices=PACK_IDS, help="this ECU in every run")
    parser.add_argument("--hardship", type=Hardship, choices=list(Hardship), help="in every run")
    parser.add_argument("--tie", type=Tie, choices=list(Tie), help="of the ECU's regions, in every run")
    parser.add_argument("--site", type=Site, choices=list(Site), help="where the ECU is, in every run")
    parser.add_argument("--only", type=int, metavar="SEED", help="one run, with its steps")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes")
    return parser


def campaign(
    seed: int,
    runs: int,
    definition_id: str | None = None,
    workers: int = 1,
    hardship: Hardship | None = None,
    tie: Tie | None = None,
    site: Site | None = None,
) -> Iterator[Result]:
    """Results as they come, in the order of their seeds."""
    seeds = range(seed * SEEDS_PER_CAMPAIGN, seed * SEEDS_PER_CAMPAIGN + runs)
    one = partial(one_run, definition_id=definition_id, hardship=hardship, tie=tie, site=site)
    if workers == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(one, seeds, chunksize=_SHARE)


def one_run(
    seed: int,
    definition_id: str | None = None,
    hardship: Hardship | None = None,
    tie: Tie | None = None,
    site: Site | None = None,
) -> Result:
    """The run of a seed; some are of packages on a slave-role box, in processes of their own."""
    if {definition_id, hardship, tie, site} == {None} and seed % PACKAGES_EVERY == PACKAGES_EVERY - 1:
        came = visit(seed)
        return Result(seed, PACK, PACKAGE, came.outcome, came.broken, deaths=came.deaths)
    benches, folder = _workshop()
    return run(scenario_for(seed, benches, definition_id, hardship, tie, site), folder)


@cache
def _workshop() -> tuple[Benches, Path]:
    """One per process; in memory where there is room for files, so that fsync costs nothing."""
    keeper = tempfile.TemporaryDirectory(dir=_RAM if _RAM.is_dir() else None)
    _keepers.append(keeper)
    folder = Path(keeper.name)
    return Benches(folder), folder


_keepers: list[tempfile.TemporaryDirectory[str]] = []


def command(result: Result) -> str:
    """What repeats a run."""
    if result.kind == PACKAGE:
        return f"python -m tests.faults.campaign --only {result.seed}"
    asked = f"--definition {result.definition} --hardship {result.asked_hardship}"
    where = f"--tie {result.tie} --site {result.site}"
    return f"python -m tests.faults.campaign --only {result.seed} {asked} {where}"


def _shown(results: Iterable[Result]) -> Iterator[Result]:
    for result in results:
        if result.broken:
            print(f"BROKEN {result.definition} {result.kind}: {result.broken}")
            print(f"  {command(result)}")
            print("".join(f"  | {step}\n" for step in result.trace[-40:]), flush=True)
        yield result


_DEEP = 3
_COLUMNS = ("runs", *(outcome.value for outcome in Outcome), "broken", "deaths", "faults", "lost", "lost 3+")


def table(results: Sequence[Result]) -> str:
    """Statistics per definition."""
    lines = ["".join(f"{name:>12}" for name in ("", *_COLUMNS, "mean s"))]
    for name in (*PACK_IDS, "all"):
        chosen = [result for result in results if name in (result.definition, "all")]
        if chosen:
            lines.append("".join(f"{cell:>12}" for cell in (name, *_row(chosen))))
    return "\n".join(lines)


def hardships(results: Sequence[Result]) -> str:
    """How many runs met with each, besides their storms."""
    counts = Counter(result.hardship for result in results if result.hardship)
    return "hardships: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def ties(results: Sequence[Result]) -> str:
    """How many runs were on an ECU with each."""
    counts = Counter(result.tie for result in results)
    return "ties: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def hitches(results: Sequence[Result]) -> str:
    """Where the ECUs were, and how often each thing went wrong on a bench."""
    sites = Counter(result.site for result in results)
    counts = Counter(hitch for result in results for hitch in result.hitches)
    told = [", ".join(f"{name} {count}" for name, count in sorted(one.items())) for one in (sites, counts)]
    return f"sites: {told[0]}\nhitches: {told[1]}"


def _row(results: Sequence[Result]) -> Iterator[str]:
    outcomes = Counter(result.outcome for result in results)
    yield str(len(results))
    for outcome in (*Outcome, "broken"):
        yield str(outcomes[str(outcome)])
    yield str(sum(result.deaths for result in results))
    yield str(sum(result.struck for result in results))
    yield str(sum(result.lost for result in results))
    yield str(sum(result.lost >= _DEEP for result in results))
    yield f"{sum(result.virtual_s for result in results) / len(results):.1f}"


if __name__ == "__main__":
    sys.exit(main())
