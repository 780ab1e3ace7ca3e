"""A job in the guest as a technician does it: a simulated car, the engine and `pitbox` on a CAN interface."""

import json
import zlib
from typing import Any

from tests.vm.guest import Guest
from tests.vm.image import HERE
from tests.vm.process import GuestError, Process

DEFINITIONS = HERE / "definitions"
CALIBRATION_BYTES = 0x1_0000
"""The last region of both definitions; its last four bytes hold the CRC-32 (IEEE 802.3) over the rest."""
START_TIMEOUT_S = 600
JOB_TIMEOUT_S = 300
MAKE_VCAN = "ip link add vcan0 type vcan && ip link set vcan0 mtu 72 up"
_IN_GUEST = "/pitbox/tests/vm/definitions"
_SOCKET = "/run/engine.sock"


class Workshop:
    """One definition's simulated car on `car_bus`, and a box on `box_bus`, both in one guest.

    The box keeps its state in `state`, the car its memory in `car_data` (by default one of its definition's
    own), both directories of the guest; `engine_prefix` is a command that runs the engine.
    """

    def __init__(
        self,
        guest: Guest,
        definition: str,
        *,
        box_bus: str = "socketcan:vcan0",
        car_bus: str = "socketcan:vcan0",
        state: str = "/root/box",
        car_data: str = "",
        engine_prefix: str = "",
    ) -> None:
        self.guest = guest
        self.definition = definition
        self._box_bus = box_bus
        self._car_bus = car_bus
        self._state = state
        self._engine_prefix = engine_prefix
        self._car_data = car_data or f"/root/car-{definition}"

    def start(self) -> tuple[Process, Process]:
        """Car and engine."""
        car = self._spawn_car()
        engine = self.start_engine()
        car.wait_for('"ready"', START_TIMEOUT_S)
        return car, engine

    def _spawn_car(self) -> Process:
        return self.guest.spawn(
            f"exec pitbox sim --definition {_IN_GUEST}/{self.definition}.toml --bus {self._car_bus} "
            f"--data-dir {self._car_data} --seed 7"
        )

    def start_engine(self) -> Process:
        """Start the engine and wait until it listens."""
        engine = self.guest.spawn(
            f"exec {self._engine_prefix} pitbox engine --state {self._state} --socket {_SOCKET} "
            f"--role master --can {self._box_bus} --voltmeter simulated:13.5 --definitions {_IN_GUEST}"
        )
        engine.wait_for("listening", START_TIMEOUT_S)
        return engine

    def pitbox(self, words: str, rc: int = 0) -> Any:
        """The document that `pitbox --json WORDS` prints. Raises GuestError for another exit status."""
        return document_of(self.begin(words), rc)

    def begin(self, words: str) -> Process:
        """`pitbox --json WORDS`, running; `document_of` ends it."""
        return self.guest.spawn(f"exec pitbox --json --socket {_SOCKET} {words}")

    def identify(self) -> Any:
        """Open a job."""
        return self.pitbox(f"identify --definition {self.definition}")

    def memory(self) -> bytes:
        """What the simulated ECU's flash holds: the regions in ascending order."""
        self.guest.check(f"cp {self._car_data}/{self.definition}.flash /results/memory")
        return (self.guest.results / "memory").read_bytes()

    def begin_to_write(self, wanted: bytes) -> Process:
        """`pitbox write` of a full image, running."""
        (self.guest.results / "tuned.bin").write_bytes(wanted)
        return self.begin("write --yes /results/tuned.bin --regions calibration")

    def wait_for_half_written(self, timeout_s: float = JOB_TIMEOUT_S) -> None:
        """Return once the ECU has begun to erase, as its own non-volatile records tell."""
        records = f"{self._car_data}/{self.definition}.nvm"
        self.guest.check(
            f"""until grep -q '"unfinished": \\[\\[' {records}; do sleep 0.02; done""", timeout_s
        )


def document_of(process: Process, rc: int = 0) -> Any:
    """What a `pitbox --json` prints at its end. Raises GuestError for another exit status."""
    done = process.wait(JOB_TIMEOUT_S)
    if done.rc != rc:
        raise GuestError(f"{done.command!r} exited with {done.rc}, not {rc}\n{done.out}{done.err}")
    return json.loads(done.out)


def make_vcan(guest: Guest) -> None:
    """A virtual CAN FD interface vcan0, in place of one that is there."""
    guest.check(f"modprobe -a vcan can_isotp; ip link del vcan0 2>/dev/null; {MAKE_VCAN}")


def tuned(memory: bytes, *offsets: int) -> bytes:
    """A memory whose calibration has the bytes at these offsets inverted, and its checksum put right."""
    calibration = bytearray(memory[-CALIBRATION_BYTES:])
    for offset in offsets:
        calibration[offset] ^= 0xFF
    calibration[-4:] = zlib.crc32(calibration[:-4]).to_bytes(4, "big")
    return memory[:-CALIBRATION_BYTES] + calibration


def is_five_part(error: dict[str, Any]) -> bool:
    """What happened, is the ECU safe, what to do now, a code, and where the log is."""
    return all(error[key] for key in ("what", "ecu", "do_now", "code", "log"))
