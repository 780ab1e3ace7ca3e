"""What is told to the kernel, against the layouts of linux/can/isotp.h, and what its errors become.

The sockets themselves are tried in the guest of tests/vm: few build machines have the module.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from appliance.contract.errors import PitboxError
from appliance.protocols.isotp import kernel
from appliance.protocols.isotp.deadlines import send_deadline_s
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.kernel import KernelIsoTpLink, poll_tells, socket_options
from drivers.can.interface import CanBusGoneError

NORMAL = IsoTpAddress(0x7E0, 0x7E8)
FLAGS_TX_PADDING, FLAGS_FORCE_TXSTMIN = 0x004, 0x080
FLAGS_EXTEND_ADDR, FLAGS_RX_EXT_ADDR, FLAGS_SF_BROADCAST = 0x002, 0x200, 0x800


class CanIsotpOptions(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint32),
        ("frame_txtime", ctypes.c_uint32),
        ("ext_address", ctypes.c_uint8),
        ("txpad_content", ctypes.c_uint8),
        ("rxpad_content", ctypes.c_uint8),
        ("rx_ext_address", ctypes.c_uint8),
    )


class CanIsotpFcOptions(ctypes.Structure):
    _fields_ = (("bs", ctypes.c_uint8), ("stmin", ctypes.c_uint8), ("wftmax", ctypes.c_uint8))


class CanIsotpLlOptions(ctypes.Structure):
    _fields_ = (("mtu", ctypes.c_uint8), ("tx_dl", ctypes.c_uint8), ("tx_flags", ctypes.c_uint8))


def general(address: IsoTpAddress = NORMAL, settings: IsoTpSettings | None = None) -> CanIsotpOptions:
    packed = dict(socket_options(address, settings or IsoTpSettings()))[1]
    assert len(packed) == ctypes.sizeof(CanIsotpOptions)
    return CanIsotpOptions.from_buffer_copy(packed)


def link_layer(settings: IsoTpSettings) -> tuple[int, int, int]:
    packed = dict(socket_options(NORMAL, settings))[5]
    assert len(packed) == ctypes.sizeof(CanIsotpLlOptions)
    options = CanIsotpLlOptions.from_buffer_copy(packed)
    return options.mtu, options.tx_dl, options.tx_flags


def test_no_flag_makes_a_send_block() -> None:
    assert general().flags == FLAGS_TX_PADDING
    assert general(settings=IsoTpSettings(padding=None)).flags == 0


@pytest.mark.parametrize(
    ("release", "tells"),
    [
        ("6.12.117+deb13-amd64", True),
        ("6.6.0", True),
        ("7.0-rc1", True),
        ("6.5.13", False),
        ("6.1.64-v8+", True),
        ("6.1.63", False),
        ("5.15.140", True),
        ("5.15.84-v7l+", False),
        ("5.10.250", False),
        ("strange", False),
    ],
)
def test_which_kernels_say_by_poll_that_a_payload_is_out(release: str, tells: bool) -> None:
    assert poll_tells(release) is tells


def test_no_pause_is_added_to_each_frame() -> None:
    assert general().frame_txtime == 0xFFFFFFFF


def test_padding_byte() -> None:
    assert general(settings=IsoTpSettings(padding=0xAA)).txpad_content == 0xAA


def test_extended_addressing_has_a_byte_for_each_direction() -> None:
    options = general(IsoTpAddress(0x6F1, 0x612, tx_extension=0x12, rx_extension=0xF1))
    assert options.flags & (FLAGS_EXTEND_ADDR | FLAGS_RX_EXT_ADDR) == FLAGS_EXTEND_ADDR | FLAGS_RX_EXT_ADDR
    assert (options.ext_address, options.rx_ext_address) == (0x12, 0xF1)


def test_mixed_addressing_has_one_byte_for_both() -> None:
    options = general(IsoTpAddress(0x7E1, 0x7E9, tx_extension=0x30, rx_extension=0x30))
    assert options.flags & (FLAGS_EXTEND_ADDR | FLAGS_RX_EXT_ADDR) == FLAGS_EXTEND_ADDR
    assert options.ext_address == 0x30


def test_a_functional_link_only_sends() -> None:
    assert general(IsoTpAddress(0x7DF, 0x7DF)).flags & FLAGS_SF_BROADCAST


def test_separation_time_is_given_in_nanoseconds() -> None:
    settings = IsoTpSettings(stmin_override_us=350)
    assert dict(socket_options(NORMAL, settings))[3] == struct.pack("=I", 350_000)
    assert general(settings=settings).flags & FLAGS_FORCE_TXSTMIN
    assert 3 not in dict(socket_options(NORMAL, IsoTpSettings()))


def test_our_flow_control() -> None:
    packed = dict(socket_options(NORMAL, IsoTpSettings(block_size=8, stmin=0xF3)))[2]
    assert len(packed) == ctypes.sizeof(CanIsotpFcOptions)
    options = CanIsotpFcOptions.from_buffer_copy(packed)
    assert (options.bs, options.stmin, options.wftmax) == (8, 0xF3, 0)


def test_frame_types() -> None:
    assert link_layer(IsoTpSettings()) == (16, 8, 0)
    assert link_layer(IsoTpSettings(tx_frame_bytes=64)) == (72, 64, 0)
    assert link_layer(IsoTpSettings(tx_frame_bytes=64, bit_rate_switch=True)) == (72, 64, 1)


def test_a_send_may_take_as_long_as_the_slowest_receiver_wants() -> None:
    assert send_deadline_s(4095, IsoTpSettings()) > 585 * 0.127
    assert 2.0 < send_deadline_s(7, IsoTpSettings(stmin_override_us=0)) < 2.1


class FakeSocket:
    """Records options; sends and receives what a test tells it.

    With `takes_time` it is not writable from a send until `finish`.
    """

    made: ClassVar[deque[FakeSocket]] = deque()

    def __init__(self) -> None:
        self.options: list[tuple[int, int, bytes]] = []
        self.bound: tuple[str, int, int] | None = None
        self.closed = False
        self.send_result: OSError | None = None
        self.takes_time = False
        self.error = 0
        self.incoming: deque[bytes | OSError] = deque()
        self._ours, self.peer = socket.socketpair()
        FakeSocket.made.append(self)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert self.bound is None, "options have to be set before bind"
        self.options.append((level, option, value))

    def bind(self, address: tuple[str, int, int]) -> None:
        self.bound = address

    def fileno(self) -> int:
        return self._ours.fileno()

    def send(self, payload: bytes, flags: int) -> int:
        assert flags == socket.MSG_DONTWAIT
        if self.send_result is not None:
            raise self.send_result
        if self.takes_time:
            self._occupy()
        return len(payload)

    def _occupy(self) -> None:
        self._ours.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._ours.send(bytes(4096))

    def finish(self, error: int = 0) -> None:
        """The last frame is out, or the transfer failed."""
        self.error = error
        self.peer.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.peer.recv(1 << 16)

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
        error, self.error = self.error, 0
        return error

    def recv(self, size: int, flags: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError
        event = self.incoming.popleft()
        if isinstance(event, OSError):
            raise event
        return event

    def close(self) -> None:
        self.closed = True
        self._ours.close()
        self.peer.close()


def failing(code: int) -> OSError:
    return OSError(code, f"errno {code}")


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> deque[FakeSocket]:
    FakeSocket.made.clear()
    monkeypatch.setattr(KernelIsoTpLink, "_make_socket", staticmethod(FakeSocket))
    monkeypatch.setattr(kernel, "_QUEUE_FULL_PAUSES_S", (0.0, 0.0, 0.0))
    return FakeSocket.made


Scenario = Callable[[KernelIsoTpLink], Coroutine[Any, Any, None]]


def with_link(scenario: Scenario, address: IsoTpAddress = NORMAL) -> None:
    """On a real loop: the link watches descriptors, which a virtual clock would not wait for."""

    async def main() -> None:
        link = KernelIsoTpLink("can0", address, IsoTpSettings(timeout_s=0.01))
        try:
            await scenario(link)
        finally:
            link.close()

    asyncio.run(main())


def test_options_come_before_bind_and_receive_id_before_transmit_id(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        await link.send(b"\x3e\x00")

    with_link(scenario)
    assert sockets[0].bound == ("can0", 0x7E8, 0x7E0)
    assert {level for level, _, _ in sockets[0].options} == {106}
    assert sockets[0].closed


def test_29_bit_identifiers_are_flagged(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        await link.send(b"\x3e\x00")

    with_link(scenario, IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True))
    assert sockets[0].bound == ("can0", 0x98DAF110, 0x98DA10F1)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ECOMM, "no flow control"),
        (errno.EMSGSIZE, "OVERFLOW"),
        (errno.EBADMSG, "broken flow control"),
        (errno.EIO, "errno 5"),
    ],
)
def test_after_any_failed_send_the_next_one_has_a_new_socket(
    sockets: deque[FakeSocket], code: int, reason: str
) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].send_result = failing(code)
        with pytest.raises(IsoTpError, match=reason):
            await link.send(bytes(100))
        assert sockets[0].closed
        await link.send(bytes(100))
        assert len(sockets) == 2

    with_link(scenario)


TRANSFER_ERRORS = [(errno.ECOMM, "no flow control"), (errno.EMSGSIZE, "OVERFLOW"), (errno.EIO, "err")]


async def begun(link: KernelIsoTpLink, fake: FakeSocket) -> asyncio.Task[None]:
    """A send that the kernel has taken and not finished."""
    fake.takes_time = True
    sending = asyncio.create_task(link.send(bytes(100)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert link._sent is not None
    assert not sending.done()
    fake.takes_time = False
    return sending


def test_a_send_ends_with_its_last_frame_and_no_thread_waits_for_it(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        threads = threading.active_count()
        sending = await begun(link, sockets[0])
        assert threading.active_count() == threads
        sockets[0].finish()
        await sending
        await link.send(b"\x3e\x00")
        assert len(sockets) == 1

    with_link(scenario)


@pytest.mark.parametrize(("code", "reason"), TRANSFER_ERRORS)
@pytest.mark.parametrize("told_to", ["writer", "reader"])
def test_a_transfer_that_fails_later_is_told_to_its_sender_whoever_hears_of_it(
    sockets: deque[FakeSocket], code: int, reason: str, told_to: str
) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sending = await begun(link, sockets[0])
        if told_to == "reader":
            sockets[0].incoming.append(failing(code))
            sockets[0].peer.send(b"!")
        else:
            sockets[0].finish(code)
        with pytest.raises(IsoTpError, match=reason):
            await sending
        assert sockets[0].closed
        assert link.drain() == 0
        await link.send(b"\x3e\x00")
        assert len(sockets) == 2

    with_link(scenario)


@pytest.mark.parametrize(("code", "reason"), TRANSFER_ERRORS)
def test_a_transfer_that_failed_at_once_is_told_too(
    sockets: deque[FakeSocket], code: int, reason: str
) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].error = code
        with pytest.raises(IsoTpError, match=reason):
            await link.send(bytes(100))
        assert sockets[0].closed

    with_link(scenario)


def test_a_kernel_that_never_finishes_is_given_up(
    sockets: deque[FakeSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "send_deadline_s", lambda payload_bytes, settings: 0.001)

    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].takes_time = True
        with pytest.raises(IsoTpError, match="in time"):
            await link.send(bytes(100))
        assert sockets[0].closed

    with_link(scenario)


def test_a_cancelled_send_leaves_nothing_behind(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sending = await begun(link, sockets[0])
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert sockets[0].closed
        await link.send(b"\x3e\x00")
        assert len(sockets) == 2

    with_link(scenario)


def test_two_senders_take_turns(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        first = await begun(link, sockets[0])
        second = asyncio.create_task(link.send(b"\x3e\x80"))
        await asyncio.sleep(0)
        assert not second.done()
        sockets[0].finish()
        await first
        await second

    with_link(scenario)


def test_closing_ends_a_send(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sending = await begun(link, sockets[0])
        link.close()
        with pytest.raises(CanBusGoneError, match="closed"):
            await sending

    with_link(scenario)


@pytest.mark.parametrize("code", [errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL])
def test_an_interface_that_vanished_is_told_apart(sockets: deque[FakeSocket], code: int) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].send_result = failing(code)
        with pytest.raises(CanBusGoneError, match="can0"):
            await link.send(b"\x3e\x00")

    with_link(scenario)


def test_draining_without_an_interface_is_no_error_and_sending_finds_it_again(
    sockets: deque[FakeSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fake: FakeSocket, address: tuple[str, int, int]) -> None:
        raise failing(errno.ENODEV)

    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].incoming.append(failing(errno.ENETDOWN))
        with monkeypatch.context() as away:
            away.setattr(FakeSocket, "bind", refuse)
            assert link.drain() == 1
            assert link.drain() == 0
            with pytest.raises(CanBusGoneError, match="can0"):
                await link.send(b"\x3e\x00")
        link.drain()
        await link.send(b"\x3e\x00")
        assert [one.closed for one in sockets] == [True, True, False]

    with_link(scenario)


def test_a_full_transmit_queue_is_waited_for(
    sockets: deque[FakeSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def send(fake: FakeSocket, payload: bytes, flags: int) -> int:
        attempts.append(len(sockets))
        if len(attempts) < 3:
            raise failing(errno.ENOBUFS)
        return len(payload)

    monkeypatch.setattr(FakeSocket, "send", send)

    async def scenario(link: KernelIsoTpLink) -> None:
        await link.send(bytes(8))

    with_link(scenario)
    assert attempts == [1, 2, 3]


def test_a_queue_that_stays_full_names_the_remedy(
    sockets: deque[FakeSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(fake: FakeSocket, payload: bytes, flags: int) -> int:
        raise failing(errno.ENOBUFS)

    monkeypatch.setattr(FakeSocket, "send", send)

    async def scenario(link: KernelIsoTpLink) -> None:
        with pytest.raises(IsoTpError, match="txqueuelen"):
            await link.send(bytes(8))

    with_link(scenario)


def test_payloads_and_errors_arrive_in_order(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].incoming.extend([b"one", b"two", failing(errno.EILSEQ)])
        sockets[0].peer.send(b"!")
        assert await link.receive(1.0) == b"one"
        assert await link.receive(1.0) == b"two"
        with pytest.raises(IsoTpError, match="out of order"):
            await link.receive(1.0)
        assert sockets[0].closed
        with pytest.raises(TimeoutError, match="within 50 ms"):
            await link.receive(0.05)
        assert len(sockets) == 2

    with_link(scenario)


def test_drain_forgets_what_came_unasked(sockets: deque[FakeSocket]) -> None:
    async def scenario(link: KernelIsoTpLink) -> None:
        sockets[0].incoming.extend([b"late", b"later"])
        assert link.drain() == 2
        with pytest.raises(TimeoutError):
            await link.receive(0.01)

    with_link(scenario)


def test_a_kernel_without_isotp_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(kernel, "socket", SimpleNamespace(**vars(socket) | {"socket": refuse}))
    monkeypatch.setattr(kernel, "poll_tells", lambda release: True)

    with pytest.raises(PitboxError, match="Protocol not supported") as caught:
        KernelIsoTpLink._make_socket()
    assert caught.value.code == "ISOTP_KERNEL_MISSING"


def test_a_kernel_that_does_not_tell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "poll_tells", lambda release: False)

    with pytest.raises(PitboxError, match="do not tell when a payload is out") as caught:
        KernelIsoTpLink._make_socket()
    assert caught.value.code == "ISOTP_KERNEL_OLD"
