"""Faults on demand: each happens once, where its trigger says, and shows as it would on a real car."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.can.interface import CanBusGoneError, CanPort
from simulator.bus import SimBus
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.faults import CAR_FAULTS, DEFAULT_REACH, Fault, FaultKind, FaultPlan, Trigger, random_plan
from simulator.injection import FaultInjector
from simulator.wires import Wires

from .bench import CAL, CAL_SIZE, RawTester, build, on_virtual_time, span

Scenario = Callable[[Car, RawTester, FaultInjector], Awaitable[None]]


def with_fault(scenario: Scenario, kind: str, on: str, at: float, **parameters: float | str) -> None:
    plan = FaultPlan.model_validate({"faults": [{"kind": kind, "on": on, "at": at} | parameters]})

    async def main(car: Car, tester: RawTester) -> None:
        injector = FaultInjector(plan, car)
        await scenario(car, tester, injector)
        assert len(injector.struck) == 1
        injector.close()

    on_virtual_time(main)


def program_of(car: Car) -> Program:
    return car.ecu.program


async def hello(tester: RawTester) -> bytes:
    return await tester.ask("3E 00", timeout_s=3.0)


def test_power_cut_at_a_programmed_byte_with_the_supply_coming_back() -> None:
    async def scenario(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)
        with pytest.raises((ConnectionError, TimeoutError)):
            await tester.download(CAL, image)
        assert car.ecu.memory.read(CAL, CAL_SIZE) == image[:5000].ljust(CAL_SIZE, b"\xff")
        await asyncio.sleep(2)
        assert car.ecu.program is Program.BOOTLOADER

    with_fault(scenario, "power_cut", "programmed", 5000, duration_s=1.0)


def test_reset_and_bus_off_on_a_request() -> None:
    async def reset(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        await tester.ask("10 03")
        with pytest.raises(TimeoutError):
            await tester.ask("3E 00", timeout_s=0.2)
        assert car.ecu.program is Program.BOOTING
        await asyncio.sleep(1)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")

    async def bus_off(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        await tester.ask("10 03")
        with pytest.raises((ConnectionError, TimeoutError)):
            await tester.ask("3E 00", timeout_s=0.05)
        await asyncio.sleep(0.2)
        tester.link.drain()
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 03")

    with_fault(reset, "ecu_reset", "request", 1, service=0x3E)
    with_fault(bus_off, "bus_off", "request", 2)


def test_a_reset_ends_bus_off() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        car.ecu.bus_off()
        car.ecu.reset()
        await asyncio.sleep(1)
        tester.link.drain()
        assert await hello(tester) == b"\x7e\x00"

    on_virtual_time(scenario)


def test_bus_off_in_the_jump_to_the_bootloader_is_a_restart() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await tester.ask("10 03")
        asking = asyncio.ensure_future(tester.ask("10 02"))
        await asyncio.sleep(0.1)
        assert program_of(car) is Program.BOOTING
        car.ecu.bus_off()
        await asyncio.wait({asking})
        assert program_of(car) is Program.APPLICATION
        tester.link.drain()
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")

    on_virtual_time(scenario)


def test_supply_faults_by_time() -> None:
    async def sag(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        await asyncio.sleep(1.1)
        assert car.voltage_v() == 11.0
        await asyncio.sleep(1)
        assert car.voltage_v() == 13.5

    async def ripple(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        await asyncio.sleep(1.1)
        now = asyncio.get_running_loop().time()
        assert max(car.voltage_v(now + at * 0.0003) for at in range(100)) > 14.4

    with_fault(sag, "voltage", "time", 1.0, volts=11.0, duration_s=0.5)
    with_fault(ripple, "ripple", "time", 1.0, volts=1.0, duration_s=0.5)


def test_a_lost_frame_is_gone_and_a_corrupted_one_is_repeated_by_the_controller() -> None:
    async def lost(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        with pytest.raises(TimeoutError):
            await hello(tester)
        assert await hello(tester) == b"\x7e\x00"

    async def corrupted(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await hello(tester) == b"\x7e\x00"
        assert tester.port.health().tx_errors == 7

    with_fault(lost, "lost_frame", "frame", 1)
    with_fault(corrupted, "corrupted_frame", "frame", 1)


def test_doubled_late_and_garbled_frames() -> None:
    async def doubled(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await hello(tester) == b"\x7e\x00"
        assert await tester.heard() == b"\x7e\x00"

    async def late(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await hello(tester) == b"\x7e\x00"
        assert 0.5 < loop.time() - began < 0.51

    async def garbled(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        answer = await tester.ask("22 F190")
        assert answer[:-1] == b"\x62\xf1\x90BENCHTESTCAR0000"
        assert answer[-1] == ord("1") ^ 0x80

    with_fault(doubled, "doubled_frame", "frame", 2, can_id=0x7E8)
    with_fault(late, "late_frame", "frame", 1, delay_s=0.5)
    with_fault(garbled, "garbled_frame", "frame", 5, mask=0x80)


def test_one_byte_is_read_wrong_once() -> None:
    async def scenario(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        await tester.ask("10 03")
        await tester.unlock(1)
        reads = [(await tester.ask(b"\x23\x44" + span(CAL, 64)))[1:] for _ in range(3)]
        truth = car.ecu.memory.read(CAL, 64)
        assert reads[0] == truth
        assert reads[2] == truth
        wrong = [at for at in range(64) if reads[1][at] != truth[at]]
        assert wrong == [35]
        assert reads[1][35] == truth[35] ^ 0x10

    with_fault(scenario, "wrong_read", "read", 100, mask=0x10)


def test_one_byte_is_stored_wrong_and_acknowledged() -> None:
    async def scenario(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        image = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)
        await tester.download(CAL, image)
        stored = car.ecu.memory.read(CAL, CAL_SIZE)
        assert [at for at in range(CAL_SIZE) if stored[at] != image[at]] == [6999]
        assert await tester.ask("31 01 FF01") == bytes.fromhex("71 01 FF01 02")

    with_fault(scenario, "lie", "programmed", 7000)


def test_wrong_late_lost_and_busy_answers() -> None:
    async def wrong(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await hello(tester) == b"\x6e\x00"
        assert await hello(tester) == b"\x7e\x00"

    async def late(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        with pytest.raises(TimeoutError):
            await tester.ask("3E 00", timeout_s=1.0)
        assert await tester.heard() == b"\x7e\x00"

    async def lost(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        with pytest.raises(TimeoutError):
            await tester.ask("10 03", timeout_s=1.0)
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 03")

    async def busy(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        answers = [await tester.ask("22 F186") for _ in range(3)]
        assert answers == [b"\x7f\x22\x21", b"\x7f\x22\x21", bytes.fromhex("62 F186 01")]

    async def pending(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await hello(tester) == b"\x7e\x00"
        assert tester.pending == 4

    with_fault(wrong, "wrong_answer", "request", 1)
    with_fault(late, "late_answer", "request", 1, delay_s=1.5)
    with_fault(lost, "lost_answer", "request", 1)
    with_fault(busy, "busy", "request", 1, count=2)
    with_fault(pending, "pending", "time", 0, count=4)


def test_answers_that_run_apart_from_their_requests() -> None:
    session, present = bytes.fromhex("62 F186 01"), b"\x7e\x00"

    async def doubled(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await tester.ask("22 F186") == session
        assert await tester.heard() == session
        assert await tester.heard() is None

    async def replayed(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        first, second = await tester.ask("22 F190"), await tester.ask("22 F186")
        assert first == second
        assert await tester.heard() == session
        assert await hello(tester) == present

    async def held(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        with pytest.raises(TimeoutError):
            await tester.ask("22 F186", timeout_s=3.0)
        assert await hello(tester) == session
        assert await tester.heard() == present

    async def frames(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await tester.ask("22 F186") == session
        assert await tester.heard() == session

    with_fault(doubled, "doubled_answer", "request", 1, delay_s=1.0)
    with_fault(replayed, "replayed_answer", "request", 2)
    with_fault(held, "held_answer", "request", 1)
    with_fault(frames, "doubled_frame", "frame", 1, can_id=0x7E0)


def test_answers_that_say_too_little_or_too_much() -> None:
    async def truncated(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await tester.ask("22 F186") == bytes.fromhex("62 F1")
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01")

    async def oversized(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        assert await tester.ask("22 F186") == bytes.fromhex("62 F186 01 0000")
        assert await tester.ask("22 FFFF") == bytes.fromhex("7F 22 31")

    with_fault(truncated, "truncated_answer", "request", 1, mask=2)
    with_fault(oversized, "oversized_answer", "request", 1, mask=2, count=2)


@pytest.mark.parametrize(("trigger", "at", "erased"), [("erased", 0x1800, 0x1000), ("request", 1, 0)])
def test_an_erase_that_stops_halfway_and_is_refused(trigger: str, at: float, erased: int) -> None:
    async def scenario(car: Car, tester: RawTester, injector: FaultInjector) -> None:
        before = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        assert await tester.erase(CAL, CAL_SIZE) == b"\x7f\x31\x99"
        after = car.ecu.memory.read(CAL, CAL_SIZE)
        assert after[:erased] == b"\xff" * erased
        assert after[erased : erased + 0x1000] != before[erased : erased + 0x1000]
        assert after[0x2000:] == before[0x2000:]
        assert not car.ecu.records.application_valid
        assert await tester.erase(CAL, CAL_SIZE)
        assert car.ecu.memory.read(CAL, CAL_SIZE) == b"\xff" * CAL_SIZE

    with_fault(scenario, "erase_refused", trigger, at, nrc=0x99)


def test_the_box_dies_at_its_byte() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        plan = FaultPlan(faults=(Fault(kind=FaultKind.BOX_DIES, on=Trigger.ERASED, at=0x1800),))
        seen: list[bytes] = []
        FaultInjector(plan, car, lambda: seen.append(car.ecu.memory.read(CAL, CAL_SIZE)))
        before = car.ecu.memory.read(CAL, CAL_SIZE)
        await tester.enter_programming()
        await tester.erase(CAL, CAL_SIZE)
        assert len(seen) == 1
        assert seen[0][:0x1000] == b"\xff" * 0x1000
        assert seen[0][0x1000:0x2000] not in (before[0x1000:0x2000], b"\xff" * 0x1000)
        assert seen[0][0x2000:] == before[0x2000:]
        assert car.ecu.memory.read(CAL, CAL_SIZE) == b"\xff" * CAL_SIZE

    on_virtual_time(scenario)


def test_frame_faults_need_a_bus_that_can_be_told() -> None:
    class Plain:
        def __init__(self, car: Car) -> None:
            self.attach = car.bus.attach

    async def scenario(car: Car, tester: RawTester) -> None:
        other = Car([tester.definition], Wires(can=Plain(car)), CarSettings())
        plan = FaultPlan(faults=(Fault(kind=FaultKind.LOST_FRAME, on=Trigger.FRAME, at=1),))
        with pytest.raises(ValueError, match="real interface"):
            FaultInjector(plan, other)

    on_virtual_time(scenario)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "power_cut", "on": "programmed", "at": -1},
        {"kind": "no such", "on": "programmed", "at": 1},
        {"kind": "power_cut", "on": "programmed", "at": 1, "service": 0x22},
        {"kind": "power_cut", "on": "programmed", "at": 1, "can_id": 0x22},
        {"kind": "voltage", "on": "time", "at": 1},
        {"kind": "lie", "on": "programmed", "at": 1, "mask": 0},
        {"kind": "lie", "on": "programmed", "at": 1, "surprise": 0},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultPlan.model_validate({"faults": [wrong]})


@given(st.integers(0, 10**9), st.integers(0, 5))
def test_random_plans_repeat_from_their_seed_and_survive_storing(seed: int, count: int) -> None:
    plan = random_plan(seed, count)
    assert plan == random_plan(seed, count)
    assert FaultPlan.model_validate_json(plan.model_dump_json()) == plan
    assert len(plan.faults) == count
    for fault in plan.faults:
        assert fault.kind in CAR_FAULTS
        assert fault.at <= DEFAULT_REACH[fault.on]


def test_a_node_comes_back_when_its_interface_does() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        failures = [CanBusGoneError("no such device")] * 3
        attach = car.bus.attach

        class Flaky:
            def attach(self, name: str) -> CanPort:
                if failures and ports:
                    raise failures.pop()
                ports.append(attach(name))
                return ports[-1]

        ports: list[CanPort] = []
        other = Car([build(addressing={"request_id": 0x7E1, "response_id": 0x7E9})], Wires(can=Flaky()))
        other.power_up()
        await asyncio.sleep(1)
        ports[0].close()
        await asyncio.sleep(0.25)
        assert len(ports) == 1
        await asyncio.sleep(0.25)
        assert len(ports) == 2
        assert await RawTester(bus_of(car), other.ecu.definition).ask("3E 00") == b"\x7e\x00"
        other.close()

    on_virtual_time(scenario)


def bus_of(car: Car) -> SimBus:
    assert isinstance(car.bus, SimBus)
    return car.bus
