"""A CAN interface goes away under the engine: what comes back in time goes on by itself, the rest is told.

The wire is taken away after a number of frames, so that it happens in the middle of the data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.vm.guest import Guest
from tests.vm.process import Process
from tests.vm.workshop import JOB_TIMEOUT_S, MAKE_VCAN, Workshop, document_of, is_five_part, make_vcan, tuned

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

GONE = "ip link del vcan0", MAKE_VCAN
DOWN = "ip link set vcan0 down", "ip link set vcan0 up"
SHORT_S = 4
HALF_WRITTEN = 3
REFUSED = 1


@dataclass
class Bench:
    """A new box and a new car, a job open, and the ECU's memory as it was delivered."""

    shop: Workshop
    stock: bytes

    def take_the_wire_away(self, after_frames: int, how: str) -> None:
        self.shop.guest.check(
            "look() { read -r seen < /sys/class/net/vcan0/statistics/tx_packets; }; look; began=$seen; "
            f"until look; (( seen > began + {after_frames} )); do sleep 0.01; done; {how}",
            JOB_TIMEOUT_S,
        )


@pytest.fixture
def bench(guest: Guest) -> Iterator[Bench]:
    make_vcan(guest)
    place = guest.check("mktemp -d").strip()
    shop = Workshop(guest, "pbx-vm-classic", state=f"{place}/box", car_data=f"{place}/car")
    car, engine = shop.start()
    shop.identify()
    yield Bench(shop, shop.memory())
    for process in (engine, car):
        process.kill()
        process.wait()


def back_after(process: Process, shop: Workshop, seconds: float, back: str) -> None:
    """Bring the wire back; the operation runs on meanwhile."""
    shop.guest.check(f"sleep {seconds}")
    assert process.poll() is None
    shop.guest.check(back)


@pytest.mark.parametrize(("away", "back"), [GONE, DOWN], ids=["deleted", "down"])
def test_a_read_goes_on_by_itself(bench: Bench, away: str, back: str) -> None:
    reading = bench.shop.begin("read")
    bench.take_the_wire_away(3000, away)
    back_after(reading, bench.shop, SHORT_S, back)
    read = document_of(reading)
    assert len({one["sha256"] for one in read["reads"]}) == 1


@pytest.mark.parametrize(("away", "back"), [GONE, DOWN], ids=["deleted", "down"])
def test_a_write_goes_on_by_itself(bench: Bench, away: str, back: str) -> None:
    bench.shop.pitbox("read")
    wanted = tuned(bench.stock, *range(0, 0xE000, 0x800))
    writing = bench.shop.begin_to_write(wanted)
    bench.shop.wait_for_half_written()
    bench.take_the_wire_away(2000, away)
    back_after(writing, bench.shop, SHORT_S, back)
    assert document_of(writing)["verify"]["result"]
    assert bench.shop.memory() == wanted


def test_a_read_that_lost_the_wire_for_good_is_told_and_resumed(bench: Bench) -> None:
    reading = bench.shop.begin("read")
    bench.take_the_wire_away(3000, GONE[0])
    error = document_of(reading, REFUSED)["error"]
    assert (error["code"], error["ecu"]) == ("LINK_LOST", "untouched")
    assert is_five_part(error)
    bench.shop.guest.check(GONE[1])
    read = bench.shop.pitbox("read")
    assert len({one["sha256"] for one in read["reads"]}) == 1
    resumed = [one["phase"] for one in bench.shop.pitbox("report")["interruptions"] if one["resumed"]]
    assert resumed == ["read_1"]


def test_a_read_of_a_car_written_and_proven_before_leaves_it_intact(bench: Bench) -> None:
    bench.shop.pitbox("read")
    document_of(bench.shop.begin_to_write(tuned(bench.stock, 0x10)))
    reading = bench.shop.begin("read")
    bench.take_the_wire_away(3000, GONE[0])
    error = document_of(reading, REFUSED)["error"]
    assert (error["code"], error["ecu"]) == ("LINK_LOST", "intact")


def test_a_write_that_lost_the_wire_for_good_is_told_and_recovered(bench: Bench) -> None:
    bench.shop.pitbox("read")
    wanted = tuned(bench.stock, *range(0x100, 0xE000, 0x1000))
    writing = bench.shop.begin_to_write(wanted)
    bench.shop.wait_for_half_written()
    bench.take_the_wire_away(2000, DOWN[0])
    error = document_of(writing, HALF_WRITTEN)["error"]
    assert (error["code"], error["ecu"]) == ("WRITE_INTERRUPTED", "half_written")
    assert is_five_part(error)
    assert bench.shop.memory() != wanted
    bench.shop.guest.check(DOWN[1])
    bench.shop.pitbox("recover --yes")
    assert bench.shop.memory() == wanted
    bench.shop.pitbox("restore --yes")
    assert bench.shop.memory() == bench.stock
