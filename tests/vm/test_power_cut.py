"""The box loses its power again and again while it writes; the ECU keeps what it was sent.

The simulated ECU runs on the test host, so that only the box dies; the guest reaches it through a serial CAN
adapter.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.guest import Guest
from tests.vm.image import CHECKOUT, Image
from tests.vm.process import Process
from tests.vm.workshop import DEFINITIONS, Workshop, tuned

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]

DEFINITION = "pbx-vm-classic"
CUTS = 3
SEED = 20
LATEST_CHANGE = 16
"""Of the memory since the box is there again; a whole write makes 72, one by each erase and each KiB."""
_INTEGRITY = (
    "import sqlite3; print(*sqlite3.connect('file:/state/box/journal.db?mode=ro', uri=True)"
    ".execute('pragma integrity_check').fetchone())"
)


class DistantCar:
    """The simulated ECU in a process of the host, and the UART that leads to it."""

    def __init__(self, place: Path) -> None:
        self._line = place / "line"
        self._memory = place / f"{DEFINITION}.flash"
        words = [
            "--line",
            self._line,
            "--definition",
            DEFINITIONS / f"{DEFINITION}.toml",
            "--data-dir",
            place,
        ]
        command = [sys.executable, "-m", "tests.vm.serial_car", *map(str, words)]
        self._process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    @property
    def devices(self) -> list[str]:
        """QEMU's end of the line: the guest's second UART."""
        return ["-chardev", f"socket,id=line,path={self._line}", "-device", "isa-serial,chardev=line"]

    def memory(self) -> bytes:
        """What the flash holds now."""
        return self._memory.read_bytes()

    def wait_for_changes(self, before: bytes, count: int, writer: Process) -> None:
        """Return once the memory became another so many times; fails when `writer` ends before that."""
        for _ in range(count):
            while (now := self.memory()) == before:
                assert writer.poll() is None, writer.output() + writer.errors()
                time.sleep(0.01)
            before = now

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        assert self._process.wait(30) == 0


@pytest.fixture
def car(tmp_path: Path) -> Iterator[DistantCar]:
    distant = DistantCar(tmp_path)
    yield distant
    distant.close()


def connected(guest: Guest) -> Workshop:
    """The box with its engine running, on an interface that the serial adapter makes.

    Its driver echoes a frame before it is out, so the transmit queue has to take a whole payload.
    """
    guest.check(
        "modprobe -a slcan can_isotp && slcand -o -s6 /dev/ttyS1 can0 && ip link set can0 txqueuelen 1000 up"
    )
    shop = Workshop(guest, DEFINITION, box_bus="socketcan:can0", state="/state/box")
    assert (
        guest.run("test -e /state/box/journal.db").rc or guest.check(f'python3 -c "{_INTEGRITY}"') == "ok\n"
    )
    shop.start_engine()
    return shop


def test_a_write_survives_power_cuts_of_the_box(image: Image, tmp_path: Path, car: DistantCar) -> None:
    chance = random.Random(SEED)
    state = tmp_path / "state.ext4"
    stock = car.memory()
    wanted = tuned(stock, *range(0, 0xFFF0, 0x400))
    for cut in range(CUTS):
        with Guest(image=image, state_disk=state, devices=car.devices) as guest:
            shop = connected(guest)
            before = car.memory()
            if cut == 0:
                shop.identify()
                shop.pitbox("read")
                writer = shop.begin_to_write(wanted)
            else:
                assert [job["state"] for job in shop.pitbox("jobs")] == ["interrupted"]
                writer = shop.begin("recover --yes")
            car.wait_for_changes(before, chance.randint(1, LATEST_CHANGE), writer)
            guest.kill()
        assert car.memory() != stock
    with Guest(image=image, state_disk=state, devices=car.devices) as guest:
        shop = connected(guest)
        assert [job["state"] for job in shop.pitbox("jobs")] == ["interrupted"]
        shop.pitbox("recover --yes")
        assert car.memory() == wanted
        assert len(shop.pitbox("report")["interruptions"]) == CUTS
        shop.pitbox("restore --yes")
        assert car.memory() == stock
