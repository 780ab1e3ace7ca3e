"""A Debian 13 guest on a real kernel, booted in QEMU under plain emulation, that a test can cut the power of.

    with Guest(state_disk=tmp_path / "state.ext4") as guest:
        guest.check("modprobe vcan && ip link add vcan0 type vcan && ip link set vcan0 mtu 72 up")
        sim = guest.spawn("pitbox sim --definition ... --bus socketcan:vcan0")
        sim.wait_for("listening")
        guest.kill()                                  # the power cut
    with Guest(state_disk=tmp_path / "state.ext4") as guest:
        print(guest.check("ls /state"))               # what had reached the disk

In the guest:
- `/pitbox` is this checkout; what is written there is gone with the guest, and never reaches the host.
- `/results` is `guest.results` on the host.
- `/state` is the state disk; everything else is discarded.
- Commands run under bash as root in `/pitbox`; `pitbox` is on the PATH with its dependencies.
- There is no network but loopback, which carries multicast to 239.0.0.0/8 too.
"""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.vm.image import CHECKOUT, Image, guest_image, make_state_disk
from tests.vm.process import Completed, GuestError, GuestLostError, GuestTimeoutError, Link, Process

# A dozen seconds on an idle machine; with eight busy processes per core it has been seen to take minutes.
BOOT_TIMEOUT_S = 600
BOOT_ATTEMPTS = 3
"""Under emulation on several threads a CPU may run code that another one is patching, and the kernel patches
itself while it boots: now and then (seen with QEMU 7.2) a boot ends in a panic on a left-over breakpoint.
"""
CONSOLE_TAIL_LINES = 40
PANIC = "Kernel panic"
# The disk root is a snapshot; nothing in the guest may ask, wait or reboot by itself. A clock that is never
# found unreliable spares the kernel to patch itself later than at its boot. On a busy host the minute and a
# half of systemd may be over before a disk is found, and it would end in its emergency mode.
_KERNEL_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 loglevel=5 panic=-1 tsc=reliable systemd.show_status=false "
    "systemd.default_device_timeout_sec=600 systemd.default_timeout_start_sec=600"
)
_CPUS = ["-accel", "tcg,thread=multi", "-smp", "2"]
_COUNTING_CPU = ["-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=1"]


class Guest:
    """One boot of the guest: entering boots it, leaving is a power cut (`shutdown` ends it in order)."""

    def __init__(
        self,
        *,
        state_disk: Path | None = None,
        results: Path | None = None,
        image: Image | None = None,
        devices: Sequence[str] = (),
        memory_mib: int = 1024,
        boot_timeout_s: float = BOOT_TIMEOUT_S,
        counts_instructions: bool = False,
    ) -> None:
        """`state_disk` is made (1 GiB, sparse) when it is absent, and outlives the guest.

        `results` is a directory of the host, by default one that goes away with the guest; `image` is by
        default `guest_image()`, built if needed; `devices` are more arguments for QEMU. A guest that
        `counts_instructions` has one CPU and a clock that goes on by 2 ns with each of them (and in real time
        while it idles: a clock that leapt to the next timer then would let systemd's limits run out while a
        disk is slow): processor seconds do not depend on what else the host does.
        """
        self._image = image or guest_image()
        self._state_disk = state_disk
        self._work = Path(tempfile.mkdtemp(prefix="pitbox-vm-"))
        self.results = results or self._work / "results"
        self._console = self._work / "console.log"
        self._devices = devices
        self._memory_mib = memory_mib
        self._cpu = _COUNTING_CPU if counts_instructions else _CPUS
        self._boot_timeout_s = boot_timeout_s
        self._qemu: subprocess.Popen[bytes] | None = None
        self._link: Link | None = None

    def __enter__(self) -> Self:
        try:
            self._boot_at_last()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, GuestError):
            print(self.console_tail(), file=sys.stderr)
        self._clean_up()

    @property
    def python(self) -> str:
        """The version of the guest's interpreter, as "3.13.5"."""
        return self._agent.python

    def run(
        self, command: str, timeout_s: float = 60, *, cwd: str = "/pitbox", env: dict[str, str] | None = None
    ) -> Completed:
        """Run a bash command to its end, whatever its status; GuestTimeoutError (and SIGKILL) when slow."""
        process = self.spawn(command, cwd=cwd, env=env)
        try:
            return process.wait(timeout_s)
        except GuestTimeoutError:
            process.kill()
            raise

    def check(
        self, command: str, timeout_s: float = 60, *, cwd: str = "/pitbox", env: dict[str, str] | None = None
    ) -> str:
        """`run` for a command that must succeed: its stdout, or GuestError with all that it said."""
        done = self.run(command, timeout_s, cwd=cwd, env=env)
        if done.rc:
            said = f"--- out\n{done.out}--- err\n{done.err}"
            raise GuestError(
                f"in the guest, {command!r} exited with {done.rc}\n{said}\n{self.console_tail()}"
            )
        return done.out

    def spawn(self, command: str, *, cwd: str = "/pitbox", env: dict[str, str] | None = None) -> Process:
        """Start a bash command beside the others."""
        return self._agent.start(command, cwd, env or {})

    def kill(self) -> None:
        """The power cut: QEMU gets SIGKILL. What the guest had written to the state disk is there, no more.

        A write that was not flushed to the platter counts as written, because the host keeps its page cache:
        what is lost is the guest's memory, not a disk's own volatile cache.
        """
        if self._qemu is not None:
            self._qemu.send_signal(signal.SIGKILL)
            self._qemu.wait()

    def shutdown(self, timeout_s: float = 60) -> None:
        """An orderly end: systemd stops all units and unmounts. Raises GuestTimeoutError when it hangs."""
        self.spawn("systemctl poweroff")
        assert self._qemu is not None
        try:
            self._qemu.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise GuestTimeoutError(f"no power-off in {timeout_s} s\n{self.console_tail()}") from None

    def console_tail(self) -> str:
        """The last lines of the serial console (kernel and agent), or all since a panic."""
        log = self._console.read_text(errors="replace") if self._console.exists() else ""
        lines = log.splitlines()
        panics = [number for number, line in enumerate(lines) if PANIC in line]
        first = min([max(0, len(lines) - CONSOLE_TAIL_LINES), *panics])
        return "\n".join(["--- guest console", *lines[first:]])

    @property
    def _agent(self) -> Link:
        if self._link is None:
            raise GuestError("the guest was not booted: use it in a with block")
        return self._link

    def _boot_at_last(self) -> None:
        """Boot, again if the kernel did not survive that (see BOOT_ATTEMPTS)."""
        for _ in range(BOOT_ATTEMPTS - 1):
            try:
                return self._boot()
            except GuestLostError:
                self._power_off()
        return self._boot()

    def _boot(self) -> None:
        self.results.mkdir(parents=True, exist_ok=True)
        if self._state_disk is not None and not self._state_disk.exists():
            make_state_disk(self._state_disk)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._work / "agent"))
        listener.listen(1)
        self._link = Link(listener, self.console_tail)
        with (self._work / "console.log").open("ab") as errors:
            self._qemu = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=errors)
        self._link.open(self._boot_timeout_s)
        if self._state_disk is not None:
            self.check("mount -o noatime /dev/vdb /state")

    def _command(self) -> list[str]:
        """QEMU, tied to the life of this process, so that a killed test run leaves no guest behind."""
        with_parent = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"]
        machine = [*self._cpu, "-cpu", "max", "-m", str(self._memory_mib)]
        bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"]
        kernel = ["-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)]
        console = ["-append", _KERNEL_ARGUMENTS, "-chardev", f"file,id=tty,path={self._console},append=on"]
        agent = ["-device", "virtio-serial", "-chardev", f"socket,id=agent,path={self._work / 'agent'}"]
        port = ["-serial", "chardev:tty", "-device", "virtserialport,chardev=agent,name=pitbox.agent"]
        disks = _disk(self._image.disk, "snapshot=on")
        if self._state_disk is not None:
            disks += _disk(self._state_disk, "cache=writeback")
        shares = _share("checkout", CHECKOUT, ",readonly=on") + _share("results", self.results)
        return [
            *with_parent,
            *machine,
            *bare,
            *kernel,
            *console,
            *agent,
            *port,
            *disks,
            *shares,
            *self._devices,
        ]

    def _power_off(self) -> None:
        self.kill()
        if self._link is not None:
            self._link.close()
        (self._work / "agent").unlink(missing_ok=True)

    def _clean_up(self) -> None:
        self._power_off()
        shutil.rmtree(self._work)


def _disk(path: Path, options: str) -> list[str]:
    return ["-drive", f"file={path},format=raw,if=virtio,{options}"]


def _share(tag: str, path: Path, options: str = "") -> list[str]:
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap{options}"]
