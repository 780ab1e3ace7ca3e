"""The engine's command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from appliance.definitions.pin_steps import PIN_NAMES
from appliance.engine.peers import PeerRoles
from appliance.engine.settings import EngineSettings
from appliance.ports.settings import SimulationSettings
from drivers.supply.interface import Output
from drivers.supply.switched import PROBE_LINE

_SUPPLY_LINES = frozenset({*Output, PROBE_LINE})


def parse(arguments: list[str] | None = None) -> EngineSettings:
    """Settings from the command line; exits with status 2 for wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _refuse_unused(parser, options)
    return EngineSettings(
        state_dir=options.state,
        socket_path=options.socket,
        role=options.role,
        can=options.can,
        voltmeter=options.voltmeter,
        pins=options.pins,
        kline=options.kline,
        ammeter=options.ammeter,
        simulation=_simulation(options),
        definition_dirs=tuple(options.definitions),
        peer_roles=PeerRoles(frozenset(options.allow_uid), frozenset(options.web_uid)),
        set_journal_aside=options.set_journal_aside,
        second_dir=options.second_store,
    )


def _refuse_unused(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """An option that would have no effect is wrong usage: its user meant something else."""
    if options.simulate is not None:
        for name in ("can", "voltmeter", "pins", "ammeter", "kline"):
            if getattr(options, name) is not None:
                parser.error(f"--{name} is hardware, and --simulate takes its place: give one of them")
        return
    for name in ("seed", "car_data", "pace", "faults"):
        if getattr(options, name) is not None:
            parser.error(f"--{name.replace('_', '-')} belongs to --simulate, which is not given")
    if options.bench:
        parser.error("--bench belongs to --simulate, which is not given")
    if options.can is None and options.kline is None:
        for name in ("voltmeter", "pins", "ammeter"):
            if getattr(options, name) is not None:
                parser.error(f"--{name} belongs to --can or --kline, and neither is given")


def _simulation(options: argparse.Namespace) -> SimulationSettings | None:
    if options.simulate is None:
        return None
    return SimulationSettings(
        options.simulate, _seed(options), options.car_data, options.pace, options.faults, options.bench
    )


def _seed(options: argparse.Namespace) -> int:
    return 1 if options.seed is None else int(options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pitbox engine",
        description="The process that may touch the car. It listens on a UNIX socket only.",
    )
    _add_places(parser)
    _add_hardware(parser)
    _add_simulation(parser)
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", type=Path, default=Path("/var/lib/pitbox"), help="journal, keys, sealed files"
    )
    parser.add_argument(
        "--socket", type=Path, default=Path("/run/pitbox/engine.sock"), help="where clients connect"
    )
    parser.add_argument(
        "--second-store", type=Path, help="keep sealed originals once more, in a folder on another disk"
    )
    parser.add_argument(
        "--role", choices=("slave", "master"), default="slave", help="a master may export plaintext"
    )
    parser.add_argument("--definitions", type=Path, action="append", default=[], help="a folder of your own")
    parser.add_argument(
        "--allow-uid", type=int, action="append", default=[], help="another user who may drive the engine"
    )
    parser.add_argument(
        "--web-uid",
        type=int,
        action="append",
        default=[],
        help="a user who may drive it and never gets a file in the clear: the one of the web process",
    )
    parser.add_argument(
        "--set-journal-aside",
        action="store_true",
        help="keep a damaged journal under another name, start a new one; a whole one is refused",
    )


def _add_hardware(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--can", type=_bus, help="CAN bus, e.g. socketcan:can0")
    parser.add_argument(
        "--voltmeter", help="e.g. ina226:/dev/i2c-1:0x40, or simulated:13.5 beside `pitbox sim`"
    )
    parser.add_argument(
        "--pins",
        type=_pins,
        help="GPIO lines, e.g. rpi:boot_1=17,reset=27; supply, ignition and probe are a bench's",
    )
    parser.add_argument(
        "--ammeter", help="what the bench supply gives, with its shunt, e.g. ina226:/dev/i2c-1:0x41:0.010"
    )
    parser.add_argument(
        "--kline",
        type=_kline,
        help="UART behind a K-line transceiver, e.g. serial:/dev/ttyAMA3; "
        "terminal:/dev/pts/7 is the line of `pitbox sim`",
    )


def _pins(text: str) -> str:
    names = {line.partition("=")[0] for line in text.partition(":")[2].split(",")}
    if strange := names - PIN_NAMES - _SUPPLY_LINES:
        known = ", ".join(sorted((*PIN_NAMES, *_SUPPLY_LINES)))
        raise argparse.ArgumentTypeError(
            f"no definition drives {', '.join(sorted(strange))}; lines are {known}"
        )
    return text


def _kline(text: str) -> str:
    if not text.startswith(("serial:/", "terminal:/")):
        raise argparse.ArgumentTypeError(f"{text!r} is not serial:DEVICE, as in serial:/dev/ttyAMA3")
    return text


def _bus(text: str) -> str:
    kind, _, channel = text.partition(":")
    if not kind or not channel:
        raise argparse.ArgumentTypeError(f"{text!r} is not INTERFACE:CHANNEL, as in socketcan:can0")
    return text


def _add_simulation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a simulated car instead of hardware")
    group.add_argument("--simulate", metavar="DEFINITION", help="definition id of the simulated ECU")
    group.add_argument("--seed", type=int, help="decides its memory and its faults (default: 1)")
    group.add_argument("--car-data", type=Path, help="where the simulated ECU keeps its memory")
    group.add_argument("--pace", type=_pace, help="simulated seconds per second; default: as fast as it goes")
    group.add_argument("--faults", help="fault plan as JSON")
    group.add_argument(
        "--bench", action="store_true", help="the ECU is out of the car: on supply, pins and wires of a bench"
    )


def _pace(text: str) -> float:
    pace = float(text)
    if not 0 < pace <= 1e6:
        raise argparse.ArgumentTypeError("it must be above 0 and at most 1000000")
    return pace
