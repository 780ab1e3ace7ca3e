"""Runs the tests that reach a fault, in a process of its own, until the first that notices."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.mutation.faults import Fault

_OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not vm", "--tb=no")
_FORK = multiprocessing.get_context("fork")
_IDLE_S = 240.0
"""Real seconds after which a test, or what is left of its process, waits for something that does not come."""
_CPU_S, _CPU_TIMES = 10, 4
"""So much longer, of processor time, may a judgement take than its tests took by themselves."""
NOTICED = frozenset({"failed", "never ended"})
"""A fault with which a test never ends, or its process dies, is one that the tests do not let pass."""


@dataclass(frozen=True)
class Verdict:
    """What became of a fault."""

    fault: Fault
    status: str
    """`failed`, `never ended`, `survived` or `not reached`."""
    by: str = ""
    tests_run: int = 0
    tests_left_out: int = 0


@dataclass
class Reached:
    """Which tests run which lines."""

    took_s: dict[str, float] = field(default_factory=dict)
    _tests: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    def add(self, file: Path) -> None:
        """Take what `tests.mutation.reach` wrote."""
        told = json.loads(file.read_text("utf-8"))
        self.took_s.update(told["took"])
        for source, lines in told["lines"].items():
            for line, tests in lines.items():
                self._tests.setdefault((source, int(line)), set()).update(filter(None, tests))

    def tests_of(self, fault: Fault, allowed: tuple[str, ...], budget_s: float) -> tuple[list[str], int]:
        """Quick ones first, one of each function ahead of its other parameters; how many are left out."""
        tests = set().union(*(self._tests.get((fault.file, line), set()) for line in fault.lines()))
        within = sorted((one for one in tests if one.startswith(allowed)), key=self.took_s.__getitem__)
        first = {one.partition("[")[0]: one for one in reversed(within)}.values()
        ordered = sorted(within, key=lambda one: (one not in first, self.took_s[one]))
        chosen, left_s = [], budget_s
        for one in ordered:
            left_s -= self.took_s[one]
            if left_s < 0 and chosen:
                break
            chosen.append(one)
        return chosen, len(ordered) - len(chosen)


class _Watch:
    """A pytest plugin: takes the chosen tests in their order, and remembers the first that failed."""

    def __init__(self, chosen: Sequence[str]) -> None:
        self._rank = {test: rank for rank, test in enumerate(chosen)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def _judge(fault: Fault, tests: Sequence[str], cpu_s: int, told: Connection) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    fault.plant()
    watch = _Watch(tests)
    files = sorted({test.partition("::")[0] for test in tests})
    code = pytest.main(["-x", *_OPTIONS, f"--timeout={_IDLE_S}", *files], plugins=[watch])
    told.send("" if code == pytest.ExitCode.OK else watch.failed or f"pytest: {code!r}")
    told.close()
    os._exit(0)


def _collect(files: set[str]) -> None:
    """Import all of these tests once, ahead of all children."""
    if files and pytest.main(["--collect-only", *_OPTIONS, "-qqq", *sorted(files)]) != pytest.ExitCode.OK:
        raise RuntimeError("the tests cannot be collected")


@dataclass
class _Trial:
    fault: Fault
    tests: Sequence[str]
    left_out: int
    deadline: float
    process: BaseProcess
    told: Connection

    def verdict(self) -> Verdict:
        run, out = len(self.tests), self.left_out
        if not self.told.poll():
            return Verdict(self.fault, "never ended", "", run, out)
        try:
            by = str(self.told.recv())
        except EOFError:
            return Verdict(self.fault, "never ended", "its process died", run, out)
        return Verdict(self.fault, "failed" if by else "survived", by, run, out)


def _begin(fault: Fault, took_s: dict[str, float], left_out: int) -> _Trial:
    tests, cpu_s = list(took_s), math.ceil(_CPU_S + _CPU_TIMES * sum(took_s.values()))
    mine, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_judge, args=(fault, tests, cpu_s, theirs))
    process.start()
    theirs.close()
    return _Trial(fault, tests, left_out, time.monotonic() + 2 * _IDLE_S + 20 * cpu_s, process, mine)


def judge(
    faults: Sequence[Fault], reached: Reached, tests: tuple[str, ...], children: int, budget_s: float
) -> Iterator[Verdict]:
    """Verdicts as they come. A fault is judged by at most `budget_s` of tests."""
    _collect(
        {test.partition("::")[0] for fault in faults for test in reached.tests_of(fault, tests, budget_s)[0]}
    )
    waiting, running = list(reversed(faults)), list[_Trial]()
    while waiting or running:
        while waiting and len(running) < children:
            fault = waiting.pop()
            chosen, left_out = reached.tests_of(fault, tests, budget_s)
            if not chosen:
                yield Verdict(fault, "not reached")
                continue
            running.append(_begin(fault, {one: reached.took_s[one] for one in chosen}, left_out))
        wait([trial.process.sentinel for trial in running], timeout=1)
        for trial in list(running):
            if trial.process.is_alive() and time.monotonic() < trial.deadline:
                continue
            running.remove(trial)
            yield trial.verdict()
            trial.process.kill()
            trial.process.join()
