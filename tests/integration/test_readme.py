"""What README.md tells to type works as it is typed, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.engine import options
from tests.support.engine import HANG_S

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```\n(.*?)^```", README.read_text("utf-8"), re.S | re.M)
QUESTION = b"Type yes to go on: "
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a short path, and a repository's folder in it whose .venv is this one."""
    home = tmp_path_factory.mktemp("h")
    (home / "repository").mkdir()
    (home / "repository" / ".venv").symlink_to(sys.prefix)
    yield home


def on_a_terminal(block: str, home: Path) -> tuple[int, str]:
    """Exit status and what is shown; every question is answered with yes."""
    master, slave = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "-e", "-c", block],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=home / "repository",
        env={**os.environ, "HOME": str(home)},
    )
    os.close(slave)
    shown, answered = b"", 0
    while select.select([master], [], [], 240)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if shown.count(QUESTION) > answered:
            answered += 1
            os.write(master, b"yes\n")
    os.close(master)
    return shell.wait(30), shown.decode("utf-8", "replace")


def test_a_newcomer_types_it_in_two_terminals(home: Path) -> None:
    engine_block, work_block = (block for block in BLOCKS if block.startswith(". .venv/bin/activate"))
    shell = f"{engine_block.replace('pitbox engine', 'exec pitbox engine')}"
    engine = subprocess.Popen(
        ["bash", "-e", "-c", shell],
        stdout=subprocess.PIPE,
        text=True,
        cwd=home / "repository",
        env={**os.environ, "HOME": str(home)},
    )
    try:
        assert engine.stdout is not None
        assert "listening" in engine.stdout.readline()
        status, shown = on_a_terminal(work_block, home)
    finally:
        engine.terminate()
        engine.communicate(timeout=HANG_S)
    assert status == 0, shown
    for part in (
        "is open. Next: `pitbox read`",
        "About to write a tuned file",
        "Done: every block",
        "Restored:",
    ):
        assert part in shown, shown
    assert shown.count(QUESTION.decode()) == 2


@contextmanager
def running(line: str, home: Path) -> Iterator[str]:
    """A program of the README, and the first thing that it says."""
    process = subprocess.Popen(
        ["bash", "-c", f". .venv/bin/activate; exec {line}"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=home / "repository",
        env={**os.environ, "HOME": str(home)},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=HANG_S)


def test_an_ecu_on_a_k_line_is_read_and_written_from_a_second_process(home: Path) -> None:
    (block,) = (block for block in BLOCKS if "--kline" in block)
    sim, engine = block.splitlines()
    work = """
. .venv/bin/activate
export PITBOX_SOCKET=~/kline/s
pitbox identify
pitbox read
pitbox export -o ~/original.bin
cp ~/original.bin ~/tuned.bin
printf '\\x5a' | dd of=$HOME/tuned.bin bs=1 seek=$((0x8100)) conv=notrunc status=none
pitbox write ~/tuned.bin --correct-checksums --engine-off --yes
"""
    with running(f"{sim} --data-dir ~/car", home) as ready:
        (told,) = re.findall(r"terminal:/dev/pts/[0-9]+", engine)
        own = engine.replace(told, json.loads(ready)["kline"])
        with running(own, home) as listening:
            assert "listening" in listening
            status, shown = on_a_terminal(work, home)
    assert status == 0, shown
    assert "Done: every block is proven in the ECU's memory" in shown
    assert (home / "car" / "pbx-k7.flash").read_bytes()[0x8100] == 0x5A


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^make (\w+)$", BLOCKS[0], re.M)
    assert targets
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=README.parent, check=True, capture_output=True)


def test_the_engine_of_a_raspberry_pi_is_started_by_options_it_knows() -> None:
    (line,) = (line for line in BLOCKS[-1].splitlines() if "pitbox engine" in line)
    settings = options.parse(line.split("pitbox engine", 1)[1].split())
    assert settings.can == "socketcan:can0"
    assert settings.voltmeter is not None
