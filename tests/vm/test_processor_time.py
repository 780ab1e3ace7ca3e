"""The kernel moves the payloads: Python looks at no frame of them, and costs little more than a plain client.

`make benchmarks` measures what this bounds. A port beside the link that listened to everything once cost some
forty times a plain client's time.
"""

import json

import pytest

from benchmarks.report import table
from tests.vm.guest import Guest
from tests.vm.image import Image
from tests.vm.workshop import Workshop, document_of, make_vcan, tuned

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

DEFINITION = "pbx-vm-classic"
COUNT = "/run/decoded"
MOST_OF_A_JOB, MOST_OF_A_LINK = 1.3, 1.1
"""Times a plain udsoncan client's processor seconds. The guest counts
instructions: nothing that its host does moves them, and two runs differ by some three in a hundred."""


def decoded(guest: Guest) -> int:
    """That such a count does count is shown by tests/unit/wire/test_socketcan.py."""
    return int(guest.check(f"stat -c %s {COUNT}"))


def test_no_frame_is_decoded_in_python_while_the_kernel_moves_blocks(guest: Guest) -> None:
    make_vcan(guest)
    prefix = f"env PYTHONPATH=/pitbox python3 tests/vm/inside/counting_engine.py {COUNT}"
    shop = Workshop(guest, DEFINITION, engine_prefix=prefix)
    processes = shop.start()
    shop.identify()
    before = decoded(guest)

    assert shop.pitbox("read")["full"]
    wanted = tuned(shop.memory(), 0x10, 0x6000)
    assert document_of(shop.begin_to_write(wanted))["blocks"]["written"] == 3
    shop.pitbox("verify")
    assert shop.memory() == wanted
    assert int(guest.check("cat /sys/class/net/vcan0/statistics/rx_packets")) > 30_000
    assert decoded(guest) == before
    for process in processes:
        process.kill()


def test_the_engine_costs_little_more_than_a_plain_client(image: Image) -> None:
    with Guest(image=image, counts_instructions=True) as guest:
        guest.check("python3 -m benchmarks.kernel_inside --rounds 1 --json /results/cpu.json", timeout_s=1500)
        rows = json.loads((guest.results / "cpu.json").read_text())
    ours = {row["job"]: row["times the peer's"] for row in rows if row["client"] == "Pitbox"}
    assert len(ours) == 4
    for job, times in ours.items():
        most = MOST_OF_A_LINK if "link" in job else MOST_OF_A_JOB
        assert times < most, f"{job}: {times:.3f} times the peer's, {most} at most\n{table(rows)}"
