"""Processor seconds of hosts on the kernel's ISO-TP sockets; run by `benchmarks.kernel` inside the guest.

`python -m benchmarks.kernel_inside [--rounds N] [--json FILE]`, as root, on a kernel with vcan and can-isotp.
Every host does its job in a process of its own, whose processor clock alone is read; in each round all take
their turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import isotp
from udsoncan.connections import IsoTPSocketConnection

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_definition
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.kernel import KernelIsoTpLink
from benchmarks import peer
from benchmarks.models import MIB
from benchmarks.report import Row, table
from tests.integration.witness.buses import process
from tests.support.engine import Engine

INTERFACE = "vcan0"
DEFINITIONS = Path(__file__).parents[1] / "tests" / "vm" / "definitions"
DEFINITION = load_definition(DEFINITIONS / "pbx-vm-mib.toml")
ROUNDS = 3
WRITABLE_START, IMAGE_END, CHECKSUM_START = 0x1_0000, 0x10_0000, 0x8_0000
DEPENDENCIES = 0xFF01
FULL_BYTES, SMALL = 4095, b"\x36\x01"
_NORMAL = isotp.AddressingMode.Normal_11bits
_NO_PAUSE = 0xFFFF_FFFF
"""As our link has it; the default waits 50 us before each frame."""
PEER, PITBOX = "udsoncan", "Pitbox"


def memory(seed: int) -> bytes:
    """1 MiB that no one can foresee, with the checksum that the ECU wants."""
    image = bytearray(random.Random(seed).randbytes(IMAGE_END))
    image[-4:] = zlib.crc32(image[CHECKSUM_START:-4]).to_bytes(4, "big")
    return bytes(image)


# --- what runs in processes of its own ----------------------------------------------------------


def peer_connection() -> IsoTPSocketConnection:
    """udsoncan's own connection to a kernel socket, for payloads as long as ours."""
    bare = isotp.socket(timeout=0.1)
    bare.set_opts(txpad=uds_access(DEFINITION).addressing.padding, frame_txtime=_NO_PAUSE)
    return IsoTPSocketConnection(INTERFACE, isotp.Address(_NORMAL, txid=0x7E0, rxid=0x7E8), tpsock=bare)


def peer_read() -> int:
    """A plain client reads the memory once."""
    with peer.client_on(peer_connection(), DEFINITION) as client:
        return len(peer.read(client, 0, IMAGE_END))


def peer_write() -> int:
    """A plain client writes all that can be written, and has the ECU check it."""
    data = memory(2)[WRITABLE_START:]
    with peer.client_on(peer_connection(), DEFINITION) as client:
        peer.write(client, WRITABLE_START, data)
        client.start_routine(DEPENDENCIES)
        client.ecu_reset(1)
    return len(data)


def peer_link(request: bytes) -> int:
    """udsoncan's connection alone: so many requests and answers."""
    with peer_connection().open() as connection:
        for _ in range(MIB // FULL_BYTES):
            connection.send(request)
            connection.wait_frame(timeout=60, exception=True)
    return MIB // FULL_BYTES * FULL_BYTES


def our_link(request: bytes) -> int:
    """Our link alone: as many requests and answers."""

    async def main() -> None:
        link = KernelIsoTpLink(INTERFACE, IsoTpAddress(0x7E0, 0x7E8), IsoTpSettings())
        for _ in range(MIB // FULL_BYTES):
            link.drain()
            await link.send(request)
            await link.receive(60)
        link.close()

    asyncio.run(main())
    return MIB // FULL_BYTES * FULL_BYTES


def responder() -> int:
    """The other end of a link alone: a small payload for a full one, a full one for a small one."""
    ecu = isotp.socket()
    ecu.set_opts(frame_txtime=_NO_PAUSE)
    ecu.bind(INTERFACE, isotp.Address(_NORMAL, txid=0x7E8, rxid=0x7E0))
    print(json.dumps({"ready": True}), flush=True)
    while True:
        ecu.send(SMALL if len(ecu.recv()) > len(SMALL) else bytes(FULL_BYTES))


JOBS = {
    "peer_read": peer_read,
    "peer_write": peer_write,
    "peer_sends": lambda: peer_link(bytes(FULL_BYTES)),
    "peer_receives": lambda: peer_link(SMALL),
    "our_link_sends": lambda: our_link(bytes(FULL_BYTES)),
    "our_link_receives": lambda: our_link(SMALL),
}


def do(job: str) -> None:
    """One job in this process: prints its bytes, processor seconds and seconds."""
    cpu_began_s, began_s = time.process_time(), time.monotonic()
    moved = JOBS[job]()
    figures = {
        "bytes": moved,
        "cpu_s": time.process_time() - cpu_began_s,
        "s": time.monotonic() - began_s,
    }
    print(json.dumps(figures), flush=True)


# --- the rounds ---------------------------------------------------------------------------------


class Figures:
    """Processor seconds per MiB and kB/s of every (job, client), round by round."""

    def __init__(self) -> None:
        self._cpu: dict[tuple[str, str], list[float]] = {}
        self._rate: dict[tuple[str, str], list[float]] = {}

    def note(self, job: str, client: str, moved: int, cpu_s: float, seconds: float) -> None:
        self._cpu.setdefault((job, client), []).append(cpu_s * MIB / moved)
        self._rate.setdefault((job, client), []).append(moved / seconds / 1000)
        print(f"{job}, {client}: {cpu_s * MIB / moved:.3f} CPU s per MiB", file=sys.stderr, flush=True)

    def rows(self) -> list[Row]:
        """The medians; each of ours beside the peer's."""
        return [self._row(job, client) for job, client in self._cpu]

    def _row(self, job: str, client: str) -> Row:
        cpu, peers = self._cpu[job, client], self._cpu[job, PEER]
        ratios = [ours / theirs for ours, theirs in zip(cpu, peers, strict=True)]
        return {
            "job": job,
            "client": client,
            "CPU s per MiB": statistics.median(cpu),
            "times the peer's": statistics.median(ratios),
            "kB/s": statistics.median(self._rate[job, client]),
            "rounds": len(cpu),
        }


def measure_job(figures: Figures, job: str, client: str, name: str) -> None:
    """One job in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.kernel_inside", "--do", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(done.stdout)
    figures.note(job, client, told["bytes"], told["cpu_s"], told["s"])


def measure_links(figures: Figures) -> None:
    """Both links alone, in both directions."""
    command = [sys.executable, "-m", "benchmarks.kernel_inside", "--do", "responder"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        try:
            for way in ("sends", "receives"):
                measure_job(figures, f"the link alone {way} 1 MiB", PEER, f"peer_{way}")
                measure_job(figures, f"the link alone {way} 1 MiB", PITBOX, f"our_link_{way}")
        finally:
            running.kill()


def measure_jobs(figures: Figures) -> None:
    """A whole read and a whole write of both. Each writes over what the other left."""
    file = str(DEFINITIONS / "pbx-vm-mib.toml")
    with process("benchmarks.kernel_ecu", INTERFACE, file), engine() as box:
        measure_job(figures, "read 1 MiB", PEER, "peer_read")
        job = str(box.perform("identify")["job"])
        with on_engine(figures, box, "read 1 MiB", 2 * IMAGE_END):
            box.perform("read", job=job)
        measure_job(figures, "write 960 KiB", PEER, "peer_write")
        with on_engine(figures, box, "write 960 KiB", IMAGE_END - WRITABLE_START):
            written = box.perform("restore", job=job)
        if written["blocks"]["skipped"]:
            raise AssertionError(f"not all was written: {written}")


@contextmanager
def engine() -> Iterator[Engine]:
    """A new box on the interface."""
    hardware = ["--can", f"socketcan:{INTERFACE}", "--voltmeter", "simulated:13.5"]
    with tempfile.TemporaryDirectory() as place:
        box = Engine(Path(place), *hardware, "--definitions", str(DEFINITIONS))
        try:
            yield box.start()
        finally:
            box.stop()


@contextmanager
def on_engine(figures: Figures, box: Engine, job: str, moved: int) -> Iterator[None]:
    """Read the engine's processor clock before and after."""
    cpu_began_s, began_s = _cpu_s(box.pid), time.monotonic()
    yield
    figures.note(job, PITBOX, moved, _cpu_s(box.pid) - cpu_began_s, time.monotonic() - began_s)


def _cpu_s(pid: int) -> float:
    """All threads of a process (clock_getcpuclockid(3) on Linux: CPUCLOCK_SCHED)."""
    return time.clock_gettime(~pid << 3 | 2)


def make_interface() -> None:
    """A fresh vcan."""
    subprocess.run(["modprobe", "-a", "vcan", "can_isotp"], check=True)
    subprocess.run(["ip", "link", "del", INTERFACE], check=False, capture_output=True)
    subprocess.run(["ip", "link", "add", INTERFACE, "type", "vcan"], check=True)
    subprocess.run(["ip", "link", "set", INTERFACE, "up"], check=True)


def main() -> None:
    """Every round, then the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--json", type=Path, metavar="FILE")
    options.add_argument(
        "--parts", nargs="+", default=["measure_links", "measure_jobs"], help="of each round"
    )
    options.add_argument("--do", choices=[*JOBS, "responder"], help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.do == "responder":
        responder()
    elif chosen.do:
        do(chosen.do)
    else:
        make_interface()
        figures = Figures()
        for _ in range(chosen.rounds):
            for part in (measure_links, measure_jobs):
                if part.__name__ in chosen.parts:
                    part(figures)
        print(table(figures.rows()))
        if chosen.json:
            chosen.json.write_text(json.dumps(figures.rows(), indent=2) + "\n")


if __name__ == "__main__":
    main()
