"""Mutation testing of the rooms whose faults cost an ECU: how many small faults do the unit tests notice?

    python -m tests.mutants [--sample N] [--seed N] [--rooms NAME ...] [--only FAULT ...]

Once, all unit tests of a room run under coverage, for the lines they reach (`mutation/reach.py`). Then each
fault of the sample is judged by the tests that reach its line. Faults that nobody noticed are printed with
their difference; what is to be thought of each stands in docs/mutation.md.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.faults import Fault, faults_in
from tests.mutation.judging import NOTICED, Reached, Verdict, judge
from tests.mutation.reach import FILE, SOURCES

_PROTOCOLS = "tests/unit/protocols"
_KLINE = "tests/unit/kline"


@dataclass(frozen=True)
class Room:
    """What is changed, and the tests that should notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "isotp": Room(
        ("appliance/protocols/isotp",),
        (
            "tests/unit/wire/test_isotp_codec.py",
            "tests/unit/wire/test_isotp_link.py",
            f"{_PROTOCOLS}/test_isotp_ceiling.py",
            f"{_PROTOCOLS}/test_isotp_kernel.py",
        ),
    ),
    "uds": Room(("appliance/protocols/uds",), (_PROTOCOLS, "tests/unit/engine/test_session_keeper.py")),
    "kwp2000": Room(
        ("appliance/protocols/kwp2000",),
        tuple(
            f"{_KLINE}/test_{name}.py"
            for name in (
                "framing",
                "kwp_services",
                "kwp_client",
                "kwp_access",
                "waking",
                "legislated",
                "recorded_traces",
                "bad_lines",
                "edc15",
                "families",
            )
        ),
    ),
    "flashing": Room(("appliance/flashing",), ("tests/unit/flashing", "tests/unit/engine")),
    "vault": Room(
        ("appliance/vault", "appliance/contract/records.py", "appliance/contract/manifest.py"),
        ("tests/unit/vault",),
    ),
    "guards": Room(
        ("appliance/engine/http_middleware.py", "appliance/engine/conditions.py", "appliance/engine/ecu.py"),
        ("tests/unit/engine",),
    ),
}


def reach(room: Room, file: Path) -> None:
    """Run the room's tests and write which reaches what. Raises CalledProcessError if one of them fails."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "tests.mutation.reach",
        "-m",
        "not vm",
    ]
    watched = {SOURCES: ",".join(room.sources), FILE: str(file)}
    subprocess.run([*command, *room.tests], env=os.environ | watched, check=True, stdout=subprocess.DEVNULL)


def measure(name: str, faults: Sequence[Fault], maps: Path, children: int, budget_s: float) -> list[Verdict]:
    """Judge faults of one room, telling of each that goes unnoticed."""
    room, reached, verdicts = ROOMS[name], Reached(), list[Verdict]()
    if not list(maps.glob(f"{name}*.json")):
        reach(room, maps / f"{name}.json")
    for file in maps.glob(f"{name}*.json"):
        reached.add(file)
    for verdict in judge(faults, reached, room.tests, children, budget_s):
        verdicts.append(verdict)
        tests = f"{verdict.tests_run} tests, {verdict.tests_left_out} left out"
        print(f"{len(verdicts)} {verdict.status}: {verdict.fault.name} ({tests}) {verdict.by}", flush=True)
        if verdict.status not in NOTICED:
            print(verdict.fault.difference(), flush=True)
    return verdicts


def row(name: str, made: int, seed: int, verdicts: Sequence[Verdict]) -> str:
    """A line of the table in docs/mutation.md."""
    statuses = Counter(verdict.status for verdict in verdicts)
    noticed = sum(statuses[one] for one in NOTICED)
    share = f"{noticed / len(verdicts):.1%}" if verdicts else "-"
    return f"| {name} | {made} | {seed} | {len(verdicts)} | {noticed} | {statuses['not reached']} | {share} |"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    options.add_argument("--sample", type=int, default=100, help="faults of each room")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    options.add_argument("--only", nargs="+", help="these faults, by the names that a run before printed")
    options.add_argument("--children", type=int, default=os.cpu_count() or 1, help="faults side by side")
    options.add_argument("--budget", type=float, default=60.0, help="seconds of tests for a fault")
    options.add_argument("--maps", type=Path, help="a folder that keeps which test reaches what")
    chosen = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        for name in chosen.rooms:
            made = list(faults_in(ROOMS[name].sources))
            sample = random.Random(chosen.seed).sample(made, min(chosen.sample, len(made)))
            if chosen.only:
                sample = [fault for fault in made if fault.name in chosen.only]
            print(f"{name}: {len(sample)} of {len(made)} faults", flush=True)
            verdicts = measure(name, sample, chosen.maps or Path(place), chosen.children, chosen.budget)
            rows.append(row(name, len(made), chosen.seed, verdicts))
    print(
        "| room | faults | seed | tried | noticed | not reached | score |",
        "| --- " * 7 + "|",
        *rows,
        sep="\n",
    )


if __name__ == "__main__":
    main()
