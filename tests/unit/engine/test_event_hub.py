from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.events import AlarmEvent, NoteEvent, Phase, ProgressEvent, StateEvent
from appliance.engine.event_hub import QUEUE_EVENTS, Hub


def progress(done_bytes: int) -> ProgressEvent:
    return ProgressEvent("job", Phase.WRITE, done_bytes, 100, 1.0, 0.5, 1.0, 13.5)


async def heard(listener: Any) -> list[dict[str, Any]]:
    return [event async for event in listener]


def test_a_listener_hears_all_from_the_moment_it_was_made() -> None:
    async def scene() -> list[dict[str, Any]]:
        hub = Hub()
        hub.publish(StateEvent("job", "before"))
        listener = hub.listen()
        hub.publish(StateEvent("job", "after"))
        listener.close()
        return await heard(listener)

    assert [event["state"] for event in asyncio.run(scene())] == ["after"]


def test_the_snapshot_holds_the_latest_of_each_lasting_kind() -> None:
    hub = Hub()
    for event in (progress(1), NoteEvent("job", "passing"), progress(2), AlarmEvent("job", "LOW", "…", True)):
        hub.publish(event)
    assert set(hub.snapshot()) == {"progress", "alarm"}
    assert hub.snapshot()["progress"]["done_bytes"] == 2
    hub.clear()
    assert hub.snapshot() == {}


@given(count=st.integers(0, QUEUE_EVENTS + 20))
def test_a_listener_is_cut_off_exactly_when_its_queue_is_full(count: int) -> None:
    async def scene() -> tuple[list[int], list[bool]]:
        hub, cut = Hub(), list[bool]()
        slow, quick = hub.listen(on_cut=lambda: cut.append(True)), hub.listen()
        hearing = asyncio.ensure_future(heard(quick))
        for number in range(count):
            hub.tell({"n": number})
            await asyncio.sleep(0)
        hub.close()
        assert [event["n"] for event in await hearing] == list(range(count))
        return [event["n"] for event in await heard(slow)], cut

    received, cut = asyncio.run(scene())
    assert received == list(range(min(count, QUEUE_EVENTS)))
    assert cut == [True] * (count > QUEUE_EVENTS)
