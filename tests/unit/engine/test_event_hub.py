"""Listeners are told every event by number, whatever they do and whatever happens to the engine."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.actors import BOX
from appliance.contract.events import (
    AlarmEvent,
    Event,
    NoteEvent,
    OperationEvent,
    Phase,
    ProgressEvent,
    Recorded,
    StateEvent,
)
from appliance.engine import event_hub
from appliance.engine.event_hub import RECENT_EVENTS, Hub
from appliance.flashing.journal import Journal
from simulator.virtualtime import run_virtual
from tests.support.box import mac


def progress(done_bytes: int) -> ProgressEvent:
    return ProgressEvent("job", Phase.WRITE, done_bytes, 100, 1.0, 0.5, 1.0, 13.5)


class Engine:
    """A journal and its hub, as `serving` puts them together, over any number of lives."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.db"
        self.hub = Hub()
        self.told = 0
        self.start()

    def start(self) -> None:
        self.hub = hub = Hub()
        self.journal = journal = Journal(self._path, lambda: 0.0, mac, self.hub.publish)

        async def page(after: int, until: int, most: int) -> list[dict[str, Any]]:
            await asyncio.sleep(0.001)
            if self.journal is not journal:
                raise ConnectionError("that life is over")
            return journal.events.between(after, until, most)

        hub.begin(self.journal.events.head, page)

    def restart(self) -> None:
        self.hub.close()
        self.journal.close()
        self.start()

    def note(self) -> None:
        self.told += 1
        self.journal.events.tell(NoteEvent(None, "trying_again", {"error": str(self.told)}))


class Client:
    """Takes events one by one, and comes back with the last number it knows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.after = 0
        self.lines: list[dict[str, Any]] = []

    async def take(self, most: int, pause_s: float, enough: Callable[[], bool]) -> None:
        """One connection, torn after some events or heartbeats, or ended by the engine's end."""
        taken = 0
        async for line in self._engine.hub.listen(self.after):
            taken += 1
            if "seq" in line:
                self.lines.append(line)
                self.after = line["seq"]
            if taken >= most or enough():
                return
            await asyncio.sleep(pause_s)

    @property
    def notes(self) -> list[int]:
        return [int(line["fields"]["error"]) for line in self.lines if line["kind"] == "note"]


async def _follow(client: Client, dice: random.Random, until: Callable[[], bool]) -> None:
    while not until():
        with suppress(ConnectionError):
            await client.take(dice.randint(1, 40), dice.choice((0.0, 0.0, 0.01, 0.3)), until)
        await asyncio.sleep(dice.choice((0.0, 0.05, 1.0)))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(st.sampled_from(("note",) * 6 + ("progress",) * 3 + ("restart",)), max_size=200),
)
def test_nobody_misses_anything(seed: int, steps: list[str]) -> None:
    """Two listeners that are slow and break off, an engine that starts again, a memory of a few events."""
    dice = random.Random(seed)

    async def scene(folder: Path) -> None:
        engine = Engine(folder)
        clients = [Client(engine) for _ in range(2)]
        over = asyncio.Event()

        def caught_up(client: Client) -> Callable[[], bool]:
            return lambda: over.is_set() and len(client.notes) == engine.told

        followers = [
            asyncio.ensure_future(_follow(client, random.Random(seed + n), caught_up(client)))
            for n, client in enumerate(clients)
        ]
        for step in steps:
            if step == "note":
                engine.note()
            elif step == "progress":
                engine.journal.events.tell(progress(dice.randrange(100)))
            else:
                engine.restart()
            await asyncio.sleep(dice.choice((0.0, 0.0, 0.02)))
        engine.note()
        over.set()
        async with asyncio.timeout(3600):
            await asyncio.gather(*followers)
        engine.journal.close()
        for client in clients:
            assert client.notes == list(range(1, engine.told + 1))
            assert all(one["seq"] < two["seq"] for one, two in pairwise(client.lines))

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_hub, "RECENT_EVENTS", 8)
        patch.setattr(event_hub, "PAGE_EVENTS", 3)
        run_virtual(scene(Path(folder)))


def in_engine(tmp_path: Path, scene: Callable[[Engine], Coroutine[Any, Any, None]]) -> None:
    async def inside() -> None:
        engine = Engine(tmp_path)
        await scene(engine)
        engine.journal.close()

    run_virtual(inside())


async def heard(engine: Engine, after: int | None = None) -> list[dict[str, Any]]:
    """Everything there is, and the end of the stream."""
    listener = engine.hub.listen(after)
    engine.hub.close()
    return [line async for line in listener]


def test_without_a_number_a_listener_hears_from_now_on(tmp_path: Path) -> None:
    async def scene(engine: Engine) -> None:
        engine.note()
        listener = engine.hub.listen()
        engine.note()
        engine.hub.close()
        assert [line["fields"]["error"] async for line in listener] == ["2"]

    in_engine(tmp_path, scene)


def test_a_slow_listener_is_told_once_that_it_is_behind_and_then_hears_all(tmp_path: Path) -> None:
    async def scene(engine: Engine) -> None:
        listener = engine.hub.listen()
        for _ in range(RECENT_EVENTS + 100):
            engine.note()
        engine.hub.close()
        lines = [line async for line in listener]
        assert lines[0] == {"kind": "behind", "after": 0, "head": RECENT_EVENTS + 100}
        assert [line["fields"]["error"] for line in lines[1:]] == [
            str(n + 1) for n in range(RECENT_EVENTS + 100)
        ]

    in_engine(tmp_path, scene)


def test_a_number_of_another_journal_begins_at_the_beginning(tmp_path: Path) -> None:
    async def scene(engine: Engine) -> None:
        engine.note()
        assert [line["fields"]["error"] for line in await heard(engine, after=5000)] == ["1"]

    in_engine(tmp_path, scene)


def test_silence_is_told_as_a_heartbeat(tmp_path: Path) -> None:
    async def scene(engine: Engine) -> None:
        listener = engine.hub.listen()
        beats = [await anext(aiter(listener)) for _ in range(1)]
        assert beats == [{"kind": "heartbeat", "silent_s": 5.0}]

    in_engine(tmp_path, scene)


def test_the_snapshot_holds_the_latest_of_each_lasting_kind() -> None:
    hub = Hub()

    def publish(*events: Event) -> None:
        for event in events:
            hub.publish(Recorded(hub.head + 1, 0.0, BOX, event))

    publish(
        progress(1),
        NoteEvent("job", "dtcs_untold"),
        progress(2),
        AlarmEvent("job", "POWER_UNKNOWN", "supply_silent", True),
    )
    assert set(hub.snapshot()) == {"progress", "alarm"}
    assert hub.snapshot()["progress"]["done_bytes"] == 2
    hub.forget_latest()
    publish(OperationEvent("job", "op", "read", "running", "", None), StateEvent("job", "reading"))
    assert set(hub.snapshot()) == {"state"}


def test_ten_thousand_events_are_caught_up_with_in_moments(tmp_path: Path) -> None:
    """By pages of a bounded size, so that the thread that writes is never held up for long."""
    pages: list[int] = []

    async def scene(engine: Engine) -> None:
        with engine.journal.events.change():
            for number in range(10_000):
                engine.journal.events.add(NoteEvent(None, "trying_again", {"error": str(number)}))
        between = engine.journal.events.between

        def counted(after: int, until: int, most: int) -> list[dict[str, Any]]:
            found = between(after, until, most)
            pages.append(len(found))
            return found

        engine.journal.events.between = counted  # type: ignore[method-assign]
        lines = await heard(engine, after=0)
        assert [line["fields"]["error"] for line in lines] == [str(number) for number in range(10_000)]

    in_engine(tmp_path, scene)
    assert max(pages) == event_hub.PAGE_EVENTS
    assert len(pages) <= 10_000 // event_hub.PAGE_EVENTS + 1
