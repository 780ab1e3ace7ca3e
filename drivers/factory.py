"""Drivers by the names that people write in settings and on command lines.

Simulated devices are not made here: whoever runs a simulation wires it up and knows that it is one.
"""

from __future__ import annotations

from pathlib import Path

from drivers.ammeter.ina226 import Ina226Ammeter
from drivers.ammeter.interface import Ammeter
from drivers.can.interface import CanPort
from drivers.can.pythoncan import open_port
from drivers.kline.interface import KLine
from drivers.kline.serialline import SerialKLine
from drivers.kline.terminal import TerminalKLine
from drivers.pins.interface import Pins
from drivers.pins.rpigpio import RpiGpioPins
from drivers.voltmeter.ina226 import Ina226
from drivers.voltmeter.interface import Voltmeter

CAN_CHOICES = ("socketcan:can0", "udp_multicast:239.74.163.2", "virtual:NAME")
VOLTMETER_CHOICES = ("ina226:/dev/i2c-1:0x40",)
AMMETER_CHOICES = ("ina226:/dev/i2c-1:0x41:0.010",)
KLINE_CHOICES = ("serial:/dev/ttyAMA3", "terminal:/dev/pts/7")
_KLINES = {"serial": SerialKLine, "terminal": TerminalKLine}
PINS_CHOICES = ("rpi:boot_1=17,reset=27,supply=22,ignition=23,probe=24",)


def open_can(spec: str, bitrate_bps: int, data_bitrate_bps: int | None = None) -> CanPort:
    """A port on `INTERFACE:CHANNEL`; CAN FD if a data bit rate is given.

    Raises ValueError for a name that means nothing, CanBusGoneError if the interface is not there.
    """
    interface, colon, channel = spec.partition(":")
    if not (interface and colon and channel):
        raise ValueError(f"{spec!r} is not a CAN bus; write one like {_listed(CAN_CHOICES)}")
    return open_port(interface, channel, bitrate_bps, data_bitrate_bps)


def open_voltmeter(spec: str, gain: float = 1.0, offset_v: float = 0.0) -> Voltmeter:
    """A voltmeter by `KIND:DEVICE:ADDRESS`, with the calibration of its input divider.

    Raises ValueError for a name that means nothing, VoltmeterError if the meter does not answer.
    """
    kind, _, place = spec.partition(":")
    device, _, address = place.rpartition(":")
    if kind != "ina226" or not device:
        raise ValueError(f"{spec!r} is not a voltmeter; write one like {_listed(VOLTMETER_CHOICES)}")
    try:
        chip = int(address, 0)
    except ValueError as error:
        raise ValueError(f"{address!r} in {spec!r} is not an I2C address such as 0x40") from error
    return Ina226(Path(device), chip, gain, offset_v)


def open_ammeter(spec: str) -> Ammeter:
    """An ammeter by `KIND:DEVICE:ADDRESS:OHM`, the last the resistance of its shunt.

    Raises ValueError for a name that means nothing, AmmeterError if the meter does not answer.
    """
    kind, _, place = spec.partition(":")
    device, *numbers = place.rsplit(":", 2)
    if kind != "ina226" or not device or len(numbers) != 2:
        raise ValueError(f"{spec!r} is not an ammeter; write one like {_listed(AMMETER_CHOICES)}")
    try:
        chip, shunt_ohm = int(numbers[0], 0), float(numbers[1])
    except ValueError as error:
        raise ValueError(f"{spec!r} has no I2C address and shunt such as 0x41:0.010") from error
    return Ina226Ammeter(Path(device), chip, shunt_ohm)


def open_kline(spec: str) -> KLine:
    """A line by `KIND:DEVICE`, at 10,400 bit/s. Must run on the loop that uses it.

    Raises ValueError for a name that means nothing, KLineError if the device cannot be had.
    """
    kind, _, device = spec.partition(":")
    if kind not in _KLINES or not device:
        raise ValueError(f"{spec!r} is not a K-line; write one like {_listed(KLINE_CHOICES)}")
    return _KLINES[kind](device)


def open_pins(spec: str) -> Pins:
    """Lines by `KIND:NAME=CHANNEL,...`; the channels of a Raspberry Pi are numbered as BCM does.

    Raises ValueError for a name that means nothing, PinsError if the lines cannot be had.
    """
    kind, _, lines = spec.partition(":")
    wrong = ValueError(f"{spec!r} names no pins; write them like {_listed(PINS_CHOICES)}")
    if kind != "rpi":
        raise wrong
    channels: dict[str, int] = {}
    for line in lines.split(","):
        name, _, channel = line.partition("=")
        if not name or not channel.isdecimal() or name in channels:
            raise wrong
        channels[name] = int(channel)
    return RpiGpioPins(channels)


def _listed(choices: tuple[str, ...]) -> str:
    return " or ".join(choices)
