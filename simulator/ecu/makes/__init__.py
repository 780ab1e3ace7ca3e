"""Simulated ECUs whose way of being written is their own: strict, and written from the public facts alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.ecu.core import Answer, Core, Make
from simulator.ecu.makes.psa import Psa
from simulator.ecu.makes.vbf import Vbf
from simulator.ecu.makes.veteran import Veteran
from simulator.ecu.makes.vw import Vw


class Plain:
    """Follows the tables of its definition."""

    services: Mapping[int, Callable[[bytes], Answer]] = {}


_KINDS: dict[str, Callable[[Core], Make]] = {
    "plain": lambda core: Plain(),
    "vw": Vw,
    "vbf": Vbf,
    "psa": Psa,
    "veteran": Veteran,
}


def make_of(core: Core) -> Make:
    """The one of this ECU since it started."""
    if core.make is None:
        core.make = _KINDS[core.definition.twin.kind](core)
    return core.make
