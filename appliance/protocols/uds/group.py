"""One question to every ECU on the bus, answers from each (functional addressing, ISO 15765-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from appliance.contract.phrases import phrase
from appliance.protocols.access import LinkLostError
from appliance.protocols.isotp.interface import IsoTpError, IsoTpLink
from appliance.protocols.nrc import RESPONSE_PENDING
from appliance.protocols.request import NEGATIVE_SID, Request
from appliance.protocols.uds.timing import UdsTiming

T = TypeVar("T")

ANSWER_WINDOW_S = 0.3
"""P2 of every ECU, with the time their answers take from each other on the wire."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one address answered in the window; `broken` counts answers that could not be put together."""

    payloads: tuple[bytes, ...] = ()
    broken: int = 0


_MOST_BROKEN = 16
"""More answers than this break off in one window only where the link itself is gone, and that at once."""


class FunctionalGroup:
    """`sender` is a link that only sends; `listeners` are the ECUs' own links, by any key."""

    def __init__(
        self, sender: IsoTpLink, listeners: Mapping[int, IsoTpLink], timing: UdsTiming | None = None
    ) -> None:
        self._sender = sender
        self._listeners = dict(listeners)
        self._timing = timing or UdsTiming()

    async def answers(self, payload: bytes, window_s: float = ANSWER_WINDOW_S) -> dict[int, Answers]:
        """Everything each address answered, refusals included; addresses that kept silent are left out."""
        for link in self._listeners.values():
            link.drain()
        try:
            await self._sender.send(payload)
        except IsoTpError as error:
            raise LinkLostError(phrase("malformed", technical_text=str(error))) from error
        heard = await asyncio.gather(
            *(self._collect(link, payload[0], window_s) for link in self._listeners.values())
        )
        return {
            key: answers
            for key, answers in zip(self._listeners, heard, strict=True)
            if answers.payloads or answers.broken
        }

    async def ask(self, request: Request[T], window_s: float = ANSWER_WINDOW_S) -> dict[int, T]:
        """The first positive answer of each address that gave one."""
        found: dict[int, T] = {}
        for key, answers in (await self.answers(request.payload, window_s)).items():
            for payload in answers.payloads:
                if key not in found and payload.startswith(request.echo):
                    try:
                        found[key] = request.decode(payload[len(request.echo) :])
                    except ValueError:
                        continue
        return found

    def close(self) -> None:
        """Close all links."""
        for link in (self._sender, *self._listeners.values()):
            link.close()

    async def _collect(self, link: IsoTpLink, sid: int, window_s: float) -> Answers:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + window_s
        payloads, broken = [], 0
        while (left_s := until_s - loop.time()) > 0:
            try:
                payload = await link.receive(left_s)
            except TimeoutError:
                break
            except IsoTpError as error:
                broken += 1
                if broken > _MOST_BROKEN:
                    raise LinkLostError(phrase("malformed", technical_text=str(error))) from error
                continue
            if payload[:3] == bytes((NEGATIVE_SID, sid, RESPONSE_PENDING)):
                until_s = loop.time() + self._timing.pending_answer_s
            else:
                payloads.append(payload)
        return Answers(tuple(payloads), broken)
