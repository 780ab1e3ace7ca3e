"""What a run needs of a wire and the ECUs on it: CAN and the K-line are two such worlds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.definitions.schema import Definition
from appliance.protocols.ports import CarInterface
from tests.hostile.flash import Flash
from tests.hostile.parts import Shape
from tests.hostile.spite import Spite


class Ecu(Protocol):
    """One that is hostile for a while."""

    flash: Flash

    @property
    def valid(self) -> bool:
        """Whether the ECU calls its application whole."""

    def restart(self) -> None:
        """The supply was gone for a moment."""

    def half_write(self, dice: random.Random) -> None:
        """What an earlier write left that was interrupted."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part in a run."""

    ecu: Ecu
    spite: Spite
    connection: CarInterface
    told: str
    """What a trace says of the ECU's make."""


class World(Protocol):
    """A wire, and the ECUs on it."""

    name: str
    shapes: Sequence[Shape]

    def definition_of(self, shape: str) -> Definition:
        """What the box is told of such an ECU."""

    def cast(self, shape: str, memory: bytes, dice: random.Random) -> Cast:
        """A hostile ECU with that memory, by chance; on the running loop."""

    def honest(self, shape: str, memory: bytes) -> Cast:
        """The same ECU without any spite; on the running loop."""
