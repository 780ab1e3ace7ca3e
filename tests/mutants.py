"""Mutation testing of the rooms whose faults cost an ECU: how many small faults do the unit tests notice?

    python -m tests.mutants [--sample N] [--seed N] [--rooms NAME ...] [--document FILE]

mutmut makes the mutants and runs, for each, the tests that touch its function; this program copies the
checkout for it, takes the same sample for the same seed, and writes the score and every survivor down. mutmut
leaves alone what stands outside functions, and decorated functions (properties, context managers).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
DOCUMENT = CHECKOUT / "docs" / "mutation.md"
BEGIN, END = "<!-- mutants -->\n", "<!-- /mutants -->"
NOTICED = frozenset({"killed", "timeout", "segfault", "caught by type check"})
"""A mutant that never ends is one that the tests do not let pass."""
_COPIED = ("appliance", "drivers", "simulator", "tests", "benchmarks", "docs", "README.md", "Makefile")
_NONE = "no.such.mutant"


@dataclass(frozen=True)
class Room:
    """What is mutated, and the tests that should notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


_PROTOCOLS = "tests/unit/protocols"
_ISOTP_TESTS = (
    "tests/unit/wire/test_isotp_codec.py",
    "tests/unit/wire/test_isotp_link.py",
    f"{_PROTOCOLS}/test_isotp_ceiling.py",
    f"{_PROTOCOLS}/test_isotp_kernel.py",
)
ROOMS = {
    "machine": Room(("appliance/protocols/isotp/machine.py",), _ISOTP_TESTS),
    "isotp": Room(("appliance/protocols/isotp",), _ISOTP_TESTS),
    "uds": Room(("appliance/protocols/uds",), (_PROTOCOLS,)),
    "flashing": Room(("appliance/flashing",), ("tests/unit/flashing", "tests/unit/engine")),
    "vault": Room(("appliance/vault",), ("tests/unit/vault",)),
    "guards": Room(
        ("appliance/engine/http_middleware.py", "appliance/engine/conditions.py", "appliance/engine/ecu.py"),
        ("tests/unit/engine",),
    ),
}
NIGHTLY = ("isotp", "uds", "flashing", "vault", "guards")


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed, as a difference of its function."""

    name: str
    status: str
    difference: str


@dataclass(frozen=True)
class Score:
    """One room's sample."""

    room: str
    made: int
    statuses: Counter[str]
    survivors: list[Survivor]

    @property
    def row(self) -> str:
        """A line of the table."""
        tried = self.statuses.total()
        noticed = sum(count for status, count in self.statuses.items() if status in NOTICED)
        return (
            f"| {self.room} | {self.made} | {tried} | {noticed} | {self.statuses['survived']} "
            f"| {self.statuses['no tests']} | {noticed / tried:.1%} |"
        )


class Workplace:
    """A copy of the checkout that mutmut may fill with faults."""

    def __init__(self, place: Path, room: Room) -> None:
        self._place = place
        for name in _COPIED:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, place)
        settings = {
            "source_paths": room.sources,
            "pytest_add_cli_args_test_selection": room.tests,
            "pytest_add_cli_args": ["-p", "no:xdist", "-m", "not vm"],
            "also_copy": _COPIED,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        project = (CHECKOUT / "pyproject.toml").read_text("utf-8")
        (place / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]), "utf-8")

    def mutants(self) -> dict[str, str]:
        """Every mutant made so far with what became of it."""
        told = self._mutmut("results", "--all", "true").stdout.splitlines()
        return dict(line.strip().rsplit(": ", 1) for line in told if "__mutmut_" in line)

    def make(self) -> list[str]:
        """Make all mutants and run none; their names."""
        ended = self._mutmut("run", _NONE)
        names = sorted(self.mutants())
        if not names:
            raise RuntimeError(f"mutmut made no mutants:\n{ended.stdout}{ended.stderr}")
        return names

    def run(self, names: list[str], children: int) -> None:
        """Run the tests on these mutants."""
        ended = self._mutmut("run", "--max-children", str(children), *names)
        if ended.returncode:
            raise RuntimeError(f"mutmut broke off:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")

    def difference(self, name: str) -> str:
        """The lines that make the mutant."""
        shown = self._mutmut("show", name).stdout.splitlines()
        changed = [line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        return "\n".join(changed)

    def _mutmut(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-m", "mutmut", *words]
        return subprocess.run(command, cwd=self._place, capture_output=True, text=True, check=False)


def measure(name: str, sample: int, seed: int, children: int) -> Score:
    """Make the room's mutants and try a sample of them. Raises RuntimeError if mutmut cannot."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        workplace = Workplace(Path(place), ROOMS[name])
        made = workplace.make()
        chosen = sorted(random.Random(seed).sample(made, min(sample, len(made))))
        print(f"{name}: {len(chosen)} of {len(made)} mutants", flush=True)
        workplace.run(chosen, children)
        became = workplace.mutants()
        statuses = Counter(became[one] for one in chosen)
        survivors = [
            Survivor(one, became[one], workplace.difference(one))
            for one in chosen
            if became[one] not in NOTICED
        ]
    return Score(name, len(made), statuses, survivors)


def text_of(scores: list[Score], sample: int, seed: int) -> str:
    """What goes into the document."""
    lines = [
        f"`make mutants SAMPLE={sample} SEED={seed}`",
        "",
        "| room | mutants | tried | noticed | survived | no test reaches it | score |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(score.row for score in scores),
    ]
    for score in scores:
        lines += ["", f"### Survivors in {score.room}"]
        if not score.survivors:
            lines += ["", "None."]
        for survivor in score.survivors:
            where = survivor.name.replace("xǁ", "").replace("ǁ", ".")
            lines += ["", f"`{where}` ({survivor.status})", "", "```diff", survivor.difference, "```"]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the document."""
    options = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    options.add_argument("--sample", type=int, default=100, help="mutants of each room")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--rooms", nargs="+", choices=ROOMS, default=NIGHTLY)
    options.add_argument("--children", type=int, default=os.cpu_count() or 1, help="mutants side by side")
    options.add_argument("--document", type=Path, default=DOCUMENT)
    chosen = options.parse_args()
    scores = [measure(room, chosen.sample, chosen.seed, chosen.children) for room in chosen.rooms]
    before, _, rest = chosen.document.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = text_of(scores, chosen.sample, chosen.seed)
    chosen.document.write_text(f"{before}{BEGIN}{text}\n{END}{after}", "utf-8")
    print("\n".join(score.row for score in scores))


if __name__ == "__main__":
    main()
