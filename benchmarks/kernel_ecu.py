"""A simulated ECU on the kernel's ISO-TP sockets, so that it keeps up with a host on them.

`python -m benchmarks.kernel_ecu INTERFACE DEFINITION_FILE` serves it until SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_definition
from appliance.definitions.schema import Definition
from appliance.ports.simulated import with_right_checksums
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink, IsoTpSettings
from appliance.protocols.isotp.kernel import KernelIsoTpLink
from drivers.can.interface import CanPort
from simulator.__main__ import RealBus
from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions
from simulator.wires import Wires


async def serve(interface: str, definition: Definition) -> None:
    """Power the ECU up, say so, and stay until SIGTERM."""

    def link(port: CanPort, address: IsoTpAddress, settings: IsoTpSettings) -> IsoTpLink:
        return KernelIsoTpLink(interface, address, settings)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    bus = RealBus(
        "socketcan",
        interface,
        uds_access(definition).bus.bitrate_bps,
        uds_access(definition).bus.data_bitrate_bps,
    )
    options = {definition.id: EcuOptions(link=link)}
    car = Car([definition], Wires(can=bus), CarSettings(options=options, finish=with_right_checksums))
    try:
        car.power_up()
        await asyncio.sleep(0.1)
        print(json.dumps({"ready": True}), flush=True)
        await stop.wait()
    finally:
        car.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], load_definition(Path(sys.argv[2]))))
