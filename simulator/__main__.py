"""`python -m simulator`: a simulated ECU on any python-can interface, until SIGINT or SIGTERM."""

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
from appliance.definitions.access.uds_link import Addressing
from appliance.definitions.errors import DefinitionError
from appliance.definitions.loader import load_all, load_definition
from appliance.definitions.schema import Definition
from drivers.can.interface import CanBusGoneError, CanPort
from drivers.can.pythoncan import open_port
from simulator.car import Car, CarSettings
from simulator.faults import FaultPlan
from simulator.injection import FaultInjector
from simulator.kinds import wires_for
from simulator.wires import Wires


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
        "--bus", required=True, type=_bus, help="INTERFACE:CHANNEL, e.g. socketcan:vcan0, virtual:demo"
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
    for one in definitions:
        if wires_for(one).can is None:
            raise ValueError(f"{one.id} is on no CAN bus, and other wires are not served yet")
    wire = uds_access(definitions[0]).bus
    bus = RealBus(options.bus[0], options.bus[1], wire.bitrate_bps, wire.data_bitrate_bps)
    if options.data_dir:
        options.data_dir.mkdir(parents=True, exist_ok=True)
    images = {definitions[0].id: _image(options, definitions[0])} if options.image else {}
    settings = CarSettings(
        seed=options.seed, data_dir=options.data_dir, voltage_v=options.voltage, images=images
    )
    car = Car(definitions, Wires(can=bus), settings)
    injector = FaultInjector(plan, car)
    try:
        car.power_up()
        await asyncio.sleep(max(one.twin.boot_ms for one in definitions) / 1000)
        print(json.dumps(_ready(options, definitions)), flush=True)
        await stop.wait()
    finally:
        injector.close()
        car.close()


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


def _ready(options: argparse.Namespace, definitions: list[Definition]) -> dict[str, object]:
    return {
        "ready": True,
        "bus": ":".join(options.bus),
        "voltage_v": options.voltage,
        "seed": options.seed,
        "ecus": [_told(one.id, uds_access(one).addressing) for one in definitions],
    }


def _told(definition_id: str, addressing: Addressing) -> dict[str, object]:
    return {
        "definition": definition_id,
        "request_id": addressing.request_id,
        "response_id": addressing.response_id,
        "functional_id": addressing.functional_id,
    }


if __name__ == "__main__":
    sys.exit(main())
