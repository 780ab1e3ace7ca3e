"""How a bus does is told of the second that was listened to."""

from __future__ import annotations

import asyncio

import pytest

from appliance.protocols.access import LinkHealth
from appliance.protocols.uds.link_health import CanLink
from drivers.can.interface import CanFrame
from simulator.bus import Fate, FrameFate, SimBus
from simulator.virtualtime import run_virtual

CORRUPTED, CLEAN = CanFrame(0x100, b"\xff"), CanFrame(0x101, b"\x00")


@pytest.mark.parametrize("own", [True, False], ids=["sent", "received"])
def test_errors_from_before_are_counted_and_are_not_new(own: bool) -> None:
    """Both counters of the controller, which fall again with each frame that goes well."""

    async def main() -> tuple[LinkHealth, LinkHealth]:
        bus = SimBus(500_000)
        box, ecu = bus.attach("box"), bus.attach("ecu")
        sender, left = (box if own else ecu), [CORRUPTED, CORRUPTED]

        def once_each(frame: CanFrame) -> FrameFate | None:
            if frame not in left:
                return None
            left.remove(frame)
            return FrameFate(Fate.CORRUPTED)

        bus.fault = once_each
        sender.send(CORRUPTED)
        await asyncio.sleep(1)
        before = box.health()
        assert before.tx_errors + before.rx_errors > 0
        quiet = await CanLink(box).listen()
        left += [CLEAN] * 3
        asyncio.get_running_loop().call_later(0.5, sender.send, CLEAN)
        return quiet, await CanLink(box).listen()

    quiet, disturbed = run_virtual(main())
    assert quiet.errors > 0 and quiet.new_errors == 0
    assert disturbed.new_errors == disturbed.errors - quiet.errors > 0
