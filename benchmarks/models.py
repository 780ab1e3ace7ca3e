"""The simulated ECUs that are measured against: pbx-e400 with the ECU's own time taken out, or set."""

from __future__ import annotations

import json
from dataclasses import dataclass

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition
from appliance.protocols.isotp.ceiling import transfer_seconds
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address, wire_of
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.transfer import TRANSFER_HEADER_BYTES
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanPort
from simulator.bus import SimBus
from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions
from simulator.wires import Wires

MIB = 1 << 20
START = 0x8010_0000
"""1 MiB of code from here: four sectors of 256 KiB."""
SECTOR_BYTES = 0x4_0000
_TIMELESS = {"erase_ms_per_kib": 0.0, "program_ms_per_kib": 0.0, "hash_ms_per_kib": 0.0, "boot_ms": 0.0}
_HEADER = bytes(TRANSFER_HEADER_BYTES)


@dataclass(frozen=True)
class Model:
    """An ECU that needs `delay_s` for each answer and takes blocks of `block_bytes` memory bytes."""

    name: str
    block_bytes: int
    delay_s: float

    @property
    def definition(self) -> Definition:
        """pbx-e400 (500 kbit/s, BS 0, STmin 0) with this model's blocks and no time for flash and hash."""
        pdu_bytes = self.block_bytes + TRANSFER_HEADER_BYTES
        raw = json.loads(load_definition(PACKS / "pbx-e400.toml").canonical())
        raw["simulation"] |= _TIMELESS | {"max_block_bytes": pdu_bytes}
        raw["access"][0]["reading"]["block_bytes"] = pdu_bytes
        return definition_from_json(json.dumps(raw))

    def ideal_s(self, data: bytes, *, read: bool) -> float:
        """The model's ideal: the frames of the data blocks alone, and the ECU's time for each.

        Requests for blocks, acknowledges, sessions, unlock and erase cost it nothing.
        """
        wire = wire_of(uds_access(self.definition))
        parts = [data[at : at + self.block_bytes] for at in range(0, len(data), self.block_bytes)]
        moving = wire.mirrored() if read else wire
        return sum(transfer_seconds(_HEADER + part, moving) + self.delay_s for part in parts)

    def car(self) -> tuple[SimBus, Car]:
        """The bus and the car with this one ECU, switched on. On the running loop."""
        definition = self.definition
        bus = SimBus(uds_access(definition).bus.bitrate_bps, uds_access(definition).bus.data_bitrate_bps)
        options = {definition.id: EcuOptions(response_delay_s=self.delay_s)}
        car = Car([definition], Wires(can=bus), CarSettings(options=options))
        car.power_up()
        return bus, car


ZERO_DELAY = Model("no ECU time, blocks of 4093 bytes", 4093, 0.0)
FIVE_MS = Model("5 ms per answer, blocks of 4 KiB", 4096, 0.005)


def client_on(port: CanPort, definition: Definition) -> UdsClient:
    """Our UDS client as the engine makes it where there is no kernel ISO-TP."""
    settings = link_settings(uds_access(definition))
    return UdsClient(
        SoftIsoTpLink(port, physical_address(uds_access(definition).addressing), settings),
        SoftIsoTpLink(port, functional_address(uds_access(definition).addressing), settings),
        UdsTiming.of(uds_access(definition).timing),
    )
