"""`python -m simulator`: simulated ECUs until SIGINT or SIGTERM, on any python-can interface, and on a
pseudo-terminal for those on a K-line."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from appliance.definitions.access.uds import uds_access
from appliance.definitions.errors import DefinitionError
from appliance.definitions.loader import load_all, load_definition
from appliance.definitions.schema import Definition
from drivers.can.interface import CanBusGoneError, CanPort
from drivers.can.pythoncan import open_port
from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions
from simulator.faults import FaultPlan
from simulator.injection import FaultInjector
from simulator.kinds import kind_of, wires_for
from simulator.kline.terminal import KLineTerminal
from simulator.wires import Wires

_LINE_SLACK_S = 0.25
"""Two processes of a busy machine keep no times to the millisecond, and a pseudo-terminal has none."""


@dataclass(frozen=True, slots=True)
class RealBus:
    """A python-can interface; every node opens it for itself."""

    interface: str
    channel: str
    bitrate_bps: int
    data_bitrate_bps: int | None

    def attach(self, name: str) -> CanPort:
        """Open the interface once more. Raises CanBusGoneError, ValueError."""
        return open_port(self.interface, self.channel, self.bitrate_bps, self.data_bitrate_bps)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 after a signal, 1 if the ECU could not be started, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        plan = FaultPlan.model_validate_json(options.fault)
        definitions = [_definition(name) for name in options.definition]
        asyncio.run(_simulate(options, definitions, plan))
    except (DefinitionError, CanBusGoneError, ValidationError, ValueError, OSError) as error:
        print(f"pitbox simulator: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pitbox sim", description=__doc__)
    parser.add_argument(
        "--definition", required=True, action="append", help="id or file; repeat it for more ECUs"
    )
    parser.add_argument(
        "--bus",
        type=_bus,
        help="INTERFACE:CHANNEL for those on CAN, e.g. socketcan:vcan0, virtual:demo; "
        "where the K-line is, it tells itself",
    )
    parser.add_argument("--data-dir", type=Path, help="keep memory and records here")
    parser.add_argument(
        "--image", type=Path, help="stock memory of a new first ECU: its regions in order, without gaps"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides the stock image and every random value")
    parser.add_argument("--fault", default="{}", help='fault plan as JSON: {"faults": [...]}')
    parser.add_argument("--voltage", type=float, default=13.5, help="supply in volts")
    return parser


def _bus(text: str) -> tuple[str, str]:
    interface, colon, channel = text.partition(":")
    if not (interface and colon and channel):
        raise argparse.ArgumentTypeError(f"{text!r} is not INTERFACE:CHANNEL")
    return interface, channel


def _definition(name: str) -> Definition:
    path = Path(name)
    return load_definition(path) if path.suffix == ".toml" else load_all().get(name)


async def _simulate(options: argparse.Namespace, definitions: list[Definition], plan: FaultPlan) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    wires = _wires(options, definitions)
    terminal = None if wires.kline is None else KLineTerminal(wires.kline)
    if options.data_dir:
        options.data_dir.mkdir(parents=True, exist_ok=True)
    images = {definitions[0].id: _image(options, definitions[0])} if options.image else {}
    settings = CarSettings(
        seed=options.seed,
        data_dir=options.data_dir,
        voltage_v=options.voltage,
        images=images,
        options={one.id: EcuOptions(line_slack_s=_LINE_SLACK_S) for one in definitions},
    )
    car = Car(definitions, wires, settings)
    injector = FaultInjector(plan, car)
    try:
        car.power_up()
        await asyncio.sleep(max(one.twin.boot_ms for one in definitions) / 1000)
        print(json.dumps(_ready(options, definitions, terminal)), flush=True)
        await stop.wait()
    finally:
        injector.close()
        car.close()
        if terminal is not None:
            terminal.close()


def _wires(options: argparse.Namespace, definitions: list[Definition]) -> Wires:
    """A real interface for CAN, and whatever else they need. Raises ValueError."""
    wires = wires_for(*definitions)
    if (wires.can is None) != (options.bus is None):
        ids = ", ".join(one.id for one in definitions)
        raise ValueError(
            f"--bus is for ECUs on CAN, and {ids} {'has' if len(definitions) == 1 else 'have'} none"
            if wires.can is None
            else f"name the CAN bus for {ids} in --bus, e.g. socketcan:vcan0"
        )
    if options.bus is not None:
        on_can = next(one for one in definitions if wires_for(one).can is not None)
        wire = uds_access(on_can).bus
        wires.can = RealBus(options.bus[0], options.bus[1], wire.bitrate_bps, wire.data_bitrate_bps)
    return wires


def _image(options: argparse.Namespace, definition: Definition) -> bytes:
    """The stock memory of a new ECU, and no more of the file than that. Raises ValueError, OSError."""
    if options.data_dir and any(options.data_dir.glob(f"{definition.id}*.flash")):
        raise ValueError(
            f"--image is for a new ECU, and {options.data_dir} holds the memory of {definition.id}"
        )
    image: Path = options.image
    if not image.is_file():
        raise ValueError(f"{image} is no regular file")
    with image.open("rb") as file:
        return file.read(sum(region.size_bytes for region in definition.regions) + 1)


def _ready(
    options: argparse.Namespace, definitions: list[Definition], terminal: KLineTerminal | None
) -> dict[str, object]:
    """The wires by the names that an engine takes in --can and --kline."""
    told: dict[str, object] = {"ready": True}
    if options.bus is not None:
        told["bus"] = ":".join(options.bus)
    if terminal is not None:
        told["kline"] = f"terminal:{terminal.device}"
    ecus = [{"definition": one.id, **kind_of(one).told(one)} for one in definitions]
    return {**told, "voltage_v": options.voltage, "seed": options.seed, "ecus": ecus}


if __name__ == "__main__":
    sys.exit(main())
