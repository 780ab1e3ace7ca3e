"""Messages get shorter on a wire that loses frames, and longer again."""

from __future__ import annotations

import random

import pytest

from appliance.definitions.schema import Definition
from appliance.protocols.access import AccessError, Purpose
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.sizing import AdaptiveSize
from drivers.can.interface import CanFrame
from simulator.bus import Fate, FrameFate, SimBus
from simulator.car import Car
from tests.support.places import flash
from tests.unit.simulated_car.bench import CODE

from .test_uds_step import BY_ADDRESS, BY_UPLOAD, CALIBRATION, with_faults


def test_one_loss_costs_nothing_two_halve_and_a_run_doubles() -> None:
    size = AdaptiveSize(4093, 64)
    assert size.lost()
    assert size.size == 4093
    assert size.lost()
    assert size.size == 2032
    for _ in range(20):
        size.lost()
    assert size.size == 64
    assert not size.lost()
    for _ in range(15):
        size.moved()
    assert size.size == 64
    size.moved()
    assert size.size == 128
    for _ in range(16 * 8):
        size.moved()
    assert size.size == 4093


def test_a_loss_is_forgotten_after_a_run_of_successes() -> None:
    """However often one comes: a wire that loses one message in seventeen carries full ones."""
    size = AdaptiveSize(1024, 64)
    for _ in range(5):
        size.lost()
        assert size.size == 1024
        for _ in range(16):
            size.moved()


def test_a_size_that_starts_below_the_least_stays() -> None:
    size = AdaptiveSize(20, 64)
    for _ in range(4):
        assert not size.lost()
    assert size.size == 20


def losing(bus: SimBus, one_in: int, seed: int) -> None:
    """Each consecutive frame is lost with this chance, in either direction."""
    dice = random.Random(seed)

    def hook(frame: CanFrame) -> FrameFate | None:
        consecutive = bool(frame.data) and frame.data[0] >> 4 == 2
        return FrameFate(Fate.LOST) if consecutive and dice.randrange(one_in) == 0 else None

    bus.fault = hook


@pytest.mark.parametrize("chosen", [BY_ADDRESS, BY_UPLOAD], ids=["by address", "by upload"])
@pytest.mark.parametrize("seed", [1, 2])
def test_heavy_frame_loss_is_answered_by_shorter_pieces(chosen: Definition, seed: int) -> None:
    """At one in forty, a piece of 1 KiB (147 frames) comes through once in forty tries."""

    async def scenario(access: UdsAccess, car: Car) -> None:
        await access.lifecycle.open(Purpose.READ)
        assert isinstance(car.bus, SimBus)
        losing(car.bus, 40, seed)
        assert await access.memory.read(flash(CODE, 0x4000)) == car.ecu.memory.read(CODE, 0x4000)

    with_faults(chosen, scenario)


def test_heavy_frame_loss_is_answered_by_shorter_blocks_in_the_next_download() -> None:
    sizes: list[int] = []

    async def scenario(access: UdsAccess, car: Car) -> None:
        assert isinstance(car.bus, SimBus)
        data = car.ecu.memory.read(CALIBRATION.start, CALIBRATION.size)
        car.ecu.request_hook = lambda request: sizes.append(len(request)) if request[0] == 0x36 else None
        for tries_left in reversed(range(12)):
            car.bus.fault = None
            await access.lifecycle.open(Purpose.WRITE)
            await access.memory.erase(CALIBRATION)
            losing(car.bus, 40, tries_left)
            try:
                await access.memory.program(CALIBRATION, data, lambda count: None)
                break
            except AccessError:
                assert tries_left
        assert car.ecu.memory.read(CALIBRATION.start, CALIBRATION.size) == data
        assert min(sizes) < 300

    with_faults(BY_ADDRESS, scenario)


@pytest.mark.parametrize("chosen", [BY_ADDRESS, BY_UPLOAD], ids=["by address", "by upload"])
def test_one_frame_in_three_hundred_lost_lets_64_kib_through(chosen: Definition) -> None:
    """Read and written; what is written without a loss goes in messages of full size."""
    sizes: list[int] = []

    async def scenario(access: UdsAccess, car: Car) -> None:
        assert isinstance(car.bus, SimBus)
        await access.lifecycle.open(Purpose.READ)
        losing(car.bus, 300, 1)
        for _ in range(0x10000 // 0x4000):
            assert await access.memory.read(flash(CODE, 0x4000)) == car.ecu.memory.read(CODE, 0x4000)
        car.bus.fault = None
        await access.lifecycle.open(Purpose.WRITE)
        data = car.ecu.memory.read(CALIBRATION.start, CALIBRATION.size)
        car.ecu.request_hook = lambda request: sizes.append(len(request)) if request[0] == 0x36 else None
        await access.memory.erase(CALIBRATION)
        await access.memory.program(CALIBRATION, data, lambda count: None)
        assert set(sizes[:-1]) == {max(sizes)}
        losing(car.bus, 300, 1)
        blocks, tries = -(-0x10000 // CALIBRATION.size), 0
        while blocks:
            tries += 1
            try:
                await access.memory.erase(CALIBRATION)
                await access.memory.program(CALIBRATION, data, lambda count: None)
                blocks -= 1
            except AccessError:
                await access.lifecycle.open(Purpose.WRITE)
        assert tries <= 2 * -(-0x10000 // CALIBRATION.size)
        assert car.ecu.memory.read(CALIBRATION.start, CALIBRATION.size) == data

    with_faults(chosen, scenario)
