"""The harness itself: what a command in the guest says is what the test gets, and nothing waits for ever."""

import signal

import pytest

from tests.vm.guest import Guest
from tests.vm.image import CHECKOUT, Image
from tests.vm.process import GuestError, GuestLostError, GuestTimeoutError

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


def test_exit_status_and_both_streams_come_back(guest: Guest) -> None:
    done = guest.run("echo said; echo complained >&2; exit 3")
    assert (done.rc, done.out, done.err) == (3, "said\n", "complained\n")


def test_a_failed_check_tells_all(guest: Guest) -> None:
    with pytest.raises(GuestError, match=r"(?s)exited with 7.*because.*guest console"):
        guest.check("echo because >&2; exit 7")


def test_a_large_output_arrives_whole(guest: Guest) -> None:
    assert guest.check("seq 200000") == "".join(f"{n}\n" for n in range(1, 200001))


def test_commands_run_side_by_side(guest: Guest) -> None:
    reader = guest.spawn("mkfifo /run/fifo; echo made; cat /run/fifo")
    reader.wait_for("made")
    assert reader.poll() is None
    guest.check("echo through the fifo > /run/fifo")
    assert reader.wait().out == "made\nthrough the fifo\n"


def test_a_command_can_be_signalled_and_killed(guest: Guest) -> None:
    polite = guest.spawn("trap 'echo asked to end; exit 5' TERM; echo up; while :; do sleep 0.1; done")
    polite.wait_for("up")
    polite.signal(signal.SIGTERM)
    assert (polite.wait().rc, polite.output()) == (5, "up\nasked to end\n")
    stubborn = guest.spawn("trap '' TERM; echo up; sleep 1000")
    stubborn.wait_for("up")
    stubborn.kill()
    assert stubborn.wait().rc == -signal.SIGKILL


def test_a_slow_command_is_killed_at_its_limit(guest: Guest) -> None:
    with pytest.raises(GuestTimeoutError, match="did not end"):
        guest.run("exec sleep 98765", timeout_s=2)
    guest.check("while pgrep --exact --full 'sleep 98765'; do sleep 0.1; done")


def test_text_that_never_comes_is_an_error(guest: Guest) -> None:
    with pytest.raises(GuestError, match="never said 'ready'"):
        guest.spawn("echo bye").wait_for("ready")


def test_the_checkout_cannot_be_changed_from_the_guest(guest: Guest) -> None:
    guest.check("touch /pitbox/only_in_the_guest")
    assert not (CHECKOUT / "only_in_the_guest").exists()
    assert guest.run("touch /mnt/checkout/nowhere").rc != 0


def test_results_are_shared_both_ways(guest: Guest) -> None:
    (guest.results / "asked").write_text("from the host")
    guest.check("cp /results/asked /results/answered")
    assert (guest.results / "answered").read_text() == "from the host"


def test_a_panic_ends_all_waits_and_shows_the_console(image: Image) -> None:
    with Guest(image=image) as guest:
        waiting = guest.spawn("sleep 1000")
        with pytest.raises(GuestLostError, match="Kernel panic"):
            guest.check("echo c > /proc/sysrq-trigger")
        with pytest.raises(GuestLostError):
            waiting.wait()
        with pytest.raises(GuestLostError):
            guest.run("true")
