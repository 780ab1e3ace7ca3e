"""Ports and ISO-TP against the kernel's own, on a virtual CAN FD interface; needs a kernel that has one."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import can
import pytest

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can import pythoncan
from drivers.can.interface import CanBusGoneError, CanFrame
from drivers.can.pythoncan import PythonCanPort, open_port

INTERFACE = f"pb{os.getpid()}"
"""Of this process alone: test runs side by side need one each."""
WAIT_S = 60
# linux/can/isotp.h
SOL_CAN_ISOTP, OPTIONS, LINK_LAYER = 106, 1, 5
EXTENDED_ADDRESS, TX_PADDING, RX_EXTENDED_ADDRESS, WAIT_TX_DONE = 0x002, 0x004, 0x200, 0x400
TESTER = IsoTpAddress(0x7E0, 0x7E8)


def ip(*words: str) -> bool:
    return subprocess.run(["ip", "link", *words], check=False, capture_output=True).returncode == 0


@pytest.fixture
def vcan() -> Iterator[str]:
    """A fresh CAN FD interface."""
    for module in ("vcan", "can_isotp"):
        if shutil.which("modprobe"):
            subprocess.run(["modprobe", module], check=False, capture_output=True)
    if not (shutil.which("ip") and ip("add", INTERFACE, "type", "vcan")):
        pytest.skip("this kernel or user cannot make a virtual CAN interface; the guest can")
    assert ip("set", INTERFACE, "mtu", "72", "up")
    yield INTERFACE
    ip("delete", INTERFACE)


Body = Callable[[PythonCanPort, PythonCanPort], Coroutine[Any, Any, None]]


def on_both(interface: str, body: Body) -> None:
    async def main() -> None:
        ports = [open_port("socketcan", interface, 500_000, 2_000_000) for _ in range(2)]
        try:
            async with asyncio.timeout(WAIT_S):
                await body(*ports)
        finally:
            for port in ports:
                port.close()

    asyncio.run(main())


def payload_of(length: int) -> bytes:
    return bytes((n * 31 + n // 256) & 0xFF for n in range(length))


def kernel_socket(interface: str, ours: IsoTpAddress, frame_bytes: int) -> socket.socket:
    """The kernel's end of the link whose other end is ours."""
    flags, extension, rx_extension = TX_PADDING | WAIT_TX_DONE, 0, 0
    if ours.rx_extension is not None and ours.tx_extension is not None:
        flags |= EXTENDED_ADDRESS | RX_EXTENDED_ADDRESS
        extension, rx_extension = ours.rx_extension, ours.tx_extension
    sock = socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
    sock.setsockopt(
        SOL_CAN_ISOTP, OPTIONS, struct.pack("IIBBBB", flags, 0, extension, 0x55, 0x55, rx_extension)
    )
    sock.setsockopt(
        SOL_CAN_ISOTP, LINK_LAYER, struct.pack("BBB", 72 if frame_bytes > 8 else 16, frame_bytes, 0)
    )
    sock.settimeout(WAIT_S)
    flag = socket.CAN_EFF_FLAG if ours.extended_ids else 0
    sock.bind((interface, ours.tx_id | flag, ours.rx_id | flag))
    return sock


class Trace:
    """All frames that a port hears, to be waited for by their number."""

    def __init__(self, port: PythonCanPort) -> None:
        self._frames: list[CanFrame] = []
        self._came = asyncio.Event()
        port.subscribe(self._hear)

    def _hear(self, frame: CanFrame) -> None:
        self._frames.append(frame)
        self._came.set()

    async def take(self, count: int) -> list[CanFrame]:
        """The next so many frames, once all of them are there; what came too many stays for the next."""
        while len(self._frames) < count:
            self._came.clear()
            await self._came.wait()
        taken, self._frames = self._frames[:count], self._frames[count:]
        return taken

    async def nothing_more(self, sender: PythonCanPort) -> None:
        """The next frame is one that is sent now."""
        last = CanFrame(0x7FF, b"last")
        sender.send(last)
        assert await self.take(1) == [last]


@pytest.mark.parametrize(
    "frame",
    [
        CanFrame(0x7E0, b"\x02\x3e\x00"),
        CanFrame(0x7E0, b""),
        CanFrame(0x18DA10F1, bytes(8), extended=True),
        CanFrame(0x123, bytes(range(64)), fd=True, bit_rate_switch=True),
    ],
)
def test_frames_arrive_as_they_were_and_are_told_as_sent(vcan: str, frame: CanFrame) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        own, others = Trace(one), Trace(two)
        await sent(one, frame)
        assert await others.take(1) == [frame]
        await others.nothing_more(one)
        await own.nothing_more(two)

    on_both(vcan, body)


def test_a_burst_arrives_whole_and_in_order(vcan: str) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        trace = Trace(two)
        for number in range(1000):
            one.send(CanFrame(0x100, number.to_bytes(2, "big")))
        assert [int.from_bytes(frame.data, "big") for frame in await trace.take(1000)] == list(range(1000))
        await trace.nothing_more(one)

    on_both(vcan, body)


def test_two_of_the_longest_classic_payloads_wait_for_a_loop_that_is_busy(vcan: str) -> None:
    async def body(_one: PythonCanPort, two: PythonCanPort) -> None:
        trace = Trace(two)
        ecu_end = IsoTpAddress(TESTER.rx_id, TESTER.tx_id)
        with kernel_socket(vcan, TESTER, 8), kernel_socket(vcan, ecu_end, 8) as tester:
            for _ in range(2):
                tester.send(payload_of(4095))
        frames = await trace.take(2 * frames_of(4095, 8, TESTER))
        assert len(data_in(frames, TESTER.tx_id, TESTER)) == 2 * 586

    on_both(vcan, body)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Identifiers of all frames that reached Python, in order."""
    seen: list[int] = []
    plain = pythoncan._frame

    def counted(message: can.Message) -> CanFrame:
        frame = plain(message)
        seen.append(frame.can_id)
        return frame

    monkeypatch.setattr(pythoncan, "_frame", counted)
    return seen


async def sent(port: PythonCanPort, *frames: CanFrame) -> None:
    """All of them are on the wire."""
    for frame in frames:
        done = asyncio.Event()
        port.send(frame, done.set)
        await done.wait()


def test_frames_that_nobody_listens_to_stay_in_the_kernel(vcan: str, decoded: list[int]) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        arrived = asyncio.Event()
        forget = one.subscribe(lambda frame: arrived.set(), frozenset({0x7E8, 0x18DAF110}))
        others = [CanFrame(number, b"\x01") for number in range(0x100, 0x132)]
        await sent(two, *others, CanFrame(0x7E8, b"\x02"))
        await arrived.wait()
        echoes = [frame.can_id for frame in others] + [0x7E8]
        assert sorted(decoded) == sorted([*echoes, 0x7E8])
        assert one.health().frames_seen == two.health().frames_seen == 51
        arrived.clear()
        await sent(two, CanFrame(0x18DAF110, b"\x02", extended=True))
        await arrived.wait()
        decoded.clear()
        forget()
        await sent(two, CanFrame(0x7E8, b"\x02"))
        everything = asyncio.Event()
        one.subscribe(lambda frame: everything.set())
        await sent(two, CanFrame(0x555, b""))
        await everything.wait()
        assert sorted(decoded) == [0x555, 0x555, 0x7E8]
        assert one.health().frames_seen == 54

    on_both(vcan, body)


def test_an_echo_comes_back_though_nobody_listens(vcan: str, decoded: list[int]) -> None:
    async def body(one: PythonCanPort, _two: PythonCanPort) -> None:
        await sent(one, CanFrame(0x7E0, b"\x01"), CanFrame(0x7DF, b"\x02"), CanFrame(0x7E0, b"\x03"))
        assert decoded == [0x7E0, 0x7DF, 0x7E0]

    on_both(vcan, body)


@pytest.mark.parametrize("frame_bytes", [8, 64])
@pytest.mark.parametrize(
    "address",
    [
        TESTER,
        IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True),
        IsoTpAddress(0x6F1, 0x612, tx_extension=0x12, rx_extension=0xF1),
    ],
    ids=["normal", "29 bit", "extended"],
)
def test_the_kernels_isotp_sends_the_same_frames_and_reads_ours(
    vcan: str, address: IsoTpAddress, frame_bytes: int
) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        settings = IsoTpSettings(tx_frame_bytes=frame_bytes, padding=0x55, timeout_s=WAIT_S)
        link = SoftIsoTpLink(one, address, settings)
        trace = Trace(two)
        with kernel_socket(vcan, address, frame_bytes) as kernel:
            for length in (1, 6, 7, 8, 14, 62, 63, 100, 1000, 4095):
                await link.send(payload_of(length))
                assert await asyncio.to_thread(kernel.recv, 8192) == payload_of(length)
                ours = await trace.take(frames_of(length, frame_bytes, address))
                sending = asyncio.create_task(asyncio.to_thread(kernel.send, payload_of(length)))
                assert await link.receive(WAIT_S) == payload_of(length)
                await sending
                theirs = await trace.take(frames_of(length, frame_bytes, address))
                assert data_in(ours, address.tx_id, address) == data_in(theirs, address.rx_id, address)
        await trace.nothing_more(one)

    on_both(vcan, body)


def frames_of(length: int, frame_bytes: int, address: IsoTpAddress) -> int:
    """All frames of a payload without blocks, the one flow control among them (ISO 15765-2, 9.6)."""
    room = frame_bytes - (0 if address.tx_extension is None else 1)
    in_single = room - 1 if frame_bytes == 8 or length <= 7 else room - 2
    if length <= in_single:
        return 1
    return 2 + math.ceil((length - (room - 2)) / (room - 1))


def data_in(frames: list[CanFrame], can_id: int, address: IsoTpAddress) -> list[bytes]:
    """What the frames of one sender carry behind the address extension, flow controls left out."""
    skip = 0 if address.tx_extension is None else 1
    return [frame.data[skip:] for frame in frames if frame.can_id == can_id and frame.data[skip] >> 4 != 3]


@pytest.mark.parametrize("how", [("set", INTERFACE, "down"), ("delete", INTERFACE)], ids=["down", "deleted"])
def test_an_interface_that_vanishes_mid_payload_is_told_at_once(vcan: str, how: tuple[str, ...]) -> None:
    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        patient = IsoTpSettings(stmin=127, timeout_s=2 * WAIT_S)
        tester = SoftIsoTpLink(one, TESTER, patient)
        ecu = SoftIsoTpLink(two, IsoTpAddress(0x7E8, 0x7E0), patient)
        trace = Trace(two)
        sending = asyncio.create_task(tester.send(payload_of(4095)))
        receiving = asyncio.create_task(ecu.receive(2 * WAIT_S))
        await trace.take(5)
        assert not sending.done()
        assert ip(*how)
        for task in (sending, receiving):
            with pytest.raises(IsoTpError, match=f"socketcan:{INTERFACE}: "):
                await task
        with pytest.raises(CanBusGoneError):
            one.send(CanFrame(0x7E0, b""))

    on_both(vcan, body)


def test_a_bus_that_is_down_is_told_when_it_is_used(vcan: str) -> None:
    assert ip("set", vcan, "down")

    async def body(one: PythonCanPort, _two: PythonCanPort) -> None:
        link = SoftIsoTpLink(one, TESTER)
        with pytest.raises(IsoTpError, match=f"socketcan:{INTERFACE}: "):
            await link.send(b"\x3e\x00")

    on_both(vcan, body)


def test_frames_that_nobody_took_in_time_are_counted(vcan: str) -> None:
    """The loop is busy elsewhere, and the buffer is as small as the kernel makes it."""

    async def body(one: PythonCanPort, two: PythonCanPort) -> None:
        heard = Trace(one)
        with socket.socket(fileno=os.dup(one._bus.fileno())) as alias:
            alias.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        assert one.health().lost_frames == 0
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as raw:
            raw.bind((vcan,))
            for number in range(200):
                raw.send(struct.pack("=IB3x8s", 0x123, 8, number.to_bytes(8)))
        lost = one.health().lost_frames
        assert 0 < lost < 200
        assert len(await heard.take(200 - lost)) == 200 - lost
        assert two.health().lost_frames == 0

    on_both(vcan, body)
