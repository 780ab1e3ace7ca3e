"""The car around the ECU: supply, key, gateway, other traffic, several ECUs, and the stock images."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from appliance.definitions.schema import Definition
from drivers.can.interface import CanFrame
from simulator.battery import Battery
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.nrc import Nrc
from simulator.gateway import GatewayPolicy
from simulator.image_synthesis import region_slice, synthesise
from simulator.kinds import wires_for
from simulator.traffic import PeriodicFrame
from simulator.virtualtime import run_virtual

from .bench import CAL, CAL_SIZE, RawTester, build, on_virtual_time


def test_the_supply_follows_its_script_loads_and_ripple() -> None:
    async def main() -> None:
        battery = Battery(13.5, load_sag_v=0.1)
        battery.schedule(((1.0, 12.0), (2.0, 14.0)))
        battery.hold(11.0, 0.5)
        battery.disturb(0.4, 10.0)
        assert battery.level_v == 11.0
        await asyncio.sleep(0.6)
        battery.add_load(+1)
        assert battery.level_v == pytest.approx(13.4)
        battery.add_load(-1)
        samples = [battery.voltage_v(at * 0.0007) for at in range(1000)]
        assert max(samples) == pytest.approx(13.9, abs=0.01)
        assert min(samples) == pytest.approx(13.1, abs=0.01)
        await asyncio.sleep(0.6)
        assert battery.level_v == 12.0
        await asyncio.sleep(10)
        assert battery.voltage_v() == 14.0

    run_virtual(main())


def test_an_operation_on_the_memory_draws_current() -> None:
    definition = build(simulation={"erase_ms_per_kib": 50.0})

    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.enter_programming()
        await tester.link.send(bytes.fromhex("31 01 FF00 44 80010000 00004000"))
        await asyncio.sleep(0.1)
        assert car.voltage_v() == pytest.approx(12.8)
        await tester.link.receive(10)
        await asyncio.sleep(2)
        assert car.voltage_v() == 13.5

    on_virtual_time(scenario, definition, CarSettings(load_sag_v=0.7))


def test_the_key_and_the_supply() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        car.ignition = False
        assert car.ecu.program is Program.OFF
        assert car.voltage_v() == 13.5
        car.power_cut()
        assert car.voltage_v() == 0.0
        car.power_up()
        await asyncio.sleep(1)
        assert await tester.ask("3E 00") == b"\x7e\x00"

    on_virtual_time(scenario)


def test_the_gateway_lets_reads_pass_and_refuses_the_rest() -> None:
    settings = CarSettings(gateway=GatewayPolicy())

    async def scenario(car: Car, tester: RawTester) -> None:
        assert (await tester.ask("22 F190"))[3:] == b"BENCHTESTCAR00001"
        assert (await tester.ask("19 02 FF"))[0] == 0x59
        assert (await tester.ask("10 03"))[0] == 0x50
        tester.broadcast("09 02")
        assert (await tester.heard() or b"")[:2] == b"\x49\x02"
        long_write = "2E F190 " + "41" * 17
        for request in (
            "10 02",
            "10 82",
            "27 01",
            "31 01 0203",
            "14 FF FF FF",
            "34 00 44" + "00" * 8,
            long_write,
        ):
            sid = bytes.fromhex(request)[0]
            assert await tester.ask(request) == bytes((0x7F, sid, 0x33))
        assert len(car.ecu.records.dtcs) == 2
        car.power_cut()
        await asyncio.sleep(1)
        car.power_up()
        await asyncio.sleep(1)
        assert (await tester.ask("22 F190"))[0] == 0x62

    on_virtual_time(scenario, settings=settings)


def test_a_gateway_may_answer_otherwise_or_not_at_all() -> None:
    async def conditions(car: Car, tester: RawTester) -> None:
        assert await tester.ask("27 01") == b"\x7f\x27\x22"

    async def silent(car: Car, tester: RawTester) -> None:
        assert await tester.silent("27 01")
        assert (await tester.ask("22 F190"))[0] == 0x62

    on_virtual_time(conditions, settings=CarSettings(gateway=GatewayPolicy(nrc=Nrc.CONDITIONS_NOT_CORRECT)))
    on_virtual_time(silent, settings=CarSettings(gateway=GatewayPolicy(silent=True)))


def test_other_traffic_takes_its_share_of_the_wire_and_obeys_communication_control() -> None:
    frames = (
        PeriodicFrame(0x100, bytes(8), 0.01),
        PeriodicFrame(0x280, bytes(8), 0.02, owner="bench-ecu"),
    )

    async def scenario(car: Car, tester: RawTester) -> None:
        heard: list[CanFrame] = []
        tester.port.subscribe(heard.append, frozenset({0x100, 0x280}))

        async def counts() -> tuple[int, int]:
            heard.clear()
            await asyncio.sleep(1.0)
            return sum(one.can_id == 0x100 for one in heard), sum(one.can_id == 0x280 for one in heard)

        assert await counts() == (100, 50)
        assert heard[0].data != heard[-1].data
        await tester.ask("10 03")
        assert await tester.ask("28 01 01") == b"\x68\x01"
        assert await counts() == (100, 0)
        assert await tester.ask("28 00 01") == b"\x68\x00"
        assert await counts() == (100, 50)
        car.power_cut()
        assert await counts() == (0, 0)

    on_virtual_time(scenario, settings=CarSettings(traffic=frames))


def test_two_ecus_on_one_bus() -> None:
    gearbox = build(addressing={"request_id": 0x7E1, "response_id": 0x7E9})
    gearbox = gearbox.model_copy(update={"id": "bench-tcu"})

    async def main() -> None:
        engine = build()
        car = Car([engine, gearbox], wires_for(engine))
        bus = car.bus
        first, second = RawTester(bus, engine), RawTester(bus, gearbox)
        car.power_up()
        await asyncio.sleep(1)
        first.broadcast("22 F190")
        assert await first.heard() == await second.heard()
        await first.enter_programming()
        assert car.ecus["bench-tcu"].program is Program.APPLICATION
        car.close()

    run_virtual(main())


def test_a_stock_image_repeats_from_its_seed_and_has_its_checksum() -> None:
    definition = build()
    image = synthesise(definition, 7)
    cal = image[region_slice(definition, "cal")]
    assert image == synthesise(definition, 7)
    assert image != synthesise(definition, 8)
    assert int.from_bytes(cal[-4:], "big") == zlib.crc32(cal[:-4])
    assert 0.05 < image.count(b"\xff" * 64) * 64 / len(image) < 0.2
    assert 0.1 < len(zlib.compress(image)) / len(image) < 0.9
    assert b"SW-1 cal" in cal
    with pytest.raises(KeyError):
        region_slice(definition, "no such")


def test_the_caller_may_finish_an_image() -> None:
    definition = build(checksum={"module": "vw-dq250", "parameters": {}})

    def finish(given: Definition, image: bytes) -> bytes:
        place = region_slice(given, "cal")
        return image[: place.start] + b"finished" + image[place.start + 8 :]

    async def scenario(car: Car, tester: RawTester) -> None:
        assert car.ecu.memory.read(CAL, 8) == b"finished"
        assert car.ecu.memory.whole()[:-CAL_SIZE] == synthesise(definition)[:-CAL_SIZE]

    on_virtual_time(scenario, definition, CarSettings(finish=finish))


def test_an_image_may_be_given() -> None:
    image = bytes(range(256)) * (0x14000 // 256)

    async def scenario(car: Car, tester: RawTester) -> None:
        assert car.ecu.memory.whole() == image

    on_virtual_time(scenario, settings=CarSettings(images={"bench-ecu": image}))
