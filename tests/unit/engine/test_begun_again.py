"""An operation that follows at once on one that was cancelled: what the ECU still answers confuses nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from appliance.engine.operations.read import identify
from drivers.can.interface import CanFrame
from tests.support.garage import Garage, Readied, visit

FIRST_ANSWER_ID = 0x7E8
FEWEST_FRAMES = 10
"""An identification asks more than this."""


def cancelling(task: asyncio.Task[object], at_frame: int) -> Callable[[CanFrame], None]:
    """Cancel behind so many frames of the tester: the ECU has yet to answer the last of them."""
    seen = 0

    def on_frame(frame: CanFrame) -> None:
        nonlocal seen
        seen += frame.can_id < FIRST_ANSWER_ID
        if seen == at_frame:
            task.cancel()

    return on_frame


def test_a_cancelled_operation_leaves_no_second_ecu_behind(slave: Readied) -> None:
    async def attempt(garage: Garage) -> int:
        spy = garage.car.bus.attach("a spy")
        for at_frame in range(1, 1000):
            begun: asyncio.Task[object] = asyncio.create_task(identify(garage.box))
            stop = spy.subscribe(cancelling(begun, at_frame))
            with suppress(asyncio.CancelledError):
                await begun
            stop()
            if not begun.cancelled():
                return at_frame
            told = await identify(garage.box)
            assert told["identity"]["vin"] == garage.definition.simulation.vin
        raise AssertionError("an identification never ends")

    assert visit(slave, attempt) > FEWEST_FRAMES
