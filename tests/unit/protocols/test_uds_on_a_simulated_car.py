"""The access against strict simulated ECUs on a wire that loses, doubles and delays frames."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.protocols.access import AccessError, Block, EcuState, Purpose, WireMeter
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanFrame
from simulator.bus import Fate, FrameFate, SimBus
from simulator.car import Car, CarSettings
from simulator.virtualtime import run_virtual
from simulator.wires import Wires
from tests.support.places import flash

from .uds_bench import PACK_NAMES, definition

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bench:
    """A car and the access to its one ECU."""

    bus: SimBus
    car: Car
    access: UdsAccess

    @property
    def chosen(self) -> Definition:
        return self.car.ecu.definition

    def block(self) -> Block:
        """The last writable sector, or the last region where only those can be written."""
        region = [region for region in self.chosen.regions if region.writable][-1]
        place = region.sector_ranges()[-1] if region.block_id is None else region.place
        return Block(region.name, place, region.block_id)


def on_car(chosen: Definition, scenario: Callable[[Bench], Awaitable[T]], image: bytes | None = None) -> T:
    async def main() -> T:
        bus = SimBus(uds_access(chosen).bus.bitrate_bps, uds_access(chosen).bus.data_bitrate_bps)
        images = {} if image is None else {chosen.id: image}
        car = Car((chosen,), Wires(can=bus), CarSettings(seed=7, images=images))
        car.power_up()
        port = bus.attach("tester")
        settings = link_settings(uds_access(chosen))
        physical = SoftIsoTpLink(port, physical_address(uds_access(chosen).addressing), settings)
        functional = SoftIsoTpLink(port, functional_address(uds_access(chosen).addressing), settings)
        client = UdsClient(physical, functional, UdsTiming.of(uds_access(chosen).timing))
        await asyncio.sleep(1.0)
        try:
            return await scenario(Bench(bus, car, UdsAccess(uds_access(chosen), client, chosen)))
        finally:
            await client.close()
            car.close()

    return run_virtual(main())


@pytest.mark.parametrize("name", PACK_NAMES)
def test_identity_state_codes_and_voltage(name: str) -> None:
    async def scenario(bench: Bench) -> None:
        simulated = bench.chosen.simulation
        assert await bench.access.lifecycle.state() is EcuState.APPLICATION
        identity = await bench.access.identity.identify()
        assert (identity.hw, identity.sw, identity.boot) == (simulated.hw, simulated.sw, simulated.boot)
        assert (identity.serial, identity.vin) == (simulated.serial, simulated.vin)
        assert tuple(dtc.code for dtc in await bench.access.diagnostics.read_dtcs()) == simulated.dtcs
        await bench.access.diagnostics.clear_dtcs()
        assert await bench.access.diagnostics.read_dtcs() == ()
        expected_v = (
            None
            if uds_access(bench.chosen).identity.voltage is None
            and not uds_access(bench.chosen).identity.obd_mode_09
            else 13.5
        )
        assert await bench.access.diagnostics.measured_v() == expected_v

    on_car(definition(name), scenario)


@pytest.mark.parametrize("name", PACK_NAMES)
def test_reading_keeps_to_within_five_percent_of_the_wire(name: str) -> None:
    async def scenario(bench: Bench) -> WireMeter:
        await bench.access.lifecycle.open(Purpose.READ)
        start = bench.block().start
        size = min(bench.block().size, 0x8000)
        assert await bench.access.memory.read(flash(start, size)) == bench.car.ecu.memory.read(start, size)
        await bench.access.lifecycle.close()
        return bench.access.memory.meter()

    chosen = definition(name)
    noise = random.Random(name).randbytes(sum(region.size_bytes for region in chosen.regions))
    meter = on_car(chosen, scenario, noise)
    assert meter.payload_bytes / meter.busy_s > 0.95 * meter.ceiling_bytes_per_s


@pytest.mark.parametrize("name", PACK_NAMES)
def test_a_block_is_erased_programmed_proven_and_put_to_use(name: str) -> None:
    async def scenario(bench: Bench) -> None:
        access, block, memory = bench.access, bench.block(), bench.car.ecu.memory
        original = memory.read(block.start, block.size)
        await access.lifecycle.open(Purpose.WRITE)
        await access.memory.erase(block)
        assert memory.read(block.start, block.size) != original
        done: list[int] = []
        await access.memory.program(block, original, done.append)
        assert sum(done) == block.size
        assert memory.read(block.start, block.size) == original
        proven = await access.memory.proves_equal(block, original)
        assert proven is (None if uds_access(bench.chosen).checking.style == "none" else True)
        if proven:
            assert await access.memory.proves_equal(block, bytes(block.size)) is False
        await access.lifecycle.commit()
        assert await access.lifecycle.state() is EcuState.APPLICATION

    on_car(definition(name), scenario)


@pytest.mark.parametrize("name", [name for name in PACK_NAMES if name != "pbx-x050"])
def test_an_ecu_cut_off_in_the_middle_is_recovered_through_its_bootloader(name: str) -> None:
    async def scenario(bench: Bench) -> None:
        access, block, memory = bench.access, bench.block(), bench.car.ecu.memory
        original = memory.read(block.start, block.size)
        await access.lifecycle.open(Purpose.WRITE)
        await access.memory.erase(block)
        bench.car.power_cut()
        assert await access.lifecycle.state() is EcuState.SILENT
        bench.car.power_up()
        await asyncio.sleep(1.0)
        assert await access.lifecycle.state() is EcuState.BOOTLOADER
        identity = await access.identity.identify()
        assert (identity.hw, identity.sw) == (bench.chosen.simulation.hw, None)
        await access.lifecycle.open(Purpose.RECOVER)
        await access.memory.erase(block)
        await access.memory.program(block, original, lambda count: None)
        await access.lifecycle.commit()
        assert memory.read(block.start, block.size) == original

    on_car(definition(name), scenario)


def bad_wire(seed: int, rate: float) -> Callable[[CanFrame], FrameFate | None]:
    """Loses, doubles or delays one frame in `1 / rate`."""
    dice = random.Random(seed)

    def fate(frame: CanFrame) -> FrameFate | None:
        if dice.random() >= rate:
            return None
        kind = dice.choice([Fate.LOST, Fate.DOUBLED, Fate.LATE])
        return FrameFate(kind, delay_s=dice.uniform(0.0, 0.3))

    return fate


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_wire_costs_time_and_never_a_byte(seed: int) -> None:
    """Whatever frames are lost: the data is right, or the access says that it failed."""

    async def scenario(bench: Bench) -> int:
        access, block, memory = bench.access, bench.block(), bench.car.ecu.memory
        original = memory.read(block.start, block.size)
        await access.lifecycle.open(Purpose.WRITE)
        bench.bus.fault = bad_wire(seed, 1 / 3000)
        for _ in range(8):
            try:
                await access.memory.erase(block)
                await access.memory.program(block, original, lambda count: None)
                if await access.memory.proves_equal(block, original):
                    break
            except AccessError:
                await access.lifecycle.open(Purpose.RECOVER)
        bench.bus.fault = None
        assert memory.read(block.start, block.size) == original
        return access.memory.meter().retries

    on_car(definition("pbx-e400"), scenario)


@pytest.mark.parametrize("name", ["pbx-e400", "pbx-t300"])
@pytest.mark.parametrize("seed", range(4))
def test_reads_over_a_bad_wire_are_right_or_fail(name: str, seed: int) -> None:
    async def scenario(bench: Bench) -> int:
        start, size = bench.block().start, 0x4000
        await bench.access.lifecycle.open(Purpose.READ)
        bench.bus.fault = bad_wire(seed, 1 / 2000)
        got = b""
        for _ in range(10):
            try:
                got = await bench.access.memory.read(flash(start, size))
                break
            except AccessError:
                await bench.access.lifecycle.open(Purpose.READ)
        assert got == bench.car.ecu.memory.read(start, size)
        return bench.access.memory.meter().retries

    on_car(definition(name), scenario)


def test_a_frame_lost_from_an_upload_is_made_up_for_inside_the_read() -> None:
    async def scenario(bench: Bench) -> int:
        start, size = bench.block().start, 0x4000
        await bench.access.lifecycle.open(Purpose.READ)
        victims = iter([500, 900])
        victim = next(victims)
        seen = 0

        def fate(frame: CanFrame) -> FrameFate | None:
            nonlocal seen, victim
            seen += 1
            if seen == victim:
                victim = next(victims, -1)
                return FrameFate(Fate.LOST)
            return None

        bench.bus.fault = fate
        assert await bench.access.memory.read(flash(start, size)) == bench.car.ecu.memory.read(start, size)
        return bench.access.memory.meter().retries

    assert on_car(definition("pbx-e400"), scenario) == 2


def test_an_open_session_outlives_a_long_pause() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.access.lifecycle.open(Purpose.READ)
        await asyncio.sleep(60.0)
        await bench.access.memory.read(flash(bench.block().start, 16))
        await bench.access.lifecycle.close()

    on_car(definition("pbx-e400"), scenario)
