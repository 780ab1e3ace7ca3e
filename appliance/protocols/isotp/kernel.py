"""ISO-TP in the Linux kernel: `CAN_ISOTP` sockets (sheet 1.2; linux/can/isotp.h).

The kernel paces frames and answers flow control by itself, which no Python process can do as evenly. In
return it shows whole payloads only, and reports most failures as an errno after which the socket is not to
be trusted: it is closed, and opened again with the next use.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from appliance.contract.errors import PitboxError
from appliance.protocols.isotp.codec import stmin_seconds
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from drivers.can.interface import CanBusGoneError

SOL_CAN_ISOTP = 106
_OPTS, _RECV_FC, _TX_STMIN, _LL_OPTS = 1, 2, 3, 5

_EXTEND_ADDR = 0x0002
_TX_PADDING = 0x0004
_FORCE_TXSTMIN = 0x0080
_RX_EXT_ADDR = 0x0200
_WAIT_TX_DONE = 0x0400
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
_LARGEST_STMIN_S = 0.127
_FRAME_S = 0.0003
_WATCHDOG_S = 2.0
"""The kernel gives up on a frame that is not echoed for this long."""
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

    WAIT_TX_DONE always: without it a missing flow control shows up at the next system call only. Separation
    times are in nanoseconds, whatever the kernel's documentation says (sheet 1.2, traps 1 and 2).
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
    flags = _WAIT_TX_DONE
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


def send_deadline_s(payload_bytes: int, settings: IsoTpSettings) -> float:
    """Longest a transfer may take whose receiver may ask for any separation time (sheet 1.2, trap 8)."""
    override = settings.stmin_override_us
    gap_s = _LARGEST_STMIN_S if override is None else override / 1e6
    frames = payload_bytes / (settings.tx_frame_bytes - 2) + 1
    return frames * (gap_s + _FRAME_S) + _WATCHDOG_S


class _QueueFullError(Exception):
    """The interface's transmit queue takes no more frames just now; nothing was sent."""


class KernelIsoTpLink:
    """An IsoTpLink on a CAN_ISOTP socket of a SocketCAN interface.

    A functional address (`rx_id == tx_id`) makes a link that only sends single frames.
    """

    def __init__(self, interface: str, address: IsoTpAddress, settings: IsoTpSettings | None = None) -> None:
        """Raises PitboxError ISOTP_KERNEL_MISSING; CanBusGoneError if there is no such interface."""
        self._interface = interface
        self._address = address
        self._settings = settings or IsoTpSettings()
        self._loop = asyncio.get_running_loop()
        self._sender = self._new_sender()
        self._arrived: deque[bytes | ConnectionError] = deque()
        self._arrival = asyncio.Event()
        self._socket: socket.socket | None = None
        self._open()

    async def send(self, payload: bytes) -> None:
        """Return once the last frame is on the wire. Raises IsoTpError, CanBusGoneError."""
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
        longest_s = timeout_s + self._settings.timeout_s + stmin_seconds(self._settings.stmin)
        try:
            async with asyncio.timeout(longest_s):
                while not self._arrived:
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {timeout_s * 1000:.0f} ms") from error
        arrived = self._arrived.popleft()
        if isinstance(arrived, ConnectionError):
            raise arrived
        return arrived

    def drain(self) -> int:
        """Forget payloads that arrived unasked, and what an earlier socket ended with; returns how many."""
        self._on_readable()
        count = len(self._arrived)
        self._arrived.clear()
        return count

    def close(self) -> None:
        """Stop listening."""
        self._discard()
        self._sender.shutdown(wait=False, cancel_futures=True)

    async def _send(self, payload: bytes) -> None:
        self._open()
        sending = self._loop.run_in_executor(self._sender, self._socket_now().send, payload)
        try:
            async with asyncio.timeout(send_deadline_s(len(payload), self._settings)):
                await sending
        except TimeoutError as error:
            self._discard()
            self._sender.shutdown(wait=False)
            self._sender = self._new_sender()
            raise IsoTpError("the kernel did not finish sending in time") from error
        except OSError as error:
            self._discard()
            if error.errno == errno.ENOBUFS:
                raise _QueueFullError from error
            raise self._translated(error) from error

    def _new_sender(self) -> ThreadPoolExecutor:
        """The one thread that may block in a send."""
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"isotp-{self._interface}")

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
        try:
            return socket.socket(socket.PF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP)
        except OSError as error:
            raise PitboxError(
                "ISOTP_KERNEL_MISSING",
                f"this kernel has no ISO-TP sockets ({error.strerror})",
                do_now="Load the module with `modprobe can-isotp`; kernels from 5.10 on have it.",
            ) from error

    def _flagged(self, can_id: int) -> int:
        return can_id | _CAN_EFF_FLAG if self._address.extended_ids else can_id

    def _socket_now(self) -> socket.socket:
        if self._socket is None:
            raise CanBusGoneError(f"{self._interface} is closed")
        return self._socket

    def _on_readable(self) -> None:
        while self._socket is not None:
            try:
                self._arrived.append(self._socket.recv(_LARGEST_PDU_BYTES, socket.MSG_DONTWAIT))
            except BlockingIOError:
                break
            except OSError as error:
                self._discard()
                self._arrived.append(self._translated(error))
        if self._arrived:
            self._arrival.set()

    def _discard(self) -> None:
        made, self._socket = self._socket, None
        if made is not None:
            self._loop.remove_reader(made.fileno())
            made.close()

    def _translated(self, error: OSError) -> ConnectionError:
        if error.errno in _GONE:
            return CanBusGoneError(f"{self._interface}: {error.strerror}")
        reason = _REASONS.get(error.errno or 0, error.strerror)
        return IsoTpError(f"{self._interface}: {reason}")
