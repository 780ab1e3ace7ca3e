"""engine, sim and definitions: programs of their own that `pitbox` becomes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from appliance.cli.options import Verbs

PROGRAMS = {
    "engine": ("appliance.engine", "run the engine, the process that may touch the car"),
    "sim": ("simulator", "run a simulated ECU on a CAN interface or on a terminal for a K-line"),
    "definitions": ("appliance.definitions", "check and list ECU definitions, yours included"),
}


def add(verbs: Verbs) -> None:
    """List them in the help; `become` runs them."""
    for name, (_, help_text) in PROGRAMS.items():
        parser = verbs.add_parser(name, help=help_text, add_help=False)
        parser.set_defaults(run=None, program=name)


def become(name: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the program; -P keeps the working folder's files from being imported."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", PROGRAMS[name][0], *arguments])


def misplaced(parser: argparse.ArgumentParser, name: str) -> NoReturn:
    """Options stood before a program's name."""
    parser.error(f"write {name} first: `pitbox {name} ...`; its options go behind it")
