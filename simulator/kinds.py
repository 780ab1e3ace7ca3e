"""The protocols that the simulator knows, by name: their wire, and their controller at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance.definitions.access.kwp2000 import kwp_access
from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from simulator.bus import SimBus
from simulator.controller import Build, Controller
from simulator.ecu.ecu import SimulatedEcu
from simulator.kline.controller import KLineController, wake_byte
from simulator.kline.wire import KWire
from simulator.wires import Wires


@dataclass(frozen=True, slots=True)
class Kind:
    """A controller that speaks one protocol."""

    wire: Callable[[Definition, Wires], None]
    """Adds the wire that its definition asks for, where it is not there yet."""
    build: Callable[[Definition, Wires, Build], Controller]
    told: Callable[[Definition], Mapping[str, object]]
    """Where it is found on its wire, for whoever connects to it."""


def _can(definition: Definition, wires: Wires) -> None:
    bus = uds_access(definition).bus
    wires.can = wires.can or SimBus(bus.bitrate_bps, bus.data_bitrate_bps)


def _uds(definition: Definition, wires: Wires, build: Build) -> Controller:
    return SimulatedEcu(definition, wires.require_can().attach, build)


def _uds_told(definition: Definition) -> Mapping[str, object]:
    own = uds_access(definition).addressing
    return {
        "request_id": own.request_id,
        "response_id": own.response_id,
        "functional_id": own.functional_id,
    }


def _kline(definition: Definition, wires: Wires) -> None:
    del definition  # every ECU wakes at its own rate
    wires.kline = wires.kline or KWire()


def _kwp(definition: Definition, wires: Wires, build: Build) -> Controller:
    return KLineController(definition, wires.require_kline(), build)


def _kwp_told(definition: Definition) -> Mapping[str, object]:
    line = kwp_access(definition).line
    return {
        "wake": line.wake,
        "wake_address": wake_byte(line),
        "target": line.target,
        "rate_bps": line.rate_bps,
    }


_KINDS: dict[str, Kind] = {
    "uds": Kind(_can, _uds, _uds_told),
    "kwp2000": Kind(_kline, _kwp, _kwp_told),
}


def register(protocol: str, kind: Kind) -> None:
    """Make a protocol known. Raises ValueError for a name that is taken."""
    if _KINDS.setdefault(protocol, kind) is not kind:
        raise ValueError(f"the protocol {protocol!r} has a simulated controller already")


def kind_of(definition: Definition) -> Kind:
    """By the first of its accesses that the simulator knows. Raises LookupError."""
    for access in definition.accesses:
        if access.protocol in _KINDS:
            return _KINDS[access.protocol]
    raise LookupError(f"no simulated controller speaks to any access of {definition.id}")


def wires_for(*definitions: Definition) -> Wires:
    """Simulated wires, as these ECUs need them together."""
    wires = Wires()
    for definition in definitions:
        kind_of(definition).wire(definition, wires)
    return wires
