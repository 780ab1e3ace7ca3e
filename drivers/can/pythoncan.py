"""A CanPort over any python-can interface, on the running event loop.

A frame counts as sent when the bus hands our own copy back (SocketCAN echoes it after the acknowledge,
`virtual` and `udp_multicast` as soon as it is under way), because `send` returning only means that a queue
took it: a sender that trusts it runs ahead of the wire and overflows somebody's buffer. Interfaces without an
echo count a frame as sent when their driver took it.

On SocketCAN the kernel hands over what somebody listens to and the echoes of what was sent, and nothing else:
each frame costs Python more time than the whole of its way through the kernel.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import can

from drivers.can.interface import BusHealth, CanBusGoneError, CanFrame, FrameHandler, SentHandler
from drivers.can.listeners import PortListeners
from drivers.can.reader import FdReader, ThreadReader
from drivers.can.socketcan import InterfaceTraffic, let_through, lost_by

log = logging.getLogger("pitbox.can")

_WINDOW_FRAMES = 8
"""Frames handed to the driver and not yet echoed: less than the usual transmit queue of ten."""
_RETRY_S = 0.001
_RECEIVE_BUFFER_BYTES = 4 << 20
_RECEIVE_BUFFER_FORCE = 33
"""SO_RCVBUFFORCE (asm-generic/socket.h), which Python has no name for; needs CAP_NET_ADMIN."""
_LONGEST_DATAGRAM_BYTES = 1 << 16
_OWN_GROUP_ONLY = {socket.AF_INET: (socket.IPPROTO_IP, 49), socket.AF_INET6: (socket.IPPROTO_IPV6, 29)}
"""IP_MULTICAST_ALL and IPV6_MULTICAST_ALL (linux/in.h, linux/in6.h), which Python has no names for."""
_ECHO_OPTIONS: dict[str, dict[str, Any]] = {
    "socketcan": {"receive_own_messages": True},
    "virtual": {"receive_own_messages": True},
    "udp_multicast": {},  # the group hands our own datagrams back without being asked
}
_SETS_BIT_RATE_ITSELF = frozenset(_ECHO_OPTIONS)
"""Their bit rate is a property of the network interface (`ip link`), or there is none."""

_ERROR_CONTROLLER, _ERROR_BUS_OFF, _ERROR_COUNTERS = 0x004, 0x040, 0x200
"""Classes of error frames (linux/can/error.h)."""


class PythonCanPort(PortListeners):
    """One node on a python-can bus. Made by `open_port`."""

    def __init__(
        self,
        bus: can.BusABC,
        name: str,
        echoes: bool,
        bitrate_bps: int,
        data_bitrate_bps: int | None,
        traffic: InterfaceTraffic | None = None,
    ) -> None:
        """`traffic` is that of a SocketCAN interface; elsewhere the frames that arrive are counted."""
        super().__init__()
        self.bitrate_bps = bitrate_bps
        self.data_bitrate_bps = data_bitrate_bps
        self._bus = bus
        self._name = name
        self._echoes = echoes
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[tuple[CanFrame, SentHandler | None]] = deque()
        self._in_flight: deque[tuple[CanFrame, SentHandler | None]] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._tx_errors = self._rx_errors = self._frames = 0
        self._lost = 0
        self._bits = 0.0
        self._traffic = traffic
        self._sent_ids: frozenset[int] = frozenset()
        self._let_through: frozenset[int] | None = None
        self._load_mark = (self._loop.time(), 0.0)
        reader = ThreadReader if _descriptor(bus) is None else FdReader
        self._reader = reader(bus, self._on_message, self._on_receive_error)
        self._narrow()

    def send(self, frame: CanFrame, on_sent: SentHandler | None = None) -> None:
        """Queue a frame. Raises CanBusGoneError, ValueError for an FD frame on a classic bus."""
        self.require_bus()
        if frame.fd and self.data_bitrate_bps is None:
            raise ValueError(f"{self._name} is open as classic CAN: no FD frame can be sent on it")
        self._outbox.append((frame, on_sent))
        if frame.can_id not in self._sent_ids:
            self._sent_ids |= {frame.can_id}
            self._narrow()
        if self._retry is None:
            self._pump()

    def subscribe(self, handler: FrameHandler, can_ids: frozenset[int] | None = None) -> Callable[[], None]:
        """Call handler for each frame of other nodes (all, or only these ids); returns the unsubscriber."""
        forget = super().subscribe(handler, can_ids)
        self._narrow()

        def unsubscribe() -> None:
            forget()
            self._narrow()

        return unsubscribe

    def health(self) -> BusHealth:
        """Error counters as last reported by the controller; load is estimated from what passed."""
        frames, bits_now = (self._frames, self._bits) if self._traffic is None else self._traffic.so_far()
        (since_s, bits), now_s = self._load_mark, self._loop.time()
        self._load_mark = (now_s, bits_now)
        capacity = (now_s - since_s) * self.bitrate_bps
        load = min(1.0, max(0.0, bits_now - bits) / capacity) if capacity > 0 else 0.0
        bus_off = self.gone is not None or self._tx_errors > 255
        return BusHealth(self._tx_errors, self._rx_errors, bus_off, frames, load, self._lost_frames())

    def close(self) -> None:
        """Leave the bus; pending frames are dropped."""
        self._lose("the port was closed")

    def _lost_frames(self) -> int:
        """As the kernel counts them; the last count once the port is gone."""
        descriptor = _descriptor(self._bus) if self.gone is None else None
        if descriptor is not None and sys.platform == "linux":
            self._lost = lost_by(descriptor)
        return self._lost

    def _narrow(self) -> None:
        """Have a SocketCAN interface hand over no more than what is of use here."""
        descriptor = _descriptor(self._bus) if self._traffic is not None and self.gone is None else None
        if descriptor is None:
            return
        wanted = self.wanted_ids
        let = None if wanted is None else wanted | self._sent_ids
        if let != self._let_through:
            self._let_through = let
            try:
                let_through(descriptor, let)
            except OSError as error:
                self._lose(str(error))

    def _pump(self) -> None:
        self._retry = None
        while self._outbox and len(self._in_flight) < _WINDOW_FRAMES:
            frame, on_sent = self._outbox[0]
            if not self._hand_over(frame):
                return
            self._outbox.popleft()
            self._count(frame)
            if self._echoes:
                self._in_flight.append((frame, on_sent))
            elif on_sent is not None:
                self._loop.call_soon(on_sent)

    def _hand_over(self, frame: CanFrame) -> bool:
        """False if the driver has no room now (it is asked again) or the bus is gone."""
        try:
            self._bus.send(_message(frame))
        except (can.CanError, OSError) as error:
            if _is_full(error):
                self._retry = self._loop.call_later(_RETRY_S, self._pump)
            else:
                self._lose(str(error))
            return False
        return True

    def _on_message(self, message: can.Message) -> None:
        if self.gone is not None or message.is_remote_frame:
            return
        if message.is_error_frame:
            self._on_error_frame(message)
            return
        frame = _frame(message)
        if self._in_flight and self._is_echo(frame):
            return
        self._count(frame)
        self.deliver(frame)

    def _is_echo(self, frame: CanFrame) -> bool:
        """True if it is one of ours; those sent before it went out too, even if their echo was lost."""
        place = next((at for at, (ours, _) in enumerate(self._in_flight) if ours == frame), None)
        if place is None:
            return False
        for _ in range(place + 1):
            on_sent = self._in_flight.popleft()[1]
            if on_sent is not None:
                on_sent()
        if self._retry is None and self.gone is None:
            self._pump()
        return True

    def _on_error_frame(self, message: can.Message) -> None:
        kind = message.arbitration_id
        if kind & _ERROR_BUS_OFF:
            self._tx_errors = 256
            self._lose("the controller went bus-off: check the wiring, the termination and the bit rate")
        elif kind & (_ERROR_CONTROLLER | _ERROR_COUNTERS) and len(message.data) >= 8:
            self._tx_errors, self._rx_errors = message.data[6], message.data[7]

    def _on_receive_error(self, error: Exception) -> None:
        if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
            self._lose(str(error))
        else:
            self._rx_errors += 1  # something arrived that is not a CAN frame

    def _count(self, frame: CanFrame) -> None:
        """Frame overhead plus one stuff bit in ten: exact bits would cost more time than the frame itself."""
        self._frames += 1
        self._bits += 1.1 * (8 * len(frame.data)) + (67 if frame.extended else 47)

    def _lose(self, why: str) -> None:
        if self.gone is not None:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._outbox.clear()
        self._in_flight.clear()
        self._reader.stop()
        if self._lost_frames():
            log.warning("%s: %d frames arrived and were not taken in time", self._name, self._lost)
        self._bus.shutdown()
        self.mark_gone(CanBusGoneError(f"{self._name}: {why}"))


def open_port(
    interface: str, channel: str, bitrate_bps: int, data_bitrate_bps: int | None = None
) -> PythonCanPort:
    """Join a bus; FD frames only with a data bit rate.

    Raises ValueError for an interface that python-can does not know or a channel that cannot be one, and
    CanBusGoneError if the interface is not there. On SocketCAN the bit rates are those the system gave the
    interface; the numbers here only say which.
    """
    name = f"{interface}:{channel}"
    if interface not in can.VALID_INTERFACES:
        known = ", ".join(sorted(_ECHO_OPTIONS))
        raise ValueError(f"there is no CAN interface type {interface!r} (channel {channel!r}); use {known}")
    if interface == "udp_multicast" and not _is_multicast(channel):
        raise ValueError(f"{name} is not an IP multicast group such as 239.74.163.2")
    try:
        bus = can.Bus(
            channel, interface, ignore_config=True, **_options(interface, bitrate_bps, data_bitrate_bps)
        )
    except (can.CanError, OSError, ValueError) as error:
        raise CanBusGoneError(f"cannot open the CAN bus {name}: {error}") from error
    _prepare_socket(bus)
    traffic = InterfaceTraffic(channel) if interface == "socketcan" else None
    return PythonCanPort(bus, name, interface in _ECHO_OPTIONS, bitrate_bps, data_bitrate_bps, traffic)


def _options(interface: str, bitrate_bps: int, data_bitrate_bps: int | None) -> dict[str, Any]:
    options = dict(_ECHO_OPTIONS.get(interface, {}))
    if interface != "virtual":
        options["fd"] = data_bitrate_bps is not None
    if interface not in _SETS_BIT_RATE_ITSELF:
        options["bitrate"] = bitrate_bps
        if data_bitrate_bps is not None:
            options["data_bitrate"] = data_bitrate_bps
    return options


def _is_multicast(channel: str) -> bool:
    try:
        return ipaddress.ip_address(channel).is_multicast
    except ValueError:
        return False


def _descriptor(bus: can.BusABC) -> int | None:
    try:
        return bus.fileno()
    except NotImplementedError:
        return None


def _prepare_socket(bus: can.BusABC) -> None:
    """A burst of a whole payload must fit while the loop is busy elsewhere."""
    descriptor = _descriptor(bus)
    if descriptor is None:
        return
    with socket.socket(fileno=socket.dup(descriptor)) as alias:
        _enlarge(alias)
        if alias.family in _OWN_GROUP_ONLY and sys.platform == "linux":
            _listen_to_own_group(alias)


def _enlarge(receiving: socket.socket) -> None:
    """A plain wish is cut to net.core.rmem_max: some 550 frames, less than one payload of 4095 bytes."""
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    if sys.platform == "linux":
        with suppress(PermissionError):
            receiving.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCE, _RECEIVE_BUFFER_BYTES)


def _listen_to_own_group(multicast: socket.socket) -> None:
    """Linux hands a socket the groups that others joined too; what came of those so far is thrown away."""
    multicast.setsockopt(*_OWN_GROUP_ONLY[multicast.family], 0)
    with suppress(BlockingIOError):
        while True:
            multicast.recv(_LONGEST_DATAGRAM_BYTES, socket.MSG_DONTWAIT)


def _is_full(error: Exception) -> bool:
    """The transmit queue has no room: a state, not a loss (python-can gives no number when poll says so)."""
    code = error.errno if isinstance(error, OSError) else getattr(error, "error_code", None)
    return code in (errno.ENOBUFS, errno.EAGAIN) or "Transmit buffer full" in str(error)


def _message(frame: CanFrame) -> can.Message:
    return can.Message(
        arbitration_id=frame.can_id,
        data=frame.data,
        is_extended_id=frame.extended,
        is_fd=frame.fd,
        bitrate_switch=frame.bit_rate_switch,
    )


def _frame(message: can.Message) -> CanFrame:
    return CanFrame(
        message.arbitration_id,
        bytes(message.data),
        message.is_extended_id,
        message.is_fd,
        message.bitrate_switch,
    )
