"""ISO-TP in the Linux kernel: `CAN_ISOTP` sockets (sources: isotp-kernel; linux/can/isotp.h).

The kernel paces frames and answers flow control by itself, which no Python process can do as evenly. In
return it shows whole payloads only, and reports most failures as an errno after which the socket is not to
be trusted: it is closed, and opened again with the next use.

Nothing here blocks and no thread waits: a socket that is sending is not writable, and becomes so when the
last frame is out or the transfer has failed. Kernels tell that since `_POLL_TELLS`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import select
import socket
import struct
from collections import deque

from appliance.contract.errors import EngineError
from appliance.protocols.isotp.codec import stmin_seconds
from appliance.protocols.isotp.deadlines import send_deadline_s
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from drivers.can.interface import CanBusGoneError

SOL_CAN_ISOTP = 106
_OPTS, _RECV_FC, _TX_STMIN, _LL_OPTS = 1, 2, 3, 5

_EXTEND_ADDR = 0x0002
_TX_PADDING = 0x0004
_FORCE_TXSTMIN = 0x0080
_RX_EXT_ADDR = 0x0200
_SF_BROADCAST = 0x0800

_NO_FRAME_TXTIME = 0xFFFF_FFFF
"""Kernels that wait for each frame's echo (5.18 on) need no pause besides; the default of 50 us costs a
sixth of the wire at 500 kbit/s.
"""
_CAN_MTU, _CANFD_MTU = 16, 72
_CANFD_BRS = 0x01
_CAN_EFF_FLAG = 0x8000_0000

_LARGEST_PDU_BYTES = 66_000
"""Limit of the kernels 5.18 to 6.3; later ones default to 8300 (trap 6)."""
_POLL_TELLS = {(5, 15): 140, (6, 1): 64}
"""Patch levels of the older series that have both "isotp_ops: fix poll() to not report false EPOLLOUT events"
and the mending of its fault, "isotp_sendmsg(): fix TX state detection and wait behavior" (6.6); trap 7.
"""
_QUEUE_FULL_PAUSES_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

_REASONS = {
    errno.ECOMM: "the ECU sent no flow control (N_Bs)",
    errno.EMSGSIZE: "the ECU has no room for this payload (FC.OVERFLOW)",
    errno.EBADMSG: "a broken flow control or wrong padding",
    errno.ETIMEDOUT: "a consecutive frame is missing (N_Cr)",
    errno.EILSEQ: "a consecutive frame is out of order",
}
_GONE = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO, errno.ENETUNREACH, errno.EADDRNOTAVAIL})
"""EADDRNOTAVAIL is a socket whose interface was deleted: it was unbound."""


def socket_options(address: IsoTpAddress, settings: IsoTpSettings) -> tuple[tuple[int, bytes], ...]:
    """(option, value) pairs to set before bind.

    No WAIT_TX_DONE, which blocks even a socket that is told not to: the link waits by itself. Separation
    times are in nanoseconds, whatever the kernel's documentation says (sources: isotp-kernel).
    """
    options = [
        (_OPTS, _general_options(address, settings)),
        (_RECV_FC, struct.pack("=BBB", settings.block_size, settings.stmin, 0)),
        (_LL_OPTS, _link_layer_options(settings)),
    ]
    if settings.stmin_override_us is not None:
        options.append((_TX_STMIN, struct.pack("=I", settings.stmin_override_us * 1000)))
    return tuple(options)


def _general_options(address: IsoTpAddress, settings: IsoTpSettings) -> bytes:
    flags = 0
    if address.tx_extension is not None:
        flags |= _EXTEND_ADDR
        flags |= _RX_EXT_ADDR if address.rx_extension != address.tx_extension else 0
    if settings.padding is not None:
        flags |= _TX_PADDING
    if settings.stmin_override_us is not None:
        flags |= _FORCE_TXSTMIN
    if address.rx_id == address.tx_id:
        flags |= _SF_BROADCAST
    return struct.pack(
        "=IIBBBB",
        flags,
        _NO_FRAME_TXTIME,
        address.tx_extension or 0,
        settings.padding or 0,
        settings.padding or 0,
        address.rx_extension or 0,
    )


def _link_layer_options(settings: IsoTpSettings) -> bytes:
    fd = settings.tx_frame_bytes > 8
    tx_flags = _CANFD_BRS if fd and settings.bit_rate_switch else 0
    return struct.pack("=BBB", _CANFD_MTU if fd else _CAN_MTU, settings.tx_frame_bytes, tx_flags)


def poll_tells(release: str) -> bool:
    """Whether a kernel of this release (`uname -r`) says by poll that a payload is out."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if numbers is None:
        return False
    series, patch = (int(numbers[1]), int(numbers[2])), int(numbers[3] or 0)
    return series >= (6, 6) or patch >= _POLL_TELLS.get(series, patch + 1)


class _QueueFullError(Exception):
    """The interface's transmit queue takes no more frames just now; nothing was sent."""


class KernelIsoTpLink:
    """An IsoTpLink on a CAN_ISOTP socket of a SocketCAN interface.

    A functional address (`rx_id == tx_id`) makes a link that only sends single frames.
    """

    def __init__(self, interface: str, address: IsoTpAddress, settings: IsoTpSettings | None = None) -> None:
        """Raises PitboxError ISOTP_KERNEL_MISSING or ISOTP_KERNEL_OLD, CanBusGoneError without interface."""
        self._interface = interface
        self._address = address
        self._settings = settings or IsoTpSettings()
        self._longest_gap_s = self._settings.timeout_s + stmin_seconds(self._settings.stmin)
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._arrived: deque[bytes | ConnectionError] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._sent: asyncio.Future[None] | None = None
        self._socket: socket.socket | None = None
        self._open()

    async def send(self, payload: bytes) -> None:
        """Return once the last frame is on the wire. Raises IsoTpError, CanBusGoneError."""
        async with self._turn:
            for pause_s in _QUEUE_FULL_PAUSES_S:
                try:
                    return await self._send(payload)
                except _QueueFullError:
                    await asyncio.sleep(pause_s)
        raise IsoTpError(f"the transmit queue of {self._interface} stays full; raise its txqueuelen")

    async def receive(self, timeout_s: float) -> bytes:
        """The next payload. Raises TimeoutError, IsoTpError, CanBusGoneError.

        The kernel does not tell when a payload begins, so one that is on its way gets N_Cr on top.
        """
        self._open()
        if not self._arrived and not await self._arrives_within(timeout_s + self._longest_gap_s):
            raise TimeoutError(f"no answer within {timeout_s * 1000:.0f} ms")
        arrived = self._arrived.popleft()
        if isinstance(arrived, ConnectionError):
            raise arrived
        return arrived

    def drain(self) -> int:
        """Forget payloads that arrived unasked, and what an earlier socket ended with; returns how many."""
        while self._take():
            pass
        count = len(self._arrived)
        self._arrived.clear()
        return count

    def close(self) -> None:
        """Stop listening."""
        self._discard(CanBusGoneError(f"{self._interface} is closed"))

    async def _arrives_within(self, seconds: float) -> bool:
        self._arrival = self._loop.create_future()
        deadline = self._loop.call_later(seconds, self._wake)
        try:
            await self._arrival
        finally:
            deadline.cancel()
            self._arrival = None
        return bool(self._arrived)

    async def _send(self, payload: bytes) -> None:
        self._open()
        made = self._socket_now()
        try:
            made.send(payload, socket.MSG_DONTWAIT)
        except OSError as error:
            failure = self._translated(error)
            self._discard(failure)
            if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                raise _QueueFullError from error
            raise failure from error
        if not _is_writable(made):
            await self._last_frame(made, send_deadline_s(len(payload), self._settings))
        elif code := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            failure = self._translated(OSError(code, os.strerror(code)))
            self._discard(failure)
            raise failure

    async def _last_frame(self, made: socket.socket, within_s: float) -> None:
        """Wait until the socket is writable again. Raises IsoTpError, CanBusGoneError."""
        self._sent = sent = self._loop.create_future()
        self._loop.add_writer(made.fileno(), self._on_writable)
        late = IsoTpError("the kernel did not finish sending in time")
        deadline = self._loop.call_later(within_s, self._discard, late)
        try:
            await sent
        except asyncio.CancelledError:
            self._discard(IsoTpError("the sender was cancelled"))
            raise
        finally:
            deadline.cancel()
            self._sent = None

    def _open(self) -> None:
        """Make a socket if there is none, or if the last one failed."""
        if self._socket is not None:
            return
        made = self._make_socket()
        try:
            for option, value in socket_options(self._address, self._settings):
                made.setsockopt(SOL_CAN_ISOTP, option, value)
            rx_id, tx_id = self._flagged(self._address.rx_id), self._flagged(self._address.tx_id)
            made.bind((self._interface, rx_id, tx_id))
        except OSError as error:
            made.close()
            raise self._translated(error) from error
        self._socket = made
        self._loop.add_reader(made.fileno(), self._on_readable)

    @staticmethod
    def _make_socket() -> socket.socket:
        if not poll_tells(os.uname().release):
            raise EngineError("ISOTP_KERNEL_OLD", kernel=os.uname().release)
        try:
            return socket.socket(socket.PF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
        except OSError as error:
            raise EngineError("ISOTP_KERNEL_MISSING", technical_text=error.strerror or str(error)) from error

    def _flagged(self, can_id: int) -> int:
        return can_id | _CAN_EFF_FLAG if self._address.extended_ids else can_id

    def _socket_now(self) -> socket.socket:
        if self._socket is None:
            raise CanBusGoneError(f"{self._interface} is closed")
        return self._socket

    def _on_readable(self) -> None:
        self._take()
        if self._arrived:
            self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _on_writable(self) -> None:
        """The last frame is out, or the transfer failed: then the error is there to be asked for."""
        made = self._socket_now()
        self._loop.remove_writer(made.fileno())
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._discard(self._translated(OSError(code, os.strerror(code))))
        elif self._sent is not None and not self._sent.done():
            self._sent.set_result(None)

    def _take(self) -> bool:
        """Move one payload, or what ended the socket, to those that arrived; False if there is none."""
        if self._socket is None:
            return False
        try:
            self._arrived.append(self._socket.recv(_LARGEST_PDU_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(self._translated(error))
            return False
        return True

    def _end(self, failure: ConnectionError) -> None:
        """The socket is of no use any more: whoever sends is told, else whoever receives next."""
        sending = self._sent is not None
        self._discard(failure)
        if not sending:
            self._arrived.append(failure)

    def _discard(self, failure: ConnectionError) -> None:
        made, self._socket = self._socket, None
        if made is not None:
            self._loop.remove_reader(made.fileno())
            self._loop.remove_writer(made.fileno())
            made.close()
        if self._sent is not None and not self._sent.done():
            self._sent.set_exception(failure)

    def _translated(self, error: OSError) -> ConnectionError:
        if error.errno in _GONE:
            return CanBusGoneError(f"{self._interface}: {error.strerror}")
        reason = _REASONS.get(error.errno or 0, error.strerror)
        return IsoTpError(f"{self._interface}: {reason}")


def _is_writable(made: socket.socket) -> bool:
    asked = select.poll()
    asked.register(made, select.POLLOUT)
    return bool(asked.poll(0))
