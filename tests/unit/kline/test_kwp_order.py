"""A simulated ECU on a K-line keeps to what hangs on what: erases that take others, and an order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.operations.write import recover, write
from appliance.engine.tuned_package import MasterWish
from appliance.ports.simulated import with_right_checksums
from appliance.protocols.access import Block, EcuRefusedError, Purpose
from appliance.protocols.kwp2000.access import KwpAccess
from appliance.protocols.kwp2000.session import KwpSession
from drivers.kline.simulated import SimulatedKLine
from simulator.car import Car, CarSettings
from simulator.ecu.watch import Counter
from simulator.kinds import wires_for
from simulator.kline.controller import KLineController
from simulator.virtualtime import run_virtual
from tests.faults.ties import Tie, tied
from tests.support.kwp_definition import how_of
from tests.support.two_memories import Job, on_a_car

K7 = load_definition(PACKS / "pbx-k7.toml")


def with_tie(tie: Tie) -> Definition:
    """Of its calibration and its code."""
    found = tied(K7, tie)
    assert (found == K7) is (tie is Tie.NONE)
    return found


@dataclass(frozen=True, slots=True)
class Bench:
    ecu: KLineController
    access: KwpAccess

    def blocks(self, name: str) -> list[Block]:
        region = self.ecu.definition.region(name)
        return [Block(name, place, region.block_id) for place in region.sector_ranges()]

    def held(self, block: Block) -> bytes:
        return self.ecu.memory.read(block.start, block.size)

    async def erase(self, *blocks: Block) -> None:
        for block in blocks:
            await self.access.memory.erase(block)

    async def program(self, *blocks: Block) -> None:
        for block in blocks:
            await self.access.memory.program(block, bytes(block.size), lambda count: None)


def on_bench(tie: Tie, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        definition = with_tie(tie)
        car = Car([definition], wires_for(definition), CarSettings(seed=3, finish=with_right_checksums))
        car.power_up()
        await asyncio.sleep(1)
        line = SimulatedKLine(car.wires.require_kline().attach("box"))
        access = KwpAccess(KwpSession(line, how_of(definition), definition.id), definition)
        assert isinstance(car.ecu, KLineController)
        await access.lifecycle.open(Purpose.WRITE)
        await scene(Bench(car.ecu, access))
        car.close()

    run_virtual(main())


def other(bench: Bench) -> str:
    """The region that is tied to the calibration."""
    names = [one.name for one in bench.ecu.definition.regions if one.writable and one.tag != "calibration"]
    return names[0]


@pytest.mark.parametrize("tie", [Tie.ONE_WAY, Tie.BOTH_WAYS, Tie.ALL])
def test_an_erase_takes_what_hangs_on_it(tie: Tie) -> None:
    async def scene(bench: Bench) -> None:
        first, *_, last = bench.blocks("calibration")
        kept, taken = bench.held(last), bench.blocks(other(bench))
        await bench.erase(first)
        assert all(set(bench.held(block)) == {0xFF} for block in (first, *taken))
        assert bench.held(last) == kept
        starts = {place.start for place in (first.place, *(one.place for one in taken))}
        assert set(bench.ecu.server.routines.erased) == starts

    on_bench(tie, scene)


def test_an_erase_takes_nothing_that_does_not_hang_on_it() -> None:
    async def scene(bench: Bench) -> None:
        kept = [bench.held(block) for block in bench.blocks("calibration")]
        await bench.erase(bench.blocks(other(bench))[0])
        assert [bench.held(block) for block in bench.blocks("calibration")] == kept

    on_bench(Tie.ONE_WAY, scene)


@pytest.mark.parametrize("tie", [Tie.IN_ORDER, Tie.ENDS])
def test_a_block_before_its_turn_is_refused(tie: Tie) -> None:
    """Which waits for the calibration, or comes last."""

    async def scene(bench: Bench) -> None:
        cal, code = bench.blocks("calibration")[0], bench.blocks(other(bench))[0]
        await bench.erase(cal, code)
        with pytest.raises(EcuRefusedError) as caught:
            await bench.program(code)
        assert caught.value.code == 0x22 and set(bench.held(code)) == {0xFF}
        await bench.program(cal, code)

    on_bench(tie, scene)


def test_what_comes_first_is_waited_for_and_each_region_goes_from_its_end() -> None:
    async def scene(bench: Bench) -> None:
        cal, code = bench.blocks("calibration")[0], bench.blocks(other(bench))[-2:]
        await bench.erase(cal, *code)
        for early in (cal, code[0]):
            with pytest.raises(EcuRefusedError):
                await bench.program(early)
        await bench.program(code[1], code[0], cal)

    on_bench(Tie.FIRST, scene)


def test_without_ties_blocks_go_upwards() -> None:
    async def scene(bench: Bench) -> None:
        low, high = bench.blocks("calibration")[:2]
        await bench.erase(low, high)
        with pytest.raises(EcuRefusedError):
            await bench.program(high)
        await bench.program(low, high)

    on_bench(Tie.NONE, scene)


@pytest.mark.parametrize("tie", list(Tie))
def test_a_whole_write_with_a_cut_keeps_to_it(tmp_path: Path, tie: Tie) -> None:
    async def test(job: Job) -> None:
        tuned = job.tuned("calibration")
        watch = job.car.ecu.core.watch
        total = watch.totals[Counter.PROGRAMMED]
        watch.at(Counter.PROGRAMMED, total + 0x400, lambda _: job.car.power_cut())
        wish = MasterWish(changed_regions=("calibration",))
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED"):
            await write(job.box, job.id, job.hand_in(tuned), wish, engine_off=True)
        job.car.power_up()
        await asyncio.sleep(6)
        assert (await recover(job.box, job.id))["result"] == "done"
        assert job.all_held() == tuned

    on_a_car(tmp_path, test, with_tie(tie))
