"""Memory that is read by an upload in a form of the ECU's own: whole, resumed, and never made up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from appliance.contract.places import Range
from appliance.definitions.library import Way
from appliance.definitions.schema import Definition
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from appliance.protocols.access import EcuAccess, EcuRefusedError, Purpose
from appliance.protocols.transforms import none_supplied
from appliance.protocols.uds.links import open_ecu
from simulator.car import Car, CarSettings
from simulator.ecu.hooks import Mishap, RequestFate
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.step_variants import Tables, of_pack, read_by_upload

UPLOADS = of_pack("pbx-q250", read_by_upload)
Scene = Callable[[Car, EcuAccess, list[bytes]], Awaitable[None]]


def on_bench(scene: Scene, definition: Definition = UPLOADS) -> None:
    async def main() -> None:
        car = Car((definition,), wires_for(definition), CarSettings(seed=7, finish=with_right_checksums))
        asked: list[bytes] = []
        car.ecu.request_hook = asked.append
        car.power_up()
        await asyncio.sleep(1.0)
        way = Way(definition, definition.accesses[0])
        try:
            async with open_ecu(SimulatedCarInterface(car), way, none_supplied) as access:
                await access.lifecycle.open(Purpose.READ)
                await scene(car, access, asked)
        finally:
            car.close()

    run_virtual(main())


def whole(car: Car) -> Range:
    return car.ecu.definition.region("asw").place


def test_a_span_is_announced_as_the_step_says_and_comes_whole() -> None:
    async def scene(car: Car, access: EcuAccess, asked: list[bytes]) -> None:
        place = whole(car)
        assert await access.memory.read(place) == car.ecu.memory.read(place.start, place.length)
        (opening,) = [one for one in asked if one[0] == 0x35]
        assert opening == b"\x35" + place.start.to_bytes(3) + b"\0" + place.length.to_bytes(3)
        assert asked.count(b"\x37") == 1 and not [one for one in asked if one[0] == 0x23]

    on_bench(scene)


@pytest.mark.parametrize("mishap", [Mishap.UNANSWERED, Mishap.REPLAYED, Mishap.TRUNCATED, Mishap.DOUBLED])
@pytest.mark.parametrize("service", [0x35, 0x36, 0x37])
def test_an_upload_that_stumbles_goes_on_and_gives_what_is_there(mishap: Mishap, service: int) -> None:
    async def scene(car: Car, access: EcuAccess, asked: list[bytes]) -> None:
        seen: list[bytes] = []

        def stumble(request: bytes) -> RequestFate | None:
            if request[0] == service:
                seen.append(request)
                if len(seen) in (1, 4):
                    return RequestFate(mishap, count=1)
            return None

        car.ecu.request_hook = stumble
        place = whole(car)
        assert await access.memory.read(place) == car.ecu.memory.read(place.start, place.length)
        assert seen

    on_bench(scene)


def test_an_announcement_in_another_form_is_refused() -> None:
    def otherwise(tables: Tables) -> None:
        tables["access"][0]["steps"]["read"][0]["open"] = "35 00 33 {start:3} {size:3}"

    async def scene(car: Car, access: EcuAccess, asked: list[bytes]) -> None:
        with pytest.raises(EcuRefusedError):
            await access.memory.read(whole(car))

    on_bench(scene, of_pack("pbx-q250", read_by_upload, otherwise))


def test_steps_around_it_are_done_for_each_span() -> None:
    def surrounded(tables: Tables) -> None:
        steps = tables["access"][0]["steps"]["read"]
        steps.insert(0, {"verb": "request", "send": "3E 00"})
        steps.append({"verb": "wait", "seconds": 0.5})

    async def scene(car: Car, access: EcuAccess, asked: list[bytes]) -> None:
        before = len(asked)
        await access.memory.read(Range("flash", whole(car).start, 0x100))
        services = [one[0] for one in asked[before:] if one[0] != 0x22]
        at = services.index(0x35)
        assert services[at - 1] == 0x3E and services[at + 1 : at + 3] == [0x36, 0x37]

    on_bench(scene, of_pack("pbx-q250", read_by_upload, surrounded))


def test_no_upload_is_longer_than_its_size_can_tell() -> None:
    def short(tables: Tables) -> None:
        tables["access"][0]["steps"]["read"][0]["open"] = "35 {start:3} 00 00 {size:2}"

    async def scene(car: Car, access: EcuAccess, asked: list[bytes]) -> None:
        regions = car.ecu.definition.regions
        span = Range("flash", regions[0].start, sum(one.size_bytes for one in regions))
        assert span.length > 0xFFFF
        assert await access.memory.read(span) == car.ecu.memory.whole()
        assert [int.from_bytes(one[6:]) for one in asked if one[0] == 0x35] == [0xFFFF, span.length - 0xFFFF]

    on_bench(scene, of_pack("pbx-q250", read_by_upload, short))
