"""How close user-space ISO-TP comes to what the wire can carry, and what it costs the processor.

`python -m benchmarks.wire [--json FILE]`. The simulated wire runs on virtual time, so its efficiencies repeat
exactly; processor seconds and the real-time rows are this machine's.
"""

from __future__ import annotations

import asyncio
import random
import time

from appliance.protocols.isotp.ceiling import Wire, transfer_seconds
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from benchmarks.models import MIB
from benchmarks.report import Benchmark, Row
from drivers.can.interface import CanPort
from drivers.factory import open_can
from simulator.bus import SimBus
from simulator.virtualtime import run_virtual
from tests.support.multicast import group

TESTER = IsoTpAddress(0x7E0, 0x7E8)
ECU = IsoTpAddress(0x7E8, 0x7E0)
FULL_PAYLOAD_BYTES = 4095


CASES = {
    "500 kbit/s": (500_000, None, IsoTpSettings()),
    "500 kbit/s, BS 8": (500_000, None, IsoTpSettings(block_size=8)),
    "250 kbit/s": (250_000, None, IsoTpSettings()),
    "1 Mbit/s": (1_000_000, None, IsoTpSettings()),
    "FD 500 k/2 Mbit/s": (500_000, 2_000_000, IsoTpSettings(tx_frame_bytes=64, bit_rate_switch=True)),
    "FD 500 k/5 Mbit/s": (500_000, 5_000_000, IsoTpSettings(tx_frame_bytes=64, bit_rate_switch=True)),
}
REAL_TIME = ("udp_multicast", "virtual")


def payloads(total_bytes: int) -> list[bytes]:
    """Unpredictable payloads of full size."""
    source = random.Random(1)
    return [source.randbytes(FULL_PAYLOAD_BYTES) for _ in range(total_bytes // FULL_PAYLOAD_BYTES)]


async def move(tester: CanPort, ecu: CanPort, settings: IsoTpSettings, parts: list[bytes]) -> float:
    """Loop seconds that the payloads take one after the other."""
    sender, receiver = SoftIsoTpLink(tester, TESTER, settings), SoftIsoTpLink(ecu, ECU, settings)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for part in parts:
        _, arrived = await asyncio.gather(sender.send(part), receiver.receive(5))
        if arrived != part:
            raise AssertionError("a payload arrived changed")
    return loop.time() - began_s


def simulated(name: str) -> Row:
    """One case on the simulated wire."""
    bitrate_bps, data_bitrate_bps, settings = CASES[name]
    parts = payloads(MIB)

    async def main() -> float:
        bus = SimBus(bitrate_bps, data_bitrate_bps)
        return await move(bus.attach("tester"), bus.attach("ecu"), settings, parts)

    cpu_began_s = time.process_time()
    seconds = run_virtual(main())
    cpu_s = time.process_time() - cpu_began_s
    wire = Wire(bitrate_bps, TESTER, data_bitrate_bps, settings)
    ideal_s = sum(transfer_seconds(part, wire) for part in parts)
    return row(name, parts, seconds, cpu_s, ideal_s)


def real(interface: str) -> Row:
    """A python-can bus in real time, both ends in this process."""
    parts = payloads(MIB // 8)
    spec = f"{interface}:{group() if interface == 'udp_multicast' else 'benchmark'}"

    async def main() -> float:
        tester, ecu = open_can(spec, 500_000), open_can(spec, 500_000)
        try:
            return await move(tester, ecu, IsoTpSettings(), parts)
        finally:
            tester.close()
            ecu.close()

    cpu_began_s = time.process_time()
    seconds = asyncio.run(main())
    return row(interface, parts, seconds, time.process_time() - cpu_began_s, None)


def row(name: str, parts: list[bytes], seconds: float, cpu_s: float, ideal_s: float | None) -> Row:
    """Rates from totals; processor time is that of both ends together."""
    total = sum(map(len, parts))
    return {
        "wire": name,
        "kB/s": total / seconds / 1000,
        "ceiling kB/s": total / ideal_s / 1000 if ideal_s else None,
        "of ceiling %": ideal_s / seconds if ideal_s else None,
        "CPU s per MiB": cpu_s * MIB / total,
    }


def measure() -> list[Row]:
    """Every case."""
    return [simulated(name) for name in CASES] + [real(interface) for interface in REAL_TIME]


BENCHMARK = Benchmark("wire", measure)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
