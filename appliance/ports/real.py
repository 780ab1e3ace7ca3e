"""The ports of real hardware."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.ports.missing import MissingPorts
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink, IsoTpSettings
from appliance.protocols.isotp.kernel import KernelIsoTpLink
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.port_missing import PortMissingError
from drivers.ammeter.interface import AmmeterError
from drivers.can import rate
from drivers.can.interface import CanBusGoneError, CanPort
from drivers.can.rate import BitRate, WrongBitRateError
from drivers.factory import open_ammeter, open_can, open_kline, open_pins, open_voltmeter
from drivers.kline.interface import KLine
from drivers.person.interface import Person
from drivers.pins.interface import Pins, PinsError
from drivers.supply.interface import Output, Supply, SupplyError
from drivers.supply.switched import SwitchedSupply
from drivers.voltmeter.interface import Voltmeter, VoltmeterError
from drivers.voltmeter.simulated import SimulatedVoltmeter

Opened = TypeVar("Opened")
log = logging.getLogger("pitbox.engine")


class MissingVoltmeter:
    """Every reading fails: an ECU may be read without a voltmeter, but the gates let nothing be written."""

    source = "none"

    def __init__(self, why: str) -> None:
        self.why = why

    async def read_v(self) -> float:
        """Raises VoltmeterError."""
        raise VoltmeterError(self.why)


def _voltmeter(spec: str | None) -> Voltmeter:
    """A meter by name; `simulated:13.5` is a fixed supply for a simulated ECU in another process.

    Raises ValueError for a name that means nothing; a meter that does not answer is a missing one.
    """
    if spec is None:
        return MissingVoltmeter("no voltmeter is configured; start the engine with --voltmeter")
    if spec.startswith("simulated:"):
        volts = float(spec.removeprefix("simulated:"))
        return SimulatedVoltmeter(lambda: volts)
    try:
        return open_voltmeter(spec)
    except VoltmeterError as error:
        log.warning("no voltmeter, so nothing can be written: %s", error)
        return MissingVoltmeter(str(error))


class RealCarInterface(MissingPorts):
    """Hardware by name; on a CAN interface that is SocketCAN the kernel's ISO-TP.

    Lines called `supply` and `ignition` switch a bench supply. Every line is in its safe state at once.
    """

    simulated = False

    def __init__(
        self,
        can: str | None,
        voltmeter: str | None,
        pins: str | None = None,
        person: Person | None = None,
        kline: str | None = None,
        ammeter: str | None = None,
    ) -> None:
        """Raises PitboxError for hardware that was named and cannot be opened."""
        self._can = can
        self.meter: Voltmeter = _attempt(lambda: _voltmeter(voltmeter))
        self._pins = None if pins is None else _attempt(lambda: open_pins(pins))
        self._ammeter = None if ammeter is None else _attempt(lambda: open_ammeter(ammeter))
        self._supply = self._switched()
        self._person = person
        self._kline = kline

    @property
    def voltmeter_missing(self) -> str | None:
        """Why the supply cannot be measured."""
        return self.meter.why if isinstance(self.meter, MissingVoltmeter) else None

    @property
    def fd(self) -> bool:
        """What the SocketCAN interface tells; others are taken to have it."""
        interface = self._socketcan
        return interface is None or _attempt(lambda: rate.has_fd(interface))

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        """Join the bus; a SocketCAN controller at another bit rate is set to this one. Raises PitboxError."""
        if data_bitrate_bps is not None and not self.fd:
            raise EngineError("CAN_FD_MISSING", interface=str(self._can))
        return self._open(BitRate(bitrate_bps, data_bitrate_bps))

    def open_listener(self, bitrate_bps: int) -> CanPort:
        """The controller does not even acknowledge, if this process may set that."""
        return self._open(BitRate(bitrate_bps, listen_only=True))

    def usable_rates(self, rates_bps: Sequence[int]) -> tuple[int, ...]:
        """All that the controller may be set to; else the one that it has."""
        if self._can is None:
            return super().usable_rates(rates_bps)
        if self._socketcan is None:
            return tuple(rates_bps)
        interface = self._socketcan
        return _attempt(lambda: rate.usable(interface, rates_bps))

    def open_link(self, port: CanPort, address: IsoTpAddress, settings: IsoTpSettings) -> IsoTpLink:
        """Kernel sockets on SocketCAN, our own state machine elsewhere."""
        if self._socketcan is None:
            return SoftIsoTpLink(port, address, settings)
        interface = self._socketcan
        return _attempt(lambda: KernelIsoTpLink(interface, address, settings))

    def kline(self) -> KLine:
        """Opened on the running loop, for whoever closes it. Raises PitboxError."""
        spec = self._kline
        return super().kline() if spec is None else _attempt(lambda: open_kline(spec))

    def pins(self) -> Pins:
        """The lines named at the start, those of the supply among them. Raises PitboxError PORT_MISSING."""
        return super().pins() if self._pins is None else self._pins

    def supply(self) -> Supply:
        """Switched by two of the lines, and its current measured. Raises PitboxError PORT_MISSING."""
        if self._supply is not None and self._ammeter is None:
            raise PortMissingError(phrase("port.ammeter"), "--ammeter")
        return super().supply() if self._supply is None else self._supply

    def person(self) -> Person:
        """Raises PitboxError PORT_MISSING."""
        return super().person() if self._person is None else self._person

    def _switched(self) -> Supply | None:
        pins = self._pins
        if pins is None or not pins.names & set(Output):
            return None
        return _attempt(
            lambda: SwitchedSupply(pins, {one: one.value for one in Output}, self.meter, self._ammeter)
        )

    @property
    def _socketcan(self) -> str | None:
        kind, _, channel = (self._can or "").partition(":")
        return channel if kind == "socketcan" else None

    def _open(self, wanted: BitRate) -> CanPort:
        can = self._can
        if can is None:
            return super().open_port(wanted.bitrate_bps, wanted.data_bitrate_bps)

        def attempt() -> CanPort:
            if self._socketcan is not None:
                rate.ensure(self._socketcan, wanted)
            return open_can(can, wanted.bitrate_bps, wanted.data_bitrate_bps)

        return _attempt(attempt)


def _attempt(open_it: Callable[[], Opened]) -> Opened:
    try:
        return open_it()
    except WrongBitRateError as error:
        raise EngineError("CAN_BIT_RATE", technical_text=str(error), command=error.command) from error
    except (
        CanBusGoneError,
        VoltmeterError,
        AmmeterError,
        PinsError,
        SupplyError,
        OSError,
        ValueError,
    ) as error:
        raise EngineError("HARDWARE_MISSING", technical_text=str(error)) from error
