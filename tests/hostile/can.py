"""Hostile ECUs on CAN."""

from __future__ import annotations

import random
from collections.abc import Sequence

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from simulator.bus import SimBus
from tests.hostile.ecu import HostileEcu
from tests.hostile.frames import FrameNode
from tests.hostile.parts import Shape
from tests.hostile.shapes import BY_NAME, SHAPES, definition_of
from tests.hostile.spite import Spite, Traits, spite_for
from tests.hostile.wires import HostileConnection
from tests.hostile.world import Cast

FRAMES_SHARE = 0.25
"""Of the runs: on a bus of frames; the others hand whole payloads over."""


class CanWorld:
    """UDS over ISO-TP."""

    name = "can"
    shapes: Sequence[Shape] = SHAPES

    def definition_of(self, shape: str) -> Definition:
        """What the box is told of such an ECU."""
        return definition_of(BY_NAME[shape])

    def cast(self, shape: str, memory: bytes, dice: random.Random) -> Cast:
        """Payloads or frames, by chance."""
        traits = Traits.drawn(dice)
        frames = dice.random() < FRAMES_SHARE
        spite = spite_for(dice, frames)
        ecu = HostileEcu(BY_NAME[shape], memory, traits, spite, random.Random(dice.random()))
        bus = self._bus(shape) if frames else None
        if bus is not None:
            FrameNode(ecu, bus, BY_NAME[shape])
        return Cast(ecu, spite, HostileConnection(ecu, bus), str(traits))

    def honest(self, shape: str, memory: bytes) -> Cast:
        """The same ECU without any spite."""
        spite = Spite(random.Random(0))
        ecu = HostileEcu(BY_NAME[shape], memory, Traits(), spite, random.Random(0))
        return Cast(ecu, spite, HostileConnection(ecu), "honest")

    def _bus(self, shape: str) -> SimBus:
        """A bus as fast as the definition says."""
        bus = uds_access(self.definition_of(shape)).bus
        return SimBus(bus.bitrate_bps, bus.data_bitrate_bps)


CAN = CanWorld()
