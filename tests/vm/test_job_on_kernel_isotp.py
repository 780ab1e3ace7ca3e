"""The whole job on a real kernel: the engine on CAN_ISOTP sockets, the simulated car on raw CAN."""

import signal

import pytest

from tests.vm.guest import Guest
from tests.vm.workshop import Workshop, document_of, make_vcan, tuned

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


@pytest.mark.parametrize("definition", ["pbx-vm-classic", "pbx-vm-fd"])
def test_the_whole_job(guest: Guest, definition: str) -> None:
    make_vcan(guest)
    shop = Workshop(guest, definition, state=f"/root/box-{definition}")
    car, engine = shop.start()
    stock = shop.memory()

    assert shop.identify()["definition"] == definition
    read = shop.pitbox("read")
    assert read["full"]
    assert len({one["sha256"] for one in read["reads"]}) == 1
    shop.pitbox(f"export -o /results/original-{definition}.bin")
    assert (guest.results / f"original-{definition}.bin").read_bytes() == stock

    wanted = tuned(stock, 0x10, 0x6000)
    written = document_of(shop.begin_to_write(wanted))
    assert written["blocks"]["written"] == 3  # two changed sectors, and the one with the checksum
    assert shop.memory() == wanted != stock
    shop.pitbox("verify")

    shop.pitbox("restore --yes")
    assert shop.memory() == stock
    shop.pitbox("verify")
    for process in (engine, car):
        process.signal(signal.SIGTERM)
        assert process.wait().rc == 0
