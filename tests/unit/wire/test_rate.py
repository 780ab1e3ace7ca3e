"""Bit rates of SocketCAN interfaces, with a script in place of ip(8); the real one is tried in tests/vm."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.can import rate
from drivers.can.interface import CanBusGoneError
from drivers.can.rate import BitRate, WrongBitRateError, configured, ensure, has_fd, usable

CLASSIC = BitRate(500_000)
FD = BitRate(500_000, 2_000_000)
RATES = st.integers(10_000, 1_000_000)


class Ip:
    """Answers `show` with one link and notes every other command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        script = folder / "ip"
        script.write_text(
            f"""#!/bin/sh
case "$*" in
*show*) echo >> {folder}/shows
test -e {folder}/link || {{ echo 'Device "can0" does not exist.' >&2; exit 1; }}; cat {folder}/link ;;
*) echo "$@" >> {folder}/commands ;;
esac
"""
        )
        script.chmod(0o755)

    def has(self, kind: str, *, up: bool = True, mtu: int = 16, **data: Any) -> None:
        link = {
            "ifname": "can0",
            "flags": ["UP"] * up,
            "mtu": mtu,
            "linkinfo": {"info_kind": kind, "info_data": data},
        }
        (self._folder / "link").write_text(json.dumps([link]))

    @property
    def shows(self) -> int:
        """How often it was run to ask."""
        asked = self._folder / "shows"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    @property
    def commands(self) -> list[str]:
        noted = self._folder / "commands"
        return noted.read_text().splitlines() if noted.exists() else []


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ip:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(rate, "may_set", lambda: True)
    return Ip(tmp_path)


def test_what_a_controller_is_set_to(ip: Ip) -> None:
    ip.has("can", bittiming={"bitrate": 83_333}, ctrlmode=["LISTEN-ONLY"])
    assert configured("can0") == BitRate(83_333, None, listen_only=True)
    ip.has("can", bittiming={"bitrate": 500_000}, data_bittiming={"bitrate": 2_000_000}, ctrlmode=["FD"])
    assert configured("can0") == FD
    ip.has("can", bittiming={"bitrate": 500_000}, data_bittiming={"bitrate": 2_000_000})
    assert configured("can0") == CLASSIC


def test_what_does_not_run_is_set_to_nothing(ip: Ip) -> None:
    ip.has("can", up=False, bittiming={"bitrate": 500_000})
    assert configured("can0") is None
    ip.has("can", state="STOPPED")
    assert configured("can0") is None
    ip.has("can", state="BUS-OFF", bittiming={"bitrate": 500_000})
    assert configured("can0") is None
    ip.has("vcan")
    assert configured("can0") is None


def test_what_an_interface_is_gets_asked_once_until_it_is_plugged_in_again(
    ip: Ip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is run costs more than the rest of opening a bus."""
    index = 7001
    monkeypatch.setattr(socket, "if_nametoindex", lambda interface: index)
    ip.has("can", bittiming={"bitrate": 500_000}, ctrlmode_supported=["FD"])
    for _ in range(3):
        assert has_fd("can0")
        assert not rate.loops_back("can0")
    assert ip.shows == 1
    ensure("can0", CLASSIC)
    assert ip.shows == 2
    assert ip.commands == []
    index = 7002
    ip.has("vcan", mtu=72)
    assert rate.loops_back("can0")
    assert has_fd("can0")


def test_an_interface_that_is_not_there_is_told(ip: Ip) -> None:
    with pytest.raises(CanBusGoneError, match=r"ip .*show can0.*does not exist"):
        ensure("can0", CLASSIC)


@pytest.mark.parametrize("wanted", [CLASSIC, FD, BitRate(500_000, listen_only=True)])
def test_a_virtual_interface_is_left_alone(ip: Ip, wanted: BitRate) -> None:
    ip.has("vcan")
    ensure("can0", wanted)
    assert ip.commands == []


def test_a_controller_that_serves_is_left_alone(ip: Ip) -> None:
    ip.has("can", bittiming={"bitrate": 500_000}, data_bittiming={"bitrate": 2_000_000}, ctrlmode=["FD"])
    ensure("can0", FD)
    ensure("can0", CLASSIC)
    assert ip.commands == []


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        (CLASSIC, "bitrate 500000 fd off listen-only off"),
        (FD, "bitrate 500000 dbitrate 2000000 fd on listen-only off"),
        (BitRate(250_000, listen_only=True), "bitrate 250000 fd off listen-only on"),
    ],
)
def test_another_rate_is_set_while_the_interface_is_down(ip: Ip, wanted: BitRate, options: str) -> None:
    ip.has("can", bittiming={"bitrate": 125_000})
    ensure("can0", wanted)
    assert ip.commands == [
        "link set can0 down",
        f"link set can0 type can {options}",
        "link set can0 txqueuelen 1000 up",
    ]


def test_without_the_right_both_rates_and_the_command_are_told(
    ip: Ip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "may_set", lambda: False)
    ip.has("can", bittiming={"bitrate": 250_000})
    with pytest.raises(
        WrongBitRateError, match="set to 250000 bit/s, and this bus needs 500000 bit/s"
    ) as told:
        ensure("can0", CLASSIC)
    assert told.value.command.startswith("ip link set can0 down && ip link set can0 type can bitrate 500000 ")
    assert ip.commands == []


def test_only_rates_that_can_be_had_are_tried(ip: Ip, monkeypatch: pytest.MonkeyPatch) -> None:
    ip.has("can", bittiming={"bitrate": 250_000})
    assert usable("can0", [500_000, 250_000]) == (500_000, 250_000)
    monkeypatch.setattr(rate, "may_set", lambda: False)
    assert usable("can0", [500_000, 250_000]) == (250_000,)
    ip.has("vcan")
    assert usable("can0", [500_000, 250_000]) == (500_000, 250_000)


def test_whether_can_fd_frames_pass(ip: Ip) -> None:
    ip.has("can", ctrlmode_supported=["LOOPBACK", "FD"])
    assert has_fd("can0")
    ip.has("can", ctrlmode_supported=["LOOPBACK"])
    assert not has_fd("can0")
    ip.has("vcan", mtu=72)
    assert has_fd("can0")
    ip.has("vcan")
    assert not has_fd("can0")


@given(RATES, RATES, st.none() | RATES, st.none() | RATES, st.booleans(), st.booleans())
def test_a_setting_serves_itself_and_no_other_rate(
    one: int, other: int, data: int | None, other_data: int | None, quiet: bool, other_quiet: bool
) -> None:
    has, wanted = BitRate(one, data, quiet), BitRate(other, other_data, other_quiet)
    assert has.serves(has)
    if has.serves(wanted):
        assert quiet == other_quiet
        assert abs(one - other) <= 0.005 * other
        assert other_data is None or (data is not None and abs(data - other_data) <= 0.005 * other_data)


def test_the_right_is_read_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, allowed in (("000001ffffffffff", True), ("000001ffffffefff", False)):
        text = f"Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{capabilities}\n"
        monkeypatch.setattr(Path, "read_text", lambda path, encoding, text=text: text)
        assert rate.may_set() is allowed
