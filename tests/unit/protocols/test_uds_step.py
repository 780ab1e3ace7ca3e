"""Answers that run apart from their requests: none of them is ever taken for another one's."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.protocols.access import Block, EcuState, Purpose
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from simulator.bus import SimBus
from simulator.car import Car, CarSettings
from simulator.ecu.watch import Counter
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger
from simulator.injection import FaultInjector
from simulator.virtualtime import run_virtual
from simulator.wires import Wires
from tests.support.places import flash
from tests.unit.simulated_car.bench import CAL, CAL_SIZE, CODE, build, build_by_block

CODE_SIZE = 0xC000
BY_ADDRESS = build()
BY_UPLOAD = build(reading={"method": "upload", "block_bytes": 1026, "bootloader_reads": True})
BY_BLOCK = build_by_block()
CALIBRATION = Block("cal", flash(CAL, CAL_SIZE), 3)
Scenario = Callable[[UdsAccess, Car], Awaitable[None]]


def with_faults(chosen: Definition, scenario: Scenario, *faults: Fault) -> float:
    """Play against a simulated car whose memory has no two pieces alike; virtual seconds it took."""

    async def main() -> float:
        bus = SimBus(uds_access(chosen).bus.bitrate_bps, uds_access(chosen).bus.data_bitrate_bps)
        noise = random.Random(5).randbytes(sum(region.size_bytes for region in chosen.regions))
        car = Car((chosen,), Wires(can=bus), CarSettings(seed=7, images={chosen.id: noise}))
        car.power_up()
        port = bus.attach("tester")
        settings = link_settings(uds_access(chosen))
        client = UdsClient(
            SoftIsoTpLink(port, physical_address(uds_access(chosen).addressing), settings),
            SoftIsoTpLink(port, functional_address(uds_access(chosen).addressing), settings),
            UdsTiming.of(uds_access(chosen).timing),
        )
        await asyncio.sleep(1.0)
        injector = FaultInjector(FaultPlan(faults=faults), car)
        try:
            await scenario(UdsAccess(uds_access(chosen), client, chosen), car)
            assert len(injector.struck) == len(faults), "a fault never struck"
            return asyncio.get_running_loop().time()
        finally:
            injector.close()
            await client.close()
            car.close()

    return run_virtual(main())


async def reads_the_truth(access: UdsAccess, car: Car) -> None:
    await access.lifecycle.open(Purpose.READ)
    for upwards in (True, False):
        data = await access.memory.read(flash(CODE, CODE_SIZE), upwards=upwards)
        assert data == car.ecu.memory.read(CODE, CODE_SIZE)


def at_request(kind: FaultKind, at: int, service: int | None = None, **more: float) -> Fault:
    return Fault(kind=kind, on=Trigger.REQUEST, at=at, service=service, **more)


LATE = uds_access(BY_ADDRESS).timing.p2_ms / 1000 + 0.2
APART = [
    pytest.param(FaultKind.DOUBLED_ANSWER, {"delay_s": 0.0}, id="doubled"),
    pytest.param(FaultKind.DOUBLED_ANSWER, {"delay_s": 0.01}, id="doubled later"),
    pytest.param(FaultKind.DOUBLED_ANSWER, {"delay_s": 0.3}, id="doubled much later"),
    pytest.param(FaultKind.REPLAYED_ANSWER, {}, id="replayed"),
    pytest.param(FaultKind.HELD_ANSWER, {}, id="held"),
    pytest.param(FaultKind.LATE_ANSWER, {"delay_s": LATE}, id="late"),
    pytest.param(
        FaultKind.DOUBLED_FRAME,
        {"can_id": uds_access(BY_ADDRESS).addressing.request_id},
        id="doubled request",
    ),
    pytest.param(
        FaultKind.DOUBLED_FRAME, {"can_id": uds_access(BY_ADDRESS).addressing.response_id}, id="doubled frame"
    ),
]


@pytest.mark.parametrize(("kind", "more"), APART)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("at", [1, 2, 20, 47])
def test_a_shifted_read_by_address_is_noticed(
    kind: FaultKind, more: dict[str, float], count: int, at: int
) -> None:
    with_faults(BY_ADDRESS, reads_the_truth, at_request(kind, at, 0x23, count=count, **more))


@pytest.mark.parametrize(("kind", "more"), APART)
@pytest.mark.parametrize("service", [0x35, 0x36, 0x37])
def test_a_shifted_upload_is_noticed(kind: FaultKind, more: dict[str, float], service: int) -> None:
    with_faults(BY_UPLOAD, reads_the_truth, at_request(kind, 2, service, count=1, **more))


@pytest.mark.parametrize(("kind", "more"), APART)
def test_probes_that_are_doubled_or_late_themselves_prove_nothing_wrong(
    kind: FaultKind, more: dict[str, float]
) -> None:
    first = at_request(FaultKind.DOUBLED_ANSWER, 3, 0x23, delay_s=0.0)
    with_faults(BY_ADDRESS, reads_the_truth, first, at_request(kind, 1, 0x3E, **more))


@pytest.mark.parametrize(("kind", "more"), APART)
@pytest.mark.parametrize("chosen", [BY_ADDRESS, BY_BLOCK], ids=["hash", "comparison"])
def test_the_verdict_on_one_block_is_never_taken_for_that_on_the_next(
    chosen: Definition, kind: FaultKind, more: dict[str, float]
) -> None:
    """The first block is right and the second is not, and the first answer comes once more."""

    async def scenario(access: UdsAccess, car: Car) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        whole = [
            (region, region.start, region.size_bytes) for region in chosen.regions if region.block_id != 1
        ]
        blocks = [Block(region.name, flash(start, size), region.block_id) for region, start, size in whole]
        right = [car.ecu.memory.read(block.start, block.size) for block in blocks]
        wrong = [bytes((data[0] ^ 1,)) + data[1:] for data in right]
        for at, data in itertools.product((0, 1), (right, wrong, right)):
            assert await access.memory.proves_equal(blocks[at], data[at]) is (data is right)

    with_faults(chosen, scenario, at_request(kind, 2, 0x31, **more))


@pytest.mark.parametrize(("kind", "more"), APART)
def test_an_erase_is_over_when_it_is_said_to_be_and_done_once(
    kind: FaultKind, more: dict[str, float]
) -> None:
    async def scenario(access: UdsAccess, car: Car) -> None:
        await access.lifecycle.open(Purpose.WRITE)
        sectors = [Block("cal", flash(CAL + at, 0x1000)) for at in range(0, CAL_SIZE, 0x1000)]
        for sector in sectors:
            await access.memory.erase(sector)
            assert car.ecu.memory.read(sector.start, sector.size) == b"\xff" * sector.size
        assert car.ecu.core.watch.totals[Counter.ERASED] == CAL_SIZE
        for sector in sectors:
            await access.memory.program(sector, b"\x5a" * sector.size, lambda count: None)
            assert car.ecu.memory.read(sector.start, sector.size) == b"\x5a" * sector.size

    with_faults(BY_ADDRESS, scenario, at_request(kind, 2, 0x31, **more))


def test_being_in_step_costs_little() -> None:
    async def scenario(access: UdsAccess, car: Car) -> None:
        await reads_the_truth(access, car)
        meter = access.memory.meter()
        assert meter.payload_bytes / meter.busy_s > 0.95 * meter.ceiling_bytes_per_s
        assert meter.retries == 0
        assert await access.lifecycle.state() is EcuState.APPLICATION

    with_faults(BY_ADDRESS, scenario)
