"""Ports over python-can: real time, but short."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import can
import pytest

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can import pythoncan, rate, socketcan
from drivers.can.interface import CanBusGoneError, CanFrame
from drivers.can.pythoncan import PythonCanPort, open_port
from drivers.can.socketcan import InterfaceTraffic
from drivers.factory import open_can
from tests.support.multicast import group, needs_multicast

GROUP, OTHER = group(), group()
WAIT_S = 60


UDP, VIRTUAL = f"udp_multicast:{GROUP}", "virtual:pitbox-test"
BUSES = [pytest.param(UDP, marks=needs_multicast, id="udp_multicast"), pytest.param(VIRTUAL, id="virtual")]


def on_both(spec: str, body: Callable[[PythonCanPort, PythonCanPort], Coroutine[Any, Any, None]]) -> None:
    interface, channel = spec.split(":")

    async def main() -> None:
        one = open_port(interface, channel, 500_000, 2_000_000)
        two = open_port(interface, channel, 500_000, 2_000_000)
        try:
            async with asyncio.timeout(WAIT_S):
                await body(one, two)
        finally:
            one.close()
            two.close()

    asyncio.run(main())


async def next_frame(port: PythonCanPort) -> CanFrame:
    arrived: asyncio.Future[CanFrame] = asyncio.get_running_loop().create_future()
    unsubscribe = port.subscribe(lambda frame: None if arrived.done() else arrived.set_result(frame))
    try:
        return await arrived
    finally:
        unsubscribe()


@pytest.mark.parametrize("spec", BUSES)
@pytest.mark.parametrize(
    "frame",
    [
        CanFrame(0x7E0, b"\x02\x3e\x00"),
        CanFrame(0x7E0, b""),
        CanFrame(0x18DA10F1, bytes(8), extended=True),
        CanFrame(0x123, bytes(range(64)), fd=True, bit_rate_switch=True),
        CanFrame(0x1ABCDEF0, bytes(12), extended=True, fd=True),
    ],
)
def test_frames_arrive_as_they_were_and_are_told_as_sent(spec: str, frame: CanFrame) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        sent = asyncio.Event()
        own: list[CanFrame] = []
        one.subscribe(own.append)
        arrival = asyncio.ensure_future(next_frame(two))
        await asyncio.sleep(0)
        one.send(frame, sent.set)
        assert not sent.is_set()
        assert await arrival == frame
        await sent.wait()
        assert own == []
        assert one.health().frames_seen == two.health().frames_seen == 1

    on_both(spec, body)


@needs_multicast
def test_another_group_on_the_same_machine_is_not_heard() -> None:
    async def main() -> None:
        ours, stranger = (
            open_port("udp_multicast", GROUP, 500_000),
            open_port("udp_multicast", OTHER, 500_000),
        )
        also_ours = open_port("udp_multicast", GROUP, 500_000)
        try:
            arrival = asyncio.ensure_future(next_frame(ours))
            await asyncio.sleep(0)
            sent = asyncio.Event()
            stranger.send(CanFrame(0x7E0, b"stranger"), sent.set)
            await sent.wait()
            also_ours.send(CanFrame(0x7E0, b"friend"))
            assert (await asyncio.wait_for(arrival, WAIT_S)).data == b"friend"
        finally:
            for port in (ours, stranger, also_ours):
                port.close()

    asyncio.run(main())


@pytest.mark.parametrize("spec", BUSES)
@pytest.mark.parametrize("block_size", [0, 8])
def test_whole_payloads_survive_a_bus_without_flow_control_of_its_own(spec: str, block_size: int) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        patient = IsoTpSettings(timeout_s=WAIT_S)  # how long this machine lets a process wait is its affair
        tester = SoftIsoTpLink(one, IsoTpAddress(0x7E0, 0x7E8), patient)
        ecu = SoftIsoTpLink(two, IsoTpAddress(0x7E8, 0x7E0), replace(patient, block_size=block_size))
        payload = bytes(n & 0xFF for n in range(4095))
        for _ in range(2):
            _, arrived = await asyncio.gather(tester.send(payload), ecu.receive(WAIT_S))
            assert arrived == payload

    on_both(spec, body)


@pytest.mark.parametrize("spec", BUSES)
def test_a_burst_is_queued_and_arrives_whole_and_in_order(spec: str) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        seen: list[int] = []
        done = asyncio.Event()
        two.subscribe(lambda frame: seen.append(int.from_bytes(frame.data, "big")))
        for number in range(300):
            one.send(CanFrame(0x100, number.to_bytes(2, "big")), done.set if number == 299 else None)
        await done.wait()
        while len(seen) < 300:
            await next_frame(two)
        assert seen == list(range(300))
        assert 0 < one.health().load <= 1

    on_both(spec, body)


@pytest.mark.parametrize("spec", BUSES)
def test_two_nodes_that_send_the_same_frame_hear_each_other(spec: str) -> None:
    """Telling our echo by its content must not swallow a twin's frame."""

    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        frame = CanFrame(0x7E8, b"\x01")
        arrivals = [asyncio.ensure_future(next_frame(port)) for port in (one, two)]
        await asyncio.sleep(0)
        sent = [asyncio.Event(), asyncio.Event()]
        one.send(frame, sent[0].set)
        two.send(frame, sent[1].set)
        await asyncio.gather(*(event.wait() for event in sent))
        assert await asyncio.gather(*arrivals) == [frame, frame]

    on_both(spec, body)


def test_two_ends_of_isotp_over_a_closed_port() -> None:
    async def body(one: PythonCanPort, _two: PythonCanPort) -> None:
        link = SoftIsoTpLink(one, IsoTpAddress(0x7E0, 0x7E8))
        waiting = asyncio.ensure_future(link.receive(60))
        await asyncio.sleep(0)
        one.close()
        with pytest.raises(IsoTpError, match="pitbox-test: the port was closed"):
            await waiting
        with pytest.raises(CanBusGoneError, match="closed"):
            one.send(CanFrame(0x7E0, b""))

    on_both(VIRTUAL, body)


@needs_multicast
def test_datagrams_that_are_no_can_frames_are_counted_and_passed_over() -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for junk in (b"", b"junk", b"\x90", b"\x81\xa1x\x01"):
                stranger.sendto(junk, (GROUP, 43113))
        await until(lambda: two.health().rx_errors == 4)  # two senders' datagrams have no order between them
        arrival = asyncio.ensure_future(next_frame(two))
        await asyncio.sleep(0)
        one.send(CanFrame(0x100, b"\x01"))
        assert (await arrival).data == b"\x01"
        assert two.gone is None
        assert two.health().rx_errors == 4

    on_both(UDP, body)


@pytest.mark.parametrize(
    ("spec", "error", "told"),
    [
        ("socketcan:can77", CanBusGoneError, "cannot open the CAN bus socketcan:can77"),
        ("subspace:can0", ValueError, r"no CAN interface type 'subspace' \(channel 'can0'\); use socketcan"),
        ("udp_multicast:10.0.0.1", ValueError, "udp_multicast:10.0.0.1 is not an IP multicast group"),
        ("udp_multicast:can0", ValueError, "udp_multicast:can0 is not an IP multicast group"),
        ("serial:/dev/does-not-exist", CanBusGoneError, "cannot open the CAN bus serial:/dev/does-not-exist"),
    ],
)
def test_a_bus_that_is_not_there_is_named(spec: str, error: type[Exception], told: str) -> None:
    async def main() -> None:
        with pytest.raises(error, match=told):
            open_can(spec, 500_000)

    asyncio.run(main())


def test_an_fd_frame_needs_an_fd_bus() -> None:
    async def main() -> None:
        port = open_can("virtual:classic", 500_000)
        with pytest.raises(ValueError, match="virtual:classic is open as classic CAN"):
            port.send(CanFrame(0x100, bytes(12), fd=True))
        port.close()

    asyncio.run(main())


class ScriptedBus(can.BusABC):
    """A driver whose every answer the test decides; its descriptor is one end of a socket pair."""

    def __init__(self, with_descriptor: bool = True) -> None:
        super().__init__("scripted")
        self.ours, self.theirs = socket.socketpair()
        self.with_descriptor = with_descriptor
        self.sent: list[can.Message] = []
        self.refusals: deque[Exception] = deque()
        self.incoming: deque[can.Message | Exception] = deque()

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        if self.refusals:
            raise self.refusals.popleft()
        self.sent.append(msg)

    def arrive(self, *items: can.Message | Exception) -> None:
        self.incoming.extend(items)
        self.theirs.send(b"x" * len(items))

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        if not self.incoming:
            time.sleep(timeout or 0)
            return None, True
        self.ours.recv(1)
        item = self.incoming.popleft()
        if isinstance(item, Exception):
            raise item
        return item, True

    def fileno(self) -> int:
        if not self.with_descriptor:
            raise NotImplementedError
        return self.ours.fileno()

    def shutdown(self) -> None:
        super().shutdown()
        self.ours.close()
        self.theirs.close()


def scripted(
    body: Callable[[PythonCanPort, ScriptedBus], Coroutine[Any, Any, None]],
    echoes: bool = True,
    with_descriptor: bool = True,
    traffic: InterfaceTraffic | None = None,
) -> None:
    async def main() -> None:
        bus = ScriptedBus(with_descriptor)
        port = PythonCanPort(bus, "scripted:x", echoes, 500_000, None, traffic)
        try:
            async with asyncio.timeout(WAIT_S):
                await body(port, bus)
        finally:
            port.close()

    asyncio.run(main())


async def until(happened: Callable[[], bool]) -> None:
    """Let the loop turn until it did; the limit is that of the whole body."""
    while not happened():  # noqa: ASYNC110 - what is awaited has no event of its own
        await asyncio.sleep(0.001)


def message(can_id: int, data: bytes, **more: Any) -> can.Message:
    return can.Message(arbitration_id=can_id, data=data, is_extended_id=False, **more)


FULL = [
    can.CanOperationError("Failed to transmit: No buffer space available", errno.ENOBUFS),
    can.CanOperationError("Transmit buffer full"),
]


def test_a_full_transmit_queue_delays_frames_and_loses_none() -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        bus.refusals.extend(FULL)
        for number in range(3):
            port.send(CanFrame(0x100, bytes((number,))))
        assert bus.sent == []
        await until(lambda: len(bus.sent) == 3)
        assert [bytes(sent.data) for sent in bus.sent] == [b"\x00", b"\x01", b"\x02"]
        assert port.gone is None

    scripted(body)


def test_no_more_than_a_queue_full_is_handed_over_before_the_wire_confirms() -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        confirmed: list[int] = []
        for number in range(20):
            port.send(CanFrame(0x100, bytes((number,))), lambda number=number: confirmed.append(number))  # type: ignore[misc]
        assert len(bus.sent) == 8
        assert confirmed == []
        bus.arrive(message(0x100, b"\x02", is_rx=False))  # the echoes of 0 and 1 were lost
        await until(lambda: bool(confirmed))
        assert confirmed == [0, 1, 2]
        assert len(bus.sent) == 11

    scripted(body)


@pytest.mark.parametrize("with_descriptor", [True, False])
def test_without_an_echo_a_frame_counts_as_sent_when_the_driver_took_it(with_descriptor: bool) -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        sent = asyncio.Event()
        port.send(CanFrame(0x100, b"\x01"), sent.set)
        assert not sent.is_set()
        await sent.wait()
        arrival = asyncio.ensure_future(next_frame(port))
        await asyncio.sleep(0)
        bus.arrive(message(0x100, b"\x01"))
        assert (await arrival).can_id == 0x100

    scripted(body, echoes=False, with_descriptor=with_descriptor)


def vanished() -> can.CanOperationError:
    error = can.CanOperationError("Error receiving: Network is down", errno.ENETDOWN)
    error.__cause__ = OSError(errno.ENETDOWN, "Network is down")
    return error


@pytest.mark.parametrize("with_descriptor", [True, False])
def test_an_interface_that_vanishes_while_listening_is_told_once(with_descriptor: bool) -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        gone: asyncio.Future[CanBusGoneError] = asyncio.get_running_loop().create_future()
        port.on_gone(gone.set_result)
        bus.arrive(vanished())
        assert "scripted:x: " in str(await gone)
        with pytest.raises(CanBusGoneError, match="Network is down"):
            port.send(CanFrame(0x100, b""))

    scripted(body, with_descriptor=with_descriptor)


def test_an_interface_that_vanishes_while_sending_is_told() -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        gone: list[CanBusGoneError] = []
        port.on_gone(gone.append)
        bus.refusals.append(can.CanOperationError("Failed to transmit: No such device", errno.ENODEV))
        port.send(CanFrame(0x100, b""))
        assert len(gone) == 1
        with pytest.raises(CanBusGoneError, match="No such device"):
            port.send(CanFrame(0x100, b""))

    scripted(body)


class ScriptedTraffic(InterfaceTraffic):
    """What an interface counted, as the test says."""

    def __init__(self) -> None:
        self.frames, self.bits = 0, 0.0

    def so_far(self) -> tuple[int, float]:
        return self.frames, self.bits


@pytest.fixture
def filters(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[int] | None]:
    """What the kernel was told to let through, one after the other."""
    told: list[frozenset[int] | None] = []
    monkeypatch.setattr(pythoncan, "let_through", lambda descriptor, can_ids: told.append(can_ids))
    return told


def test_a_socketcan_port_lets_through_what_is_listened_to_and_what_it_sends(
    filters: list[frozenset[int] | None],
) -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        forget_one = port.subscribe(lambda frame: None, frozenset({0x7E8}))
        port.subscribe(lambda frame: None, frozenset({0x7E8}))
        forget_all = port.subscribe(lambda frame: None)
        port.send(CanFrame(0x7E0, b""))
        forget_one()
        forget_all()
        port.send(CanFrame(0x7E0, b""))
        assert filters == [frozenset(), {0x7E8}, None, {0x7E8, 0x7E0}]

    scripted(body, traffic=ScriptedTraffic())


def test_other_ports_have_no_filter(filters: list[frozenset[int] | None]) -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        port.subscribe(lambda frame: None, frozenset({0x7E8}))
        port.send(CanFrame(0x7E0, b""))
        assert filters == []

    scripted(body)


def test_a_socketcan_port_that_can_set_no_filter_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, can_ids: frozenset[int] | None) -> None:
        if can_ids:
            raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(pythoncan, "let_through", refuse)

    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        port.subscribe(lambda frame: None, frozenset({0x7E8}))
        with pytest.raises(CanBusGoneError, match="No such device"):
            port.send(CanFrame(0x7E0, b""))

    scripted(body, traffic=ScriptedTraffic())


def test_the_load_of_a_socketcan_bus_is_what_its_interface_counted(
    filters: list[frozenset[int] | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        now_s = [0.0]
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s[0])
        traffic.frames, traffic.bits = 10, 100.0
        port.health()
        now_s[0] = 1.0
        port.health()
        now_s[0], traffic.frames, traffic.bits = 3.0, 5000, 400_100.0
        health = port.health()
        assert health.frames_seen == 5000
        assert health.load == pytest.approx(0.4)
        now_s[0], traffic.frames, traffic.bits = 4.0, 0, 0.0  # the interface is gone
        assert port.health().load == 0

    traffic = ScriptedTraffic()
    scripted(body, traffic=traffic)


@pytest.mark.parametrize(("kind", "frames", "data_bytes"), [("can", 150, 900), ("vcan", 100, 600)])
def test_a_controller_counts_both_ways_and_a_vcan_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, frames: int, data_bytes: int
) -> None:
    counters = tmp_path / "can0" / "statistics"
    counters.mkdir(parents=True)

    def count(**values: int) -> None:
        for name, value in values.items():
            (counters / name).write_text(f"{value}\n")

    monkeypatch.setattr(socketcan, "_STATISTICS", tmp_path)
    monkeypatch.setattr(rate, "loops_back", lambda interface: kind == "vcan")
    count(rx_packets=7, rx_bytes=70, tx_packets=3, tx_bytes=30)
    traffic = InterfaceTraffic("can0")
    assert traffic.so_far() == (0, 0.0)
    count(rx_packets=107, rx_bytes=670, tx_packets=53, tx_bytes=330)
    assert traffic.so_far() == (frames, pytest.approx(47 * frames + 8.8 * data_bytes))
    shutil.rmtree(counters)
    assert traffic.so_far() == (0, 0.0)


def test_error_frames_tell_the_counters_and_bus_off() -> None:
    async def body(port: PythonCanPort, bus: ScriptedBus) -> None:
        heard: list[CanFrame] = []
        port.subscribe(heard.append)
        bus.arrive(
            message(0x204, bytes((0, 0, 0, 0, 0, 0, 96, 17)), is_error_frame=True),
            message(0x123, b"", is_remote_frame=True),
        )
        await until(lambda: not bus.incoming)
        assert (port.health().tx_errors, port.health().rx_errors, port.health().bus_off) == (96, 17, False)
        bus.arrive(message(0x040, bytes(8), is_error_frame=True))
        await until(lambda: port.gone is not None)
        assert port.health().bus_off
        assert "bus-off" in str(port.gone)
        assert heard == []

    scripted(body)
