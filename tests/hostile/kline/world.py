"""Hostile ECUs on a K-line, and the box's plug to them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from appliance.definitions.schema import Definition
from appliance.ports.missing import MissingPorts
from drivers.kline.interface import KLine
from tests.hostile.kline.ecu import LineEcu
from tests.hostile.kline.shapes import BY_NAME, SHAPES, definition_of
from tests.hostile.kline.spite import LineSpite, Traits, spite_for
from tests.hostile.kline.wire import Wire
from tests.hostile.parts import Shape
from tests.hostile.wires import SteadyMeter
from tests.hostile.world import Cast


class LineConnection(MissingPorts):
    """A box that has a K-line and nothing else."""

    simulated = True
    fd = False
    voltmeter_missing: str | None = None

    def __init__(self, wire: Wire) -> None:
        self.meter = SteadyMeter()
        self._wire = wire

    def kline(self) -> KLine:
        """An adapter at the wire."""
        return self._wire.plug()


class LineWorld:
    """KWP2000."""

    name = "kline"
    shapes: Sequence[Shape] = SHAPES

    def definition_of(self, shape: str) -> Definition:
        """What the box is told of such an ECU."""
        return definition_of(BY_NAME[shape])

    def cast(self, shape: str, memory: bytes, dice: random.Random) -> Cast:
        """A hostile one, by chance."""
        traits = Traits.drawn(dice)
        return self._cast(shape, memory, traits, spite_for(dice), random.Random(dice.random()))

    def honest(self, shape: str, memory: bytes) -> Cast:
        """The same ECU without any spite."""
        return self._cast(shape, memory, Traits(), LineSpite(random.Random(0)), random.Random(0))

    def _cast(self, shape: str, memory: bytes, traits: Traits, spite: LineSpite, dice: random.Random) -> Cast:
        ecu = LineEcu(BY_NAME[shape], memory, traits, spite, dice)
        return Cast(ecu, spite, LineConnection(ecu.wire), str(traits))


KLINE = LineWorld()
