"""ISO-TP in user space over any CanPort: serves simulators and machines whose bus is not SocketCAN.

Frames are handled in callbacks, not in tasks: a payload of 4095 bytes wakes its coroutine once.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from functools import partial

from appliance.protocols.isotp.codec import FlowControl, FlowStatus, padded
from appliance.protocols.isotp.deadlines import patient_send_deadline_s
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.machine import Reassembly, Segmentation
from drivers.can.interface import CanBusGoneError, CanFrame, CanPort

_WAIT_FRAME_GAP_S = 0.02
"""Between the FC.WAIT frames that a slow simulated ECU sends."""


class SoftIsoTpLink:
    """One address pair. One sender at a time; payloads that arrive are queued."""

    def __init__(self, port: CanPort, address: IsoTpAddress, settings: IsoTpSettings | None = None) -> None:
        self._port = port
        self._address = address
        self._settings = settings or IsoTpSettings()
        self._loop = asyncio.get_running_loop()
        self._room = self._settings.tx_frame_bytes - (address.tx_extension is not None)
        self._fd = self._settings.tx_frame_bytes > 8
        self._switch = self._fd and self._settings.bit_rate_switch
        self._outgoing: Segmentation | None = None
        self._in_flight = False
        self._sent: asyncio.Future[None] | None = None
        self._last_tx_s = self._tx_ends_s = 0.0
        self._incoming = Reassembly(self._settings)
        self._last_rx_s = self._rx_began_s = 0.0
        self._payloads: deque[bytes | IsoTpError] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._rx_watch: asyncio.TimerHandle | None = None
        self._delayed_reply: asyncio.TimerHandle | None = None
        self._ended: IsoTpError | None = None
        self._unsubscribe = (
            port.subscribe(self._on_frame, frozenset({address.rx_id})),
            port.on_gone(lambda error: self._end(IsoTpError(str(error)))),
        )

    async def send(self, payload: bytes) -> None:
        """Return once the last frame is on the wire. Raises IsoTpError."""
        if self._sent is not None:
            raise IsoTpError("a payload is already being sent on this link")
        if self._ended is not None:
            raise IsoTpError(str(self._ended))
        outgoing = self._outgoing = Segmentation(payload, self._settings, self._room)
        self._acknowledged = partial(self._on_sent, outgoing)
        self._sent = self._loop.create_future()
        self._last_tx_s = self._loop.time()
        self._tx_ends_s = self._last_tx_s + patient_send_deadline_s(len(payload), self._settings)
        self._tx_watch = self._loop.call_later(self._settings.timeout_s, self._watch_sending)
        try:
            self._send_frame(outgoing.opening())
            await self._sent
        except CanBusGoneError as error:
            raise IsoTpError(str(error)) from error
        finally:
            self._tx_watch.cancel()
            self._outgoing = self._sent = None

    async def receive(self, timeout_s: float) -> bytes:
        """The next payload. Raises TimeoutError if none begins in time, IsoTpError if it breaks off."""
        deadline = self._loop.time() + timeout_s
        while not self._payloads:
            if self._ended is not None:
                raise IsoTpError(str(self._ended))
            if self._incoming.active and self._rx_began_s <= deadline:
                await self._wait_for_arrival(None)
            elif (left := deadline - self._loop.time()) > 0:
                await self._wait_for_arrival(None if left == math.inf else left)
            else:
                raise TimeoutError(f"no answer within {timeout_s * 1000:.0f} ms")
        arrived = self._payloads.popleft()
        if isinstance(arrived, IsoTpError):
            raise arrived
        return arrived

    def drain(self) -> int:
        """Forget payloads that arrived unasked; returns how many."""
        count = len(self._payloads)
        self._payloads.clear()
        return count

    def close(self) -> None:
        """Stop listening; whoever still waits gets an IsoTpError."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._end(IsoTpError("the link was closed"))

    async def _wait_for_arrival(self, timeout_s: float | None) -> None:
        if self._arrival is not None:
            raise IsoTpError("somebody already waits for a payload on this link")
        self._arrival = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._wake) if timeout_s is not None else None
        try:
            await self._arrival
        finally:
            self._arrival = None
            if timer:
                timer.cancel()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _on_frame(self, frame: CanFrame) -> None:
        if frame.extended != self._address.extended_ids:
            return
        data = frame.data
        if self._address.rx_extension is not None:
            if not data or data[0] != self._address.rx_extension:
                return
            data = data[1:]
        kind = data[0] >> 4 if data else None
        if kind == 3:
            self._on_flow_control(data)
        elif kind in (0, 1, 2):
            self._on_data(data, opening=kind == 1)

    def _on_data(self, data: bytes, *, opening: bool) -> None:
        self._last_rx_s = self._loop.time()
        if opening:
            self._rx_began_s = self._last_rx_s
            self._wake()  # whoever waits for a payload that began in time waits no longer for this one
        try:
            payload = self._incoming.feed(data)
        except IsoTpError as error:
            self._arrived(error)
            return
        if payload is not None:
            self._arrived(payload)
        elif not self._incoming.active:
            self._wake()
        elif self._rx_watch is None:
            self._rx_watch = self._loop.call_later(self._settings.timeout_s, self._watch_receiving)
        if self._incoming.reply is not None:
            self._reply(self._incoming.reply, self._settings.wait_frames if opening else 0)

    def _arrived(self, payload: bytes | IsoTpError) -> None:
        self._payloads.append(payload)
        self._wake()

    def _reply(self, flow: FlowControl, waits: int) -> None:
        if self._delayed_reply is not None:
            self._delayed_reply.cancel()  # a newer first frame overtook one that was asked to wait
            self._delayed_reply = None
        if waits:
            self._last_rx_s = self._loop.time()
            self._delayed_reply = self._loop.call_later(_WAIT_FRAME_GAP_S, self._reply, flow, waits - 1)
            flow = FlowControl(FlowStatus.WAIT, flow.block_size, flow.stmin)
        try:
            self._port.send(self._frame(flow.encode()))
        except CanBusGoneError as error:
            self._end(IsoTpError(str(error)))

    def _watch_receiving(self) -> None:
        """N_Cr and the whole payload's ceiling, checked lazily so that a frame costs no timer of its own."""
        self._rx_watch = None
        if not self._incoming.active:
            return
        now_s, settings = self._loop.time(), self._settings
        left_s = self._last_rx_s + settings.timeout_s - now_s
        whole_s = self._rx_began_s + settings.reassembly_s - now_s
        if min(left_s, whole_s) > 1e-9:
            self._rx_watch = self._loop.call_later(min(left_s, whole_s), self._watch_receiving)
            return
        self._incoming.reset()
        late = "a consecutive frame is missing (N_Cr)"
        self._arrived(IsoTpError(late if left_s <= 1e-9 else "the frames of a payload come too slowly"))

    def _watch_sending(self) -> None:
        """N_Bs, N_As and the whole payload's ceiling, checked lazily."""
        now_s = self._loop.time()
        left_s, whole_left_s = self._last_tx_s + self._settings.timeout_s - now_s, self._tx_ends_s - now_s
        if min(left_s, whole_left_s) > 1e-9:
            self._tx_watch = self._loop.call_later(min(left_s, whole_left_s), self._watch_sending)
        elif whole_left_s <= 1e-9:
            self._fail_sending(IsoTpError("the receiver takes the frames of a payload too slowly"))
        else:
            self._fail_sending(IsoTpError("no flow control or no acknowledge from the bus (N_Bs)"))

    def _on_flow_control(self, pci: bytes) -> None:
        outgoing = self._outgoing
        if outgoing is None or not outgoing.awaits_flow_control:
            return
        self._last_tx_s = self._loop.time()
        try:
            outgoing.on_flow_control(pci)
        except IsoTpError as error:
            self._fail_sending(error)
            return
        if not self._in_flight:
            self._send_next(outgoing)

    def _on_sent(self, outgoing: Segmentation) -> None:
        if outgoing is not self._outgoing or self._sent is None or self._sent.done():
            return
        self._in_flight = False
        self._last_tx_s = self._loop.time()
        if outgoing.done:
            self._sent.set_result(None)
        elif outgoing.awaits_flow_control:
            return
        elif outgoing.gap_s:
            self._loop.call_later(outgoing.gap_s, self._send_next, outgoing)
        else:
            self._send_consecutive(outgoing)

    def _send_next(self, outgoing: Segmentation) -> None:
        if outgoing is self._outgoing and not outgoing.done and not outgoing.awaits_flow_control:
            self._send_consecutive(outgoing)

    def _send_consecutive(self, outgoing: Segmentation) -> None:
        try:
            self._send_frame(outgoing.consecutive())
        except CanBusGoneError as error:
            self._fail_sending(IsoTpError(str(error)))

    def _send_frame(self, pci: bytes) -> None:
        self._in_flight = True
        self._port.send(self._frame(pci), self._acknowledged)

    def _frame(self, pci: bytes) -> CanFrame:
        address = self._address
        if address.tx_extension is not None:
            pci = bytes((address.tx_extension,)) + pci
        data = pci if len(pci) == 8 else padded(pci, self._settings.padding, self._fd)
        return CanFrame(address.tx_id, data, address.extended_ids, self._fd, self._switch)

    def _end(self, error: IsoTpError) -> None:
        """Nothing moves on this link any more."""
        if self._ended is None:
            self._ended = error
        for timer in (self._rx_watch, self._delayed_reply):
            if timer is not None:
                timer.cancel()
        self._incoming.reset()
        self._wake()
        self._fail_sending(error)

    def _fail_sending(self, error: IsoTpError) -> None:
        if self._sent is not None and not self._sent.done():
            self._sent.set_exception(error)
