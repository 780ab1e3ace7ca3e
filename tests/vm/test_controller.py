"""A CAN controller with a driver of its own: its bit rate is read, set, or asked for.

QEMU emulates two SJA1000 boards on one bus. It does not mind that their bit rates differ, so what is proven
is that rates are read and set, and that the whole way works on a driver that is not vcan.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.guest import Guest
from tests.vm.image import Image
from tests.vm.workshop import Workshop, document_of, is_five_part, tuned

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

BOARD = "-device", "kvaser_pci,canbus=wire"
DEFINITION = "pbx-vm-classic"


@pytest.fixture(scope="module")
def guest(image: Image) -> Iterator[Guest]:
    """A guest with can0 for the box and can1 for the car, which is set up."""
    with Guest(image=image, devices=["-object", "can-bus,id=wire", *BOARD, *BOARD]) as booted:
        booted.check(
            "modprobe -a kvaser_pci can_isotp && udevadm settle && ip link set can1 type can bitrate 500000"
        )
        booted.check("ip link set can1 txqueuelen 1000 up")
        yield booted


def controller(guest: Guest, interface: str = "can0") -> dict[str, Any]:
    (link,) = json.loads(guest.check(f"ip -json -details link show {interface}"))
    data: dict[str, Any] = link["linkinfo"]["info_data"]
    return data


def test_the_engine_sets_a_controller_up_and_does_the_job(guest: Guest) -> None:
    shop = Workshop(guest, DEFINITION, box_bus="socketcan:can0", car_bus="socketcan:can1")
    car, engine = shop.start()
    assert "bittiming" not in controller(guest)
    assert shop.pitbox("identify")["definition"] == DEFINITION  # at whichever bit rate that is
    assert controller(guest)["bittiming"]["bitrate"] == 500_000
    assert "LISTEN-ONLY" not in controller(guest).get("ctrlmode", ())

    guest.check("ip link set can0 down && ip link set can0 type can bitrate 250000 && ip link set can0 up")
    stock = shop.memory()
    assert shop.pitbox("read")["full"]
    assert controller(guest)["bittiming"]["bitrate"] == 500_000
    wanted = tuned(stock, 0x10)
    document_of(shop.begin_to_write(wanted))
    assert shop.memory() == wanted
    shop.pitbox("verify")
    for process in (engine, car):
        process.kill()
        process.wait()


def test_an_engine_without_the_right_asks_for_the_command(guest: Guest) -> None:
    shop = Workshop(
        guest,
        DEFINITION,
        box_bus="socketcan:can0",
        car_bus="socketcan:can1",
        engine_prefix="setpriv --bounding-set=-net_admin",
    )
    car, engine = shop.start()
    fd_missing = shop.pitbox("identify --definition pbx-vm-fd", rc=1)["error"]
    assert fd_missing["code"] == "CAN_FD_MISSING"
    guest.check("ip link set can0 down && ip link set can0 type can bitrate 250000 && ip link set can0 up")
    error = shop.pitbox(f"identify --definition {DEFINITION}", rc=1)["error"]
    assert error["code"] == "CAN_BIT_RATE"
    assert is_five_part(error)
    assert "250000" in error["what"]
    assert "500000" in error["what"]
    guest.check(error["do_now"].split("`")[1])
    assert shop.pitbox("identify")["definition"] == DEFINITION
    for process in (engine, car):
        process.kill()
