"""Bit rates of SocketCAN interfaces: they belong to the network interface, not to a socket (ip-link(8))."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from drivers.can.interface import CanBusGoneError

_IP_TIMEOUT_S = 10.0
_CAP_NET_ADMIN = 12
"""linux/capability.h"""
_TXQUEUELEN = 1000
"""Room for the frames of a whole payload; the default of 10 is less than a block between flow controls."""
_CANFD_MTU = 72
"""linux/can.h"""
_INEXACT = 0.005
"""A controller divides its clock, so that few rates are exact; CAN tolerates about twice this."""


@dataclass(frozen=True, slots=True)
class BitRate:
    """How a controller is set up."""

    bitrate_bps: int
    data_bitrate_bps: int | None = None
    """CAN FD; None is a classic bus."""
    listen_only: bool = False

    def serves(self, wanted: BitRate) -> bool:
        """True if a controller set up like this is what is wanted; CAN FD also serves a classic bus."""
        return (
            _same(self.bitrate_bps, wanted.bitrate_bps)
            and (wanted.data_bitrate_bps is None or _same(self.data_bitrate_bps, wanted.data_bitrate_bps))
            and self.listen_only == wanted.listen_only
        )

    def __str__(self) -> str:
        data = f" (data {self.data_bitrate_bps} bit/s)" if self.data_bitrate_bps else ""
        return f"{self.bitrate_bps} bit/s{data}{', listening only' * self.listen_only}"


class WrongBitRateError(ConnectionError):
    """The interface runs at another bit rate, and this process may not change that; `command` does."""

    def __init__(self, interface: str, now: BitRate | None, wanted: BitRate) -> None:
        has = "is down, bus-off or has no bit rate" if now is None else f"is set to {now}"
        super().__init__(f"{interface} {has}, and this bus needs {wanted}")
        self.command = " && ".join(" ".join(words) for words in commands(interface, wanted))


def configured(interface: str) -> BitRate | None:
    """What a running controller is set to; None for one that is down or bus-off, and where there is none.

    Raises CanBusGoneError if there is no such interface.
    """
    return _rate_of(_link(interface))


def _rate_of(link: dict[str, Any]) -> BitRate | None:
    data = _controller(link) or {}
    if "UP" not in link["flags"] or not data.get("bittiming") or data.get("state") == "BUS-OFF":
        return None
    modes = data.get("ctrlmode", ())
    fd_bps = data["data_bittiming"]["bitrate"] if "FD" in modes else None
    return BitRate(data["bittiming"]["bitrate"], fd_bps, "LISTEN-ONLY" in modes)


def ensure(interface: str, wanted: BitRate) -> None:
    """Have the controller run at these rates; one that does so already is left alone, and so is a vcan.

    Otherwise the interface goes down for a moment, which ends whatever else uses it. Raises CanBusGoneError,
    and WrongBitRateError if this process lacks CAP_NET_ADMIN.
    """
    link = _link(interface)
    if _controller(link) is None:
        return
    now = _rate_of(link)
    if now is not None and now.serves(wanted):
        return
    if not may_set():
        raise WrongBitRateError(interface, now, wanted)
    for command in commands(interface, wanted):
        _ip(command)


def has_fd(interface: str) -> bool:
    """Whether CAN FD frames can pass the interface. Raises CanBusGoneError if there is no such interface."""
    return _nature(interface).fd or _link(interface)["mtu"] == _CANFD_MTU


def loops_back(interface: str) -> bool:
    """Whether the interface is a vcan, which counts what is sent as received too.

    Raises CanBusGoneError if there is no such interface.
    """
    return _nature(interface).kind == "vcan"


def usable(interface: str, rates_bps: Sequence[int]) -> tuple[int, ...]:
    """Those of the bit rates that `ensure` can bring about: all, or the one that there is.

    Raises CanBusGoneError if there is no such interface.
    """
    now = configured(interface)
    if now is None or may_set():
        return tuple(rates_bps)
    return tuple(one for one in rates_bps if now.serves(BitRate(one, listen_only=now.listen_only)))


def commands(interface: str, wanted: BitRate) -> tuple[list[str], ...]:
    """What sets an interface up, as a technician would type it."""
    link = ["ip", "link", "set", interface]
    rates = ["bitrate", str(wanted.bitrate_bps), "fd", "off"]
    if wanted.data_bitrate_bps is not None:
        rates[2:] = ["dbitrate", str(wanted.data_bitrate_bps), "fd", "on"]
    mode = ["listen-only", "on" if wanted.listen_only else "off"]
    return (
        [*link, "down"],
        [*link, "type", "can", *rates, *mode],
        [*link, "txqueuelen", str(_TXQUEUELEN), "up"],
    )


def may_set() -> bool:
    """Whether this process has CAP_NET_ADMIN (proc_pid_status(5), CapEff)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    effective = next(line for line in lines if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_NET_ADMIN & 1)


@dataclass(frozen=True, slots=True)
class _Nature:
    """What an interface is as long as it is there, whatever it is set to."""

    kind: str | None
    fd: bool
    """Whether its controller has CAN FD."""


def _nature(interface: str) -> _Nature:
    """Asked once of each interface; one that is plugged in again has another index (netdevice(7)).

    Raises CanBusGoneError if there is no such interface.
    """
    try:
        index = socket.if_nametoindex(interface)
    except OSError:
        return _asked_nature.__wrapped__(interface, 0)
    return _asked_nature(interface, index)


@lru_cache(maxsize=32)
def _asked_nature(interface: str, index: int) -> _Nature:
    link = _link(interface)
    supported = (_controller(link) or {}).get("ctrlmode_supported", ())
    return _Nature(link.get("linkinfo", {}).get("info_kind"), "FD" in supported)


def _same(has_bps: int | None, wanted_bps: int | None) -> bool:
    if has_bps is None or wanted_bps is None:
        return has_bps == wanted_bps
    return abs(has_bps - wanted_bps) <= _INEXACT * wanted_bps


def _link(interface: str) -> dict[str, Any]:
    (link,) = json.loads(_ip(["ip", "-json", "-details", "link", "show", interface]))
    return dict(link)


def _controller(link: dict[str, Any]) -> dict[str, Any] | None:
    """What `ip` tells of the CAN controller; None for an interface without one, such as vcan."""
    about = link.get("linkinfo", {})
    return about.get("info_data", {}) if about.get("info_kind") == "can" else None


def _ip(words: list[str]) -> str:
    """Run ip(8), which a service's PATH may lack. Raises CanBusGoneError with what it complained of."""
    program = shutil.which("ip", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise CanBusGoneError("the `ip` command is missing: install iproute2")
    try:
        done = subprocess.run(
            [program, *words[1:]], capture_output=True, text=True, timeout=_IP_TIMEOUT_S, check=True
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or str(error)
        raise CanBusGoneError(f"`{' '.join(words)}`: {said.strip()}") from error
    return done.stdout
