"""How close user-space ISO-TP comes to what the wire can carry, and what it costs the processor.

`python -m benchmarks.wire [--json FILE]`. The simulated wire runs on virtual time, so its efficiencies repeat
exactly; processor seconds and the real-time rows are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.protocols.isotp.ceiling import Wire, transfer_seconds
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import CanPort
from drivers.factory import open_can
from simulator.bus import SimBus
from simulator.virtualtime import run_virtual

TESTER = IsoTpAddress(0x7E0, 0x7E8)
ECU = IsoTpAddress(0x7E8, 0x7E0)
FULL_PAYLOAD_BYTES = 4095
TOTAL_BYTES = 1 << 20


@dataclass(frozen=True)
class Row:
    """One wire: payload rate, its ceiling, and processor time for both ends together."""

    wire: str
    payload_bytes: int
    kb_per_s: float
    ceiling_kb_per_s: float | None
    efficiency: float | None
    cpu_s_per_mib: float


CASES = {
    "500 kbit/s": (500_000, None, IsoTpSettings()),
    "500 kbit/s, BS 8": (500_000, None, IsoTpSettings(block_size=8)),
    "250 kbit/s": (250_000, None, IsoTpSettings()),
    "1 Mbit/s": (1_000_000, None, IsoTpSettings()),
    "FD 500 k/2 Mbit/s": (500_000, 2_000_000, IsoTpSettings(tx_frame_bytes=64, bit_rate_switch=True)),
    "FD 500 k/5 Mbit/s": (500_000, 5_000_000, IsoTpSettings(tx_frame_bytes=64, bit_rate_switch=True)),
}
REAL_TIME = ("udp_multicast:239.74.163.99", "virtual:benchmark")


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
    parts = payloads(TOTAL_BYTES)

    async def main() -> float:
        bus = SimBus(bitrate_bps, data_bitrate_bps)
        return await move(bus.attach("tester"), bus.attach("ecu"), settings, parts)

    cpu_began_s = time.process_time()
    seconds = run_virtual(main())
    cpu_s = time.process_time() - cpu_began_s
    wire = Wire(bitrate_bps, TESTER, data_bitrate_bps, settings)
    ideal_s = sum(transfer_seconds(part, wire) for part in parts)
    return row(name, parts, seconds, cpu_s, ideal_s)


def real(spec: str) -> Row:
    """A python-can bus in real time, both ends in this process."""
    parts = payloads(TOTAL_BYTES // 8)

    async def main() -> float:
        tester, ecu = open_can(spec, 500_000), open_can(spec, 500_000)
        try:
            return await move(tester, ecu, IsoTpSettings(), parts)
        finally:
            tester.close()
            ecu.close()

    cpu_began_s = time.process_time()
    seconds = asyncio.run(main())
    return row(spec, parts, seconds, time.process_time() - cpu_began_s, None)


def row(name: str, parts: list[bytes], seconds: float, cpu_s: float, ideal_s: float | None) -> Row:
    """Rates from totals."""
    total = sum(map(len, parts))
    return Row(
        name,
        total,
        round(total / seconds / 1000, 2),
        round(total / ideal_s / 1000, 2) if ideal_s else None,
        round(ideal_s / seconds, 4) if ideal_s else None,
        round(cpu_s * (1 << 20) / total, 2),
    )


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| wire | kB/s | ceiling kB/s | of ceiling | CPU s per MiB |", "|---|---|---|---|---|"]
    for entry in rows:
        ceiling = entry.ceiling_kb_per_s or "–"
        share = f"{entry.efficiency:.1%}" if entry.efficiency else "–"
        lines.append(f"| {entry.wire} | {entry.kb_per_s} | {ceiling} | {share} | {entry.cpu_s_per_mib} |")
    return "\n".join(lines)


def main() -> None:
    """Run every case; print the table, and the numbers as JSON where asked."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, help="write the rows to this file too")
    chosen = options.parse_args()
    rows = [simulated(name) for name in CASES] + [real(spec) for spec in REAL_TIME]
    print(table(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(entry) for entry in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
