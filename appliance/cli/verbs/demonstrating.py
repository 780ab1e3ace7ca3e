"""demo: the whole job on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from appliance.cli.answer import Answer
from appliance.cli.demo.scenarios import SCENARIOS
from appliance.cli.options import Verbs, add_common
from appliance.cli.problems import UnusedOptionError
from appliance.cli.screen import Screen

_ABOUT = """\
Starts the real engine with a simulated car on virtual time and does the whole job through the same interface
as every other command: identify, read twice, seal, write a tuned file, lose power in the middle, recover,
verify, compare the fault codes. No hardware is touched; nothing of it says anything about a real ECU."""


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "demo",
        help="watch the whole job on a simulated car, power cut included",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser, engine=False)
    parser.add_argument("--scenario", choices=tuple(SCENARIOS), default="car", help="default: car")
    parser.add_argument("--definition", metavar="ID", help="another ECU than the scenario's own")
    parser.add_argument("--seed", type=int, default=1, help="decides memory, edits, place of the cut")
    parser.add_argument("--json", dest="report_file", type=Path, metavar="FILE", help="write the report here")
    parser.add_argument("--no-cut", dest="cut", action="store_false", help="let the power stay on")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep journal, sealed files and log in DIR")
    parser.set_defaults(run=run, simulated=True)


def run(options: argparse.Namespace, screen: Screen) -> Answer:
    """Play it. Raises PitboxError."""
    if options.socket is not None:
        raise UnusedOptionError("--socket", "the demo starts an engine of its own")
    from appliance.cli.demo.stories import OWN  # noqa: PLC0415 - the other commands need not wait for it
    from appliance.cli.demo.story import Story, play  # noqa: PLC0415

    return play(options, screen, OWN.get(options.scenario, Story))
