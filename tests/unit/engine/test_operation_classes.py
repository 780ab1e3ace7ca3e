"""One operation has the ECU, a pre-emptible one gives way to it, and harmless ones run beside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from appliance.contract.actors import Actor
from appliance.contract.errors import PitboxError
from appliance.contract.operations import JobId, OperationClass, Parameters
from appliance.contract.results import Result
from appliance.engine.context import EngineContext, open_box
from appliance.engine.event_hub import Hub
from appliance.engine.operation import Operation
from appliance.engine.operation_runner import Operator
from appliance.engine.operations import registry
from appliance.engine.operations.registry import PREVIEWS, VERBS, Verb, prepare
from appliance.engine.settings import EngineSettings
from appliance.engine.worker import Worker
from appliance.ports.settings import SimulationSettings
from appliance.ports.simulated import loop_factory, pass_time
from tests.support.engine import HANG_S
from tests.support.garage import Readied

KIM = Actor("operator", 7)
SHIPPED = {**VERBS, **{f"preview {name}": verb for name, verb in PREVIEWS.items()}}


class Probe(Parameters):
    verb: str
    job: JobId | None = None


@dataclass
class Bench:
    """An operator whose verbs hold until they are let go."""

    box: EngineContext
    worker: Worker
    hub: Hub
    operator: Operator
    story: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """By verb; they belong to the worker's loop."""

    def register(self, patch: pytest.MonkeyPatch, name: str, kind: OperationClass, **more: Any) -> None:
        hold = self.held[name] = asyncio.Event()

        async def work(box: EngineContext, asked: Probe) -> Result:
            self.story.append(f"{name} begins")
            try:
                await hold.wait()
                return cast(Result, {"job": asked.job})
            finally:
                self.story.append(f"{name} lets go")

        patch.setitem(registry.VERBS, name, Verb(Probe, dict, kind, work, **more))

    def start(self, verb: str, job: str | None = None) -> Operation:
        asked = {"job": job} if job else {}
        return self.operator.start(verb, job, prepare(verb, asked), KIM, asked)

    def refused(self, verb: str, job: str | None = None) -> PitboxError:
        with pytest.raises(PitboxError) as error:
            self.start(verb, job)
        assert error.value.code == "ENGINE_BUSY" and error.value.do_now
        return error.value

    async def release(self, verb: str) -> None:
        await self.worker.call(self.held[verb].set)

    async def over(self, operation: Operation) -> Operation:
        async with asyncio.timeout(HANG_S):
            await operation.finished.wait()
        return operation


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], None]:
    def register(bench: Bench) -> None:
        bench.register(monkeypatch, "live", OperationClass.PREEMPTIBLE)
        bench.register(monkeypatch, "write", OperationClass.EXCLUSIVE)
        bench.register(monkeypatch, "read", OperationClass.EXCLUSIVE)
        bench.register(monkeypatch, "word", OperationClass.HARMLESS)
        bench.register(monkeypatch, "look", OperationClass.HARMLESS, opens_files=True)

    return register


@contextmanager
def working() -> Iterator[Worker]:
    worker = Worker()
    try:
        yield worker
    finally:
        worker.stop()


def at(readied: Readied, verbs: Callable[[Bench], None], test: Callable[[Bench], Awaitable[None]]) -> None:
    async def inside(worker: Worker) -> None:
        loop, hub = asyncio.get_running_loop(), Hub()
        settings = EngineSettings(readied.state, readied.state / "engine.sock")
        box = await worker.call(
            lambda: open_box(
                settings, cast(Any, None), lambda told: loop.call_soon_threadsafe(hub.publish, told)
            )
        )
        events = box.journal.events
        hub.begin(events.head, lambda *page: worker.call(lambda: events.between(*page)))
        bench = Bench(box, worker, hub, Operator(box, worker, hub))
        verbs(bench)
        await test(bench)
        for operation in bench.operator._operations.values():
            await bench.operator.cancel(operation.id)
            await bench.over(operation)
        await worker.call(box.journal.close)

    with working() as worker:
        asyncio.run(inside(worker))


def test_no_verb_that_ships_gives_way_and_what_asks_the_ecu_is_exclusive() -> None:
    harmless = {name for name, verb in SHIPPED.items() if verb.kind is OperationClass.HARMLESS}
    assert harmless == {"settle", "set_aside", "preview write", "preview restore", "preview recover"}
    assert {verb.kind for name, verb in SHIPPED.items() if name not in harmless} == {OperationClass.EXCLUSIVE}
    assert all(verb.opens_files for verb in PREVIEWS.values())


def test_a_preemptible_one_gives_way_and_its_asker_is_told(
    slave: Readied, verbs: Callable[[Bench], None]
) -> None:
    async def test(bench: Bench) -> None:
        live = bench.start("live", "car")
        writing = bench.start("write", "car")
        assert bench.operator.current is writing
        await bench.over(live)
        await bench.release("write")
        await bench.over(writing)
        assert bench.story == ["live begins", "live lets go", "write begins", "write lets go"]
        assert (live.state, writing.state) == ("cancelled", "done")
        assert live.error is not None and live.error["code"] == "GAVE_WAY"
        assert "write was asked for" in live.error["what"]
        kept = {one["id"]: one for one in await bench.operator.all()}
        assert (kept[live.id]["state"], kept[live.id]["error"]) == ("cancelled", live.error)
        assert kept[writing.id]["state"] == "done"
        assert bench.operator.current is None

    at(slave, verbs, test)


@pytest.mark.parametrize("verb", ["write", "read", "live", "look"])
def test_what_has_the_ecu_refuses_others_and_is_named(
    slave: Readied, verbs: Callable[[Bench], None], verb: str
) -> None:
    async def test(bench: Bench) -> None:
        writing = bench.start("write", "car")
        error = bench.refused(verb, "other")
        assert "busy with write of job car" in error.what
        assert error.details == (f"operation {writing.id}, asked for by operator:7",)
        await bench.release("write")
        await bench.over(writing)
        assert bench.start(verb, "other").state == "running"

    at(slave, verbs, test)


def test_two_that_give_way_do_not_use_the_ecu_together(
    slave: Readied, verbs: Callable[[Bench], None]
) -> None:
    async def test(bench: Bench) -> None:
        bench.start("live")
        assert "busy with live" in bench.refused("live").what
        for beside in ("word", "look"):
            await bench.release(beside)
            assert (await bench.over(bench.start(beside, "car"))).state == "done"

    at(slave, verbs, test)


def test_a_harmless_one_runs_beside_and_leaves_all_as_it_is(
    slave: Readied, verbs: Callable[[Bench], None]
) -> None:
    async def test(bench: Bench) -> None:
        writing = bench.start("write", "car")
        await bench.worker.turn()
        assert bench.box.writing
        bench.hub._latest["alarm"] = {"kind": "alarm"}
        await bench.release("word")
        word = await bench.over(bench.start("word", "other"))
        assert (word.state, bench.operator.current) == ("done", writing)
        assert bench.box.writing, "the write is still one"
        assert "alarm" in bench.hub.snapshot(), "what is current of the write still is"
        assert bench.story == ["write begins", "word begins", "word lets go"]

    at(slave, verbs, test)


@pytest.mark.parametrize("job", ["car", None])
def test_nothing_is_said_of_a_job_while_it_may_be_written(
    slave: Readied, verbs: Callable[[Bench], None], job: str | None
) -> None:
    """A word that sets an open write aside would take it from under the hands that write it."""

    async def test(bench: Bench) -> None:
        bench.start("write", job)
        bench.refused("word", "car")

    at(slave, verbs, test)


def test_an_engine_that_stops_waits_for_all_of_them(slave: Readied, verbs: Callable[[Bench], None]) -> None:
    async def test(bench: Bench) -> None:
        running = [bench.start("write", "car"), bench.start("word", "other")]
        await bench.operator.close()
        assert [one.state for one in running] == ["cancelled", "cancelled"]
        with pytest.raises(PitboxError, match="ENGINE_STOPPING"):
            bench.start("word")

    at(slave, verbs, test)


def test_simulated_time_passes_until_the_last_of_them_is_done() -> None:
    worker = Worker(loop_factory(SimulationSettings("any")), pass_time)

    async def longer() -> float:
        with worker.time_passing():
            with worker.time_passing():
                await asyncio.sleep(1)
            await asyncio.sleep(9)
            return asyncio.get_running_loop().time()

    try:
        assert worker.submit(longer()).result(HANG_S) == 10.0
    finally:
        worker.stop()
