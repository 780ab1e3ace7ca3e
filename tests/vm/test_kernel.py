"""The guest has what the product needs of a kernel, and a power cut on it is one."""

from pathlib import Path

import pytest

from tests.vm.guest import Guest
from tests.vm.image import PYTHON, Image

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def vcan(guest: Guest) -> str:
    """A virtual CAN FD interface."""
    guest.check(
        "modprobe vcan && modprobe can_isotp && ip link add vcan0 type vcan && ip link set vcan0 mtu 72 up"
    )
    return "vcan0"


def test_the_guest_has_the_next_debians_python_and_our_dependencies(guest: Guest) -> None:
    assert guest.python.startswith(f"{PYTHON}.")
    guest.check("python3 -m pip check")
    guest.check("systemctl --failed --quiet | grep . && exit 1 || exit 0")


def test_a_virtual_can_fd_interface_comes_up(guest: Guest, vcan: str) -> None:
    assert f"{vcan}: <NOARP,UP,LOWER_UP> mtu 72" in guest.check(f"ip link show {vcan}")


@pytest.mark.parametrize("tx_dl", [8, 64])
def test_kernel_isotp_carries_payloads_between_two_sockets(guest: Guest, vcan: str, tx_dl: int) -> None:
    payload = bytes(index * 7 % 251 for index in range(4095))
    (guest.results / "sent").write_bytes(payload)
    guest.check(f"python3 tests/vm/inside/isotp_echo.py {vcan} {tx_dl} /results/sent /results/came_back")
    assert (guest.results / "came_back").read_bytes() == payload[::-1]


def test_candump_sees_the_segmentation_of_the_kernel(guest: Guest, vcan: str) -> None:
    (guest.results / "sent").write_bytes(bytes(range(20)))
    dump = guest.spawn(f"exec candump -L -n 6 {vcan}")
    # candump says nothing when it listens, so its socket is awaited where the kernel lists it.
    guest.check(
        "for _ in {1..100}; do grep -q vcan0 /proc/net/can/rcvlist_all && exit 0; sleep 0.1; done; exit 1"
    )
    guest.check(f"python3 tests/vm/inside/isotp_echo.py {vcan} 8 /results/sent /results/came_back")
    frames = [line.split()[-1] for line in dump.wait().out.splitlines()]
    assert [frame[:6] for frame in frames] == ["7E0#10", "7E8#30", "7E0#21", "7E0#22", "7E8#10", "7E0#30"]
    assert frames[0] == "7E0#1014000102030405"


def test_a_power_cut_keeps_what_was_flushed_and_loses_the_rest(image: Image, tmp_path: Path) -> None:
    state = tmp_path / "state.ext4"
    with Guest(image=image, state_disk=state) as guest:
        guest.check(
            "echo volatile > /state/volatile; echo durable > /state/durable; sync /state/durable /state"
        )
        guest.kill()
    with Guest(image=image, state_disk=state) as guest:
        assert guest.check("cat /state/durable") == "durable\n"
        assert "volatile" not in guest.run("cat /state/volatile").out
        guest.check("echo volatile > /state/volatile")
        guest.shutdown()
    with Guest(image=image, state_disk=state) as guest:
        assert guest.check("cat /state/volatile") == "volatile\n"
