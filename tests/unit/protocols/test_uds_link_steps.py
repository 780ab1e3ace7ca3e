"""Steps that leave the link, ask the person, keep quiet and leave clean, on an ECU that wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.library import Way
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from appliance.protocols.access import AccessError, Block, EcuAccess, EcuRefusedError, Purpose
from appliance.protocols.transforms import none_supplied
from appliance.protocols.uds.links import open_ecu
from drivers.person.simulated import Reply, SimulatedPerson
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.makes.veteran import NOT_LEFT_CLEAN
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.definitions import raw, validated

Q250 = load_definition(PACKS / "pbx-q250.toml")
IGNITION = {
    "verb": "ask", "question": "ignition_off_and_on", "text": "Ignition off, and on again after 10 s.",
    "deadline_s": 60.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """A car, the access to its ECU over a box's ports, and every request that the ECU got."""

    car: Car
    access: EcuAccess
    asked: list[bytes]

    def blocks(self) -> list[Block]:
        """The two that can be written, in the order that the ECU wants."""
        regions = [self.car.ecu.definition.region(name) for name in ("cal", "asw")]
        return [Block(one.name, one.place, one.block_id) for one in regions]

    def soon_after(self, request: str, happens: Callable[[], object]) -> None:
        """Once, when the ECU has answered that request and does not listen any more."""
        payload, loop = bytes.fromhex(request), asyncio.get_running_loop()

        def hear(heard: bytes) -> None:
            self.asked.append(heard)
            if heard == payload and self.asked.count(payload) == 1:
                loop.call_later(0.1, happens)

        self.car.ecu.request_hook = hear

    async def rewrite(self, block: Block) -> None:
        data = self.car.ecu.memory.read(block.start, block.size)
        await self.access.memory.erase(block)
        await self.access.memory.program(block, data, lambda count: None)


def changed(change: Callable[[dict[str, Any]], None]) -> Definition:
    tables = raw(Q250)
    change(tables["access"][0])
    return validated(tables)


def on_bench(
    scene: Callable[[Bench], Awaitable[None]],
    definition: Definition = Q250,
    person: SimulatedPerson | None = None,
) -> None:
    async def main() -> None:
        car = Car((definition,), wires_for(definition), CarSettings(seed=7, finish=with_right_checksums))
        asked: list[bytes] = []
        car.ecu.request_hook = asked.append
        car.power_up()
        await asyncio.sleep(1.0)
        box = SimulatedCarInterface(car, definition, person=person)
        try:
            async with open_ecu(box, Way(definition, definition.accesses[0]), none_supplied) as access:
                await scene(Bench(car, access, asked))
        finally:
            car.close()

    run_virtual(main())


def test_while_the_link_is_left_nothing_is_sent_and_then_the_same_ecu_answers() -> None:
    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.asked.count(bytes.fromhex("1A8C")) == 2
        assert bench.car.ecu.program is Program.BOOTLOADER

    on_bench(scene)


def test_another_ecu_behind_the_link_is_not_opened() -> None:
    async def scene(bench: Bench) -> None:
        core = bench.car.ecu.core
        other = core.definition.twin.model_copy(update={"serial": "SIM0000XXXX"})

        def swapped() -> None:
            core.definition = core.definition.model_copy(update={"simulation": other})

        bench.soon_after("1002", swapped)
        with pytest.raises(PitboxError, match="ECU_CHANGED"):
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.asked.count(bytes.fromhex("1002")) == 1

    on_bench(scene)


def test_a_power_cut_while_the_link_is_left_ends_where_the_list_begins() -> None:
    async def scene(bench: Bench) -> None:
        bench.soon_after("1002", bench.car.power_cut)
        with pytest.raises(AccessError):
            await bench.access.lifecycle.open(Purpose.WRITE)
        bench.car.connect()
        await asyncio.sleep(1.0)
        assert bench.car.ecu.program is Program.APPLICATION
        await bench.access.lifecycle.open(Purpose.RECOVER)
        for block in bench.blocks():
            await bench.rewrite(block)
        await bench.access.lifecycle.commit()
        assert bench.car.ecu.program is Program.APPLICATION

    on_bench(scene)


def asking(table: dict[str, Any]) -> None:
    table["steps"]["open"] = [IGNITION, *table["steps"]["open"]]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([Reply("done")], None),
        ([Reply("perhaps"), Reply("done")], None),
        ([Reply("stop")], "QUESTION_DECLINED"),
        ([Reply("done", after_s=61)], "QUESTION_UNANSWERED"),
        ([], "QUESTION_UNANSWERED"),
    ],
)
def test_the_person_is_asked_in_the_sequence_and_nothing_is_sent_before_the_answer(
    answers: list[Reply], code: str | None
) -> None:
    person = SimulatedPerson({"ignition_off_and_on": answers})

    async def scene(bench: Bench) -> None:
        if code is None:
            await bench.access.lifecycle.open(Purpose.WRITE)
        else:
            with pytest.raises(PitboxError, match=code):
                await bench.access.lifecycle.open(Purpose.WRITE)
            assert not [one for one in bench.asked if one[0] in (0x10, 0x27)]
        assert len(person.asked) == 1

    on_bench(scene, changed(asking), person)


def test_without_anybody_to_ask_nothing_is_sent() -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(PitboxError, match="PORT_MISSING"):
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert not bench.asked

    on_bench(scene, changed(asking))


def test_a_tester_that_does_not_keep_quiet_gets_nothing_erased() -> None:
    def loud(table: dict[str, Any]) -> None:
        table["timing"]["tester_present_ms"] = 100
        table["steps"]["erase"][0]["quiet"] = False

    async def refused(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        with pytest.raises(EcuRefusedError):
            await bench.access.memory.erase(bench.blocks()[1])

    async def written(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        for block in bench.blocks():
            await bench.rewrite(block)
        await asyncio.sleep(6)
        assert bench.car.ecu.program is Program.BOOTLOADER, "the beat goes on behind the quiet steps"

    on_bench(refused, changed(loud))
    on_bench(written, changed(lambda table: table["timing"].update(tester_present_ms=100)))


def test_the_length_in_memory_is_refused_where_that_of_the_wire_is_wanted() -> None:
    def wrong(table: dict[str, Any]) -> None:
        table["steps"]["program"][0]["open"] = "34 11 {block_id} {size:4}"

    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        with pytest.raises(EcuRefusedError):
            await bench.rewrite(bench.blocks()[0])

    on_bench(scene, changed(wrong))


@pytest.mark.parametrize("clean", [True, False])
def test_an_ecu_that_is_not_left_as_it_wants_keeps_its_fault_code(clean: bool) -> None:
    def without(table: dict[str, Any]) -> None:
        table["steps"]["close"] = table["steps"]["close"] if clean else None

    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        for block in bench.blocks():
            await bench.rewrite(block)
        await bench.access.lifecycle.commit()
        assert bench.car.ecu.program is Program.APPLICATION
        assert (NOT_LEFT_CLEAN in bench.car.ecu.records.dtcs) is not clean

    on_bench(scene, changed(without))
