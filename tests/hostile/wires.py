"""The box's plug to a hostile ECU: payloads handed over whole, or frames on a simulated bus."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpLink, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import BusHealth, CanFrame, CanPort, SentHandler
from drivers.can.listeners import PortListeners
from simulator.bus import SimBus
from tests.hostile.ecu import HostileEcu
from tests.hostile.spite import WIRE_KINDS

_PER_BYTE_S = 30e-6
"""About what a classic bus at 500 kbit/s takes."""
_BROKEN_AFTER_S = 1.0


class SteadyMeter:
    """A supply that does not move."""

    source = "steady"

    async def read_v(self) -> float:
        return 13.5


class QuietPort(PortListeners):
    """A port that no frame ever passes: the payloads go another way."""

    bitrate_bps = 500_000
    data_bitrate_bps: int | None = None

    def send(self, frame: CanFrame, on_sent: SentHandler | None = None) -> None:
        if on_sent is not None:
            on_sent()

    def health(self) -> BusHealth:
        return BusHealth()

    def close(self) -> None:
        return


class PayloadLink:
    """An ISO-TP link without frames, with the ECU at its other end."""

    def __init__(self, ecu: HostileEcu, functional: bool) -> None:
        self._ecu = ecu
        self._functional = functional
        self._arrived: deque[bytes | IsoTpError] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._closed = False
        self._free_s = 0.0
        if not functional:
            ecu.listeners.append(self._coming)

    async def send(self, payload: bytes) -> None:
        fate = self._ecu.spite.fate(payload, WIRE_KINDS)
        await asyncio.sleep(len(payload) * _PER_BYTE_S)
        kind = fate.kind if fate else ""
        if kind != "request_lost" and not (kind == "send_fails" and self._ecu.spite.dice.random() < 0.5):
            self._ecu.hear(payload, self._functional)
        if kind == "send_fails":
            await asyncio.sleep(_BROKEN_AFTER_S)
            raise IsoTpError("no flow control")
        if kind == "receive_fails":
            self._take(IsoTpError("a consecutive frame is missing"))

    async def receive(self, timeout_s: float) -> bytes:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self._arrived:
            if self._closed:
                raise IsoTpError("the link was closed")
            left = deadline - loop.time()
            if left <= 0:
                raise TimeoutError(f"no answer within {timeout_s * 1000:.0f} ms")
            await self._wait(left)
        arrived = self._arrived.popleft()
        if isinstance(arrived, IsoTpError):
            raise arrived
        return arrived

    def drain(self) -> int:
        count = len(self._arrived)
        self._arrived.clear()
        return count

    def close(self) -> None:
        self._closed = True
        if self._coming in self._ecu.listeners:
            self._ecu.listeners.remove(self._coming)
        self._wake()

    async def _wait(self, left_s: float) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        timer = None if left_s == math.inf else asyncio.get_running_loop().call_later(left_s, self._wake)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()

    def _coming(self, payload: bytes) -> None:
        """One payload after the other, each as long as its bytes take."""
        loop = asyncio.get_running_loop()
        self._free_s = max(self._free_s, loop.time()) + len(payload) * _PER_BYTE_S
        loop.call_at(self._free_s, self._take, payload)

    def _take(self, payload: bytes | IsoTpError) -> None:
        self._arrived.append(payload)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class HostileConnection:
    """Where the box finds ports and links. With a bus, its own ISO-TP speaks frames to the ECU."""

    simulated = True
    fd = True
    voltmeter_missing: str | None = None

    def __init__(self, ecu: HostileEcu, bus: SimBus | None = None) -> None:
        self.meter = SteadyMeter()
        self._ecu = ecu
        self._bus = bus

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        return QuietPort() if self._bus is None else self._bus.attach("pitbox")

    def open_listener(self, bitrate_bps: int) -> CanPort:
        return self.open_port(bitrate_bps, None)

    def usable_rates(self, rates_bps: Sequence[int]) -> tuple[int, ...]:
        return tuple(rates_bps)

    def open_link(self, port: CanPort, address: IsoTpAddress, settings: IsoTpSettings) -> IsoTpLink:
        if self._bus is None:
            return PayloadLink(self._ecu, functional=address.rx_id == address.tx_id)
        return SoftIsoTpLink(port, address, settings)
