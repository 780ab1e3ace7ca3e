"""A security gateway between plug and ECUs: reads pass, writes are refused (sources: gateways)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import CanBusGoneError, CanFrame, CanPort
from simulator.ecu.functional import single_frame_payload
from simulator.ecu.nrc import Nrc
from simulator.ecu.options import EcuOptions
from simulator.ecu.server import server_address, server_settings

READ_ONLY = frozenset({0x14, 0x27, 0x2E, 0x2F, 0x31, 0x34, 0x3D})
"""Services refused to a tester that is not authorised."""


@dataclass(frozen=True, slots=True)
class GatewayPolicy:
    """What is refused, and how."""

    refused: frozenset[int] = READ_ONLY
    nrc: Nrc = Nrc.SECURITY_ACCESS_DENIED
    silent: bool = False
    """Drop refused requests instead of answering them."""

    def refuses(self, request: bytes, programming_session: int) -> bool:
        """True for a refused service, and for the change into the programming session."""
        to_programming = (
            request[:1] == b"\x10" and request[1:2] != b"" and request[1] & 0x7F == programming_session
        )
        return request[0] in self.refused or to_programming


class Gateway:
    """Routes whole payloads between two buses for some ECUs, until closed."""

    def __init__(
        self, outer: CanPort, inner: CanPort, definitions: tuple[Definition, ...], policy: GatewayPolicy
    ) -> None:
        self._outer = outer
        self._inner = inner
        self._tasks: list[asyncio.Task[None]] = []
        self._routes = [_Route(outer, inner, definition, policy) for definition in definitions]
        for route in self._routes:
            self._start(route.requests())
            self._start(route.answers())
        self._forget = [port.on_gone(lambda error: self.close()) for port in (outer, inner)]

    def close(self) -> None:
        """Lose power, or a bus."""
        for forget in self._forget:
            forget()
        for task in self._tasks:
            task.cancel()
        for route in self._routes:
            route.close()
        self._outer.close()
        self._inner.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


class _Route:
    """The way to one ECU and back."""

    def __init__(self, outer: CanPort, inner: CanPort, definition: Definition, policy: GatewayPolicy) -> None:
        self._access = uds_access(definition)
        self._policy = policy
        self._inner_port = inner
        address = server_address(definition)
        settings = server_settings(definition, EcuOptions())
        self._tester = SoftIsoTpLink(outer, address, settings)
        self._ecu = SoftIsoTpLink(inner, _mirrored(address), settings)
        functional = frozenset({self._access.addressing.functional_id})
        self._unsubscribe = outer.subscribe(self._on_functional, functional)
        self._closed = False

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._unsubscribe()
        self._tester.close()
        self._ecu.close()

    async def requests(self) -> None:
        """Tester to ECU."""
        while not self._closed:
            try:
                await self._request(await self._tester.receive(math.inf))
            except IsoTpError:
                continue  # a payload that broke off is not routed

    async def answers(self) -> None:
        """ECU to tester."""
        while not self._closed:
            try:
                await self._tester.send(await self._ecu.receive(math.inf))
            except IsoTpError:
                continue

    async def _request(self, request: bytes) -> None:
        if not self._refuses(request):
            await self._ecu.send(request)
        elif not self._policy.silent:
            await self._tester.send(bytes((0x7F, request[0], self._policy.nrc)))

    def _refuses(self, request: bytes) -> bool:
        return self._policy.refuses(request, self._access.sessions.programming)

    def _on_functional(self, frame: CanFrame) -> None:
        request = single_frame_payload(frame.data, self._access.addressing.request_extension)
        if request is None or self._refuses(request):
            return
        try:
            self._inner_port.send(frame)
        except CanBusGoneError:
            self.close()


def _mirrored(address: IsoTpAddress) -> IsoTpAddress:
    return IsoTpAddress(
        address.rx_id, address.tx_id, address.extended_ids, address.rx_extension, address.tx_extension
    )
