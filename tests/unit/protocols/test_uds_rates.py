"""The bit rate of the bus changes for a session, and is found again at the first one whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.library import Way
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.ports.missing import MissingPorts
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from appliance.protocols.access import AccessError, Block, EcuAccess, EcuRefusedError, Purpose
from appliance.protocols.transforms import none_supplied
from appliance.protocols.uds.links import open_ecu
from drivers.can.interface import CanFrame, CanPort
from simulator.bus import SimBus, SimPort
from simulator.car import Car, CarSettings
from simulator.ecu.hooks import Mishap, RequestFate
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.step_variants import FAST_BPS, RATE, of_pack, written_faster

FIRST, FAST = 500_000, FAST_BPS
VERIFY, GO = bytes.fromhex("870113"), bytes.fromhex("8703")


def quick(rate: dict[str, Any] = RATE, knows: tuple[int, ...] = (FAST,)) -> Definition:
    """An ECU that is written at twice its rate."""

    def other(tables: dict[str, Any]) -> None:
        tables["access"][0]["steps"]["open"][-1] = rate
        tables["simulation"]["protocols"]["uds"]["rates_bps"] = list(knows)

    return of_pack("pbx-q250", written_faster, other)


class Bench:
    """A car, the access to its ECU over a box's ports, and every request that the ECU got."""

    def __init__(self, car: Car, access: EcuAccess, box: Watched) -> None:
        self.car, self.access, self.box = car, access, box
        self.asked: list[bytes] = []
        self.fates: dict[bytes, list[RequestFate]] = {}
        car.ecu.request_hook = self._heard

    def _heard(self, request: bytes) -> RequestFate | None:
        self.asked.append(request)
        left = self.fates.get(request)
        return left.pop(0) if left else None

    @property
    def rates(self) -> tuple[int, int]:
        """Of the box and of the ECU."""
        port: Any = self.car.ecu
        return self.box.joined.bitrate_bps, port._port.bitrate_bps

    async def rewrite(self) -> None:
        for name in ("cal", "asw"):
            region = self.car.ecu.definition.region(name)
            block = Block(region.name, region.place, region.block_id)
            data = self.car.ecu.memory.read(block.start, block.size)
            await self.access.memory.erase(block)
            await self.access.memory.program(block, data, lambda count: None)
            assert self.car.ecu.memory.read(block.start, block.size) == data


class Watched(SimulatedCarInterface):
    """Its last port."""

    joined: CanPort

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        self.joined = super().open_port(bitrate_bps, data_bitrate_bps)
        return self.joined


class Stiff(Watched):
    """As SocketCAN: another rate is another interface."""

    def rate_change(self, port: CanPort) -> Callable[[int], None]:
        return MissingPorts.rate_change(self, port)


def on_bench(
    scene: Callable[[Bench], Awaitable[None]],
    definition: Definition | None = None,
    ports: type[Watched] = Watched,
) -> None:
    async def main() -> None:
        ecu = definition or quick()
        car = Car((ecu,), wires_for(ecu), CarSettings(seed=7, finish=with_right_checksums))
        car.power_up()
        await asyncio.sleep(1.0)
        box = ports(car)
        try:
            async with open_ecu(box, Way(ecu, ecu.accesses[0]), none_supplied) as access:
                await scene(Bench(car, access, box))
        finally:
            car.close()

    run_virtual(main())


@pytest.mark.parametrize("rate", [RATE, {**RATE, "form": "specific"}], ids=["fixed", "specific"])
def test_what_is_written_travels_at_the_other_rate(rate: dict[str, Any]) -> None:
    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.rates == (FAST, FAST)
        verify = VERIFY if rate == RATE else b"\x87\x02" + FAST.to_bytes(3)
        assert [one for one in bench.asked if one[0] == 0x87] == [verify, GO]
        await bench.rewrite()
        assert bench.access.memory.meter().bitrate_bps == FAST
        await bench.access.lifecycle.close()
        assert bench.rates == (FIRST, FIRST)
        await bench.access.identity.identify()

    on_bench(scene, quick(rate))


def test_a_write_is_quicker_by_it() -> None:
    took: dict[str, float] = {}

    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        began = asyncio.get_running_loop().time()
        await bench.rewrite()
        took[str(bench.rates[0])] = asyncio.get_running_loop().time() - began

    on_bench(scene)
    on_bench(scene, load_definition(PACKS / "pbx-q250.toml"))
    assert took[str(FAST)] < took[str(FIRST)]


def test_an_ecu_at_another_rate_hears_nothing() -> None:
    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        assert isinstance(bench.box.joined, SimPort)
        bench.box.joined.set_rate(FIRST)
        heard = len(bench.asked)
        with pytest.raises(AccessError):
            await bench.access.identity.identify()
        assert bench.asked[heard:] == [] and bench.rates == (FIRST, FAST)
        await asyncio.sleep(6)  # S3 is over: it listens at the first rate again
        await bench.access.identity.identify()
        assert bench.rates == (FIRST, FIRST)

    on_bench(scene)


def test_an_interface_that_keeps_its_rate_is_told_before_anything_is_sent() -> None:
    async def scene(bench: Bench) -> None:
        before = bench.car.ecu.memory.whole()
        with pytest.raises(PitboxError) as caught:
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert caught.value.code == "CAN_RATE_FIXED" and "500000 bit/s" in caught.value.what
        assert bench.asked == [] and bench.car.ecu.memory.whole() == before
        await bench.access.lifecycle.open(Purpose.READ)

    on_bench(scene, ports=Stiff)


def test_an_ecu_that_will_not_go_is_left_at_its_rate() -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(EcuRefusedError):
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.rates == (FIRST, FIRST) and GO not in bench.asked
        await bench.access.identity.identify()

    on_bench(scene, quick(knows=(250_000,)))


@pytest.mark.parametrize("mishap", [Mishap.UNANSWERED, Mishap.HELD])
def test_an_ecu_whose_answer_is_lost_is_found_at_the_other_rate(mishap: Mishap) -> None:
    async def scene(bench: Bench) -> None:
        bench.fates[GO] = [RequestFate(mishap)]
        await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.rates == (FAST, FAST)
        await bench.rewrite()
        await bench.access.lifecycle.close()
        assert bench.rates == (FIRST, FIRST)

    on_bench(scene)


def test_an_ecu_that_never_heard_it_is_found_at_the_first_rate() -> None:
    """The request itself is lost: the ECU stays, and the box comes back to it."""

    async def scene(bench: Bench) -> None:
        def lose(request: bytes) -> RequestFate | None:
            bench.asked.append(request)
            if request == GO and bench.asked.count(GO) == 1:
                bench.car.ecu.core.set_rate = lambda rate: None  # type: ignore[attr-defined]
            return None

        bench.car.ecu.request_hook = lose
        with pytest.raises(AccessError, match="1000000 bit/s"):
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.rates == (FIRST, FIRST)
        await bench.access.identity.identify()

    on_bench(scene)


@pytest.mark.parametrize(
    "at", [VERIFY, GO, bytes.fromhex("3E00")], ids=["verify", "transition", "first look"]
)
def test_an_ecu_that_loses_its_supply_on_the_way_is_found_again(at: bytes) -> None:
    async def scene(bench: Bench) -> None:
        loop = asyncio.get_running_loop()

        def cut(request: bytes) -> None:
            bench.asked.append(request)
            if request == at and GO[:1] in [one[:1] for one in bench.asked] and not cuts:
                cuts.append(request)
                bench.car.power_cut()
                loop.call_later(1.5, bench.car.power_up)

        cuts: list[bytes] = []
        bench.car.ecu.request_hook = cut
        with pytest.raises(AccessError):
            await bench.access.lifecycle.open(Purpose.WRITE)
        assert cuts
        await asyncio.sleep(2)
        assert bench.rates == (FIRST, FIRST)
        await bench.access.lifecycle.open(Purpose.WRITE)
        assert bench.rates == (FAST, FAST)
        await bench.rewrite()

    on_bench(scene)


def test_an_ecu_that_restarts_in_the_middle_is_opened_again_from_the_first_rate() -> None:
    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        bench.car.power_cut()
        await asyncio.sleep(1)
        bench.car.power_up()
        await asyncio.sleep(2)
        assert bench.rates == (FAST, FIRST)
        await bench.access.lifecycle.open(Purpose.RECOVER)
        assert bench.rates == (FAST, FAST)
        await bench.rewrite()

    on_bench(scene)


def test_a_box_that_is_gone_leaves_an_ecu_that_comes_back_by_itself() -> None:
    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        bench.box.joined.close()
        ecu = bench.car.ecu.definition
        await asyncio.sleep(8)
        async with open_ecu(bench.box, Way(ecu, ecu.accesses[0]), none_supplied) as again:
            await again.identity.identify()
            await again.lifecycle.open(Purpose.RECOVER)
            assert bench.rates == (FAST, FAST)

    on_bench(scene)


def test_a_reset_ends_it_for_both() -> None:
    async def scene(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.WRITE)
        await bench.rewrite()
        await bench.access.lifecycle.commit()
        assert bench.rates == (FIRST, FIRST)

    on_bench(scene)


def test_nodes_at_two_rates_do_not_hear_each_other() -> None:
    async def main() -> None:
        bus = SimBus(FIRST)
        left, right, other = bus.attach("left"), bus.attach("right"), bus.attach("other")
        heard: dict[str, list[int]] = {"right": [], "other": []}
        right.subscribe(lambda frame: heard["right"].append(frame.can_id))
        other.subscribe(lambda frame: heard["other"].append(frame.can_id))
        right.set_rate(FAST)
        sent: list[str] = []
        left.send(CanFrame(1, b"a"), lambda: sent.append("left"))
        right.send(CanFrame(2, b"b"), lambda: sent.append("right"))
        await asyncio.sleep(0.01)
        assert sent == ["left"] and heard == {"right": [], "other": [1]}
        other.set_rate(FAST)
        await asyncio.sleep(0.01)
        assert sent == ["left", "right"] and heard == {"right": [], "other": [1, 2]}
        right.send(CanFrame(3, b"c"))
        right.set_rate(FIRST)
        await asyncio.sleep(0.01)
        assert heard == {"right": [], "other": [1, 2]}

    run_virtual(main())
