"""What becomes of an answer on a K-line where something is made to go wrong with its request."""

from __future__ import annotations

from dataclasses import replace

from simulator.ecu.hooks import Mishap, RequestFate
from simulator.kline.reply import Reply

_NEGATIVE = 0x7F


class Mishaps:
    """Keeps what an ECU in disorder says again, or too late."""

    def __init__(self) -> None:
        self._last: dict[int, bytes] = {}
        self._held: tuple[bytes, ...] = ()

    def pendings(self, reply: Reply, fate: RequestFate) -> Reply:
        """With as many more 78 in front as were asked for."""
        more = fate.count if fate.mishap is Mishap.PENDING else 0
        return replace(reply, pendings=reply.pendings + more)

    def answered(self, request: bytes, reply: Reply, fate: RequestFate) -> Reply | None:
        """The answer as it leaves the ECU; None for one that never does."""
        if reply.payload is None or fate.mishap is Mishap.UNANSWERED:
            return None if reply.payload is not None else reply
        payload = _spoilt(reply.payload, fate)
        before = self._last.get(request[0])
        self._last[request[0]] = reply.payload
        if fate.mishap is Mishap.HELD:
            self._held += (payload,)
            return None
        said = (*self._held, payload)
        self._held = ()
        if fate.mishap is Mishap.DOUBLED:
            said += (payload,)
        elif fate.mishap is Mishap.REPLAYED and before is not None:
            said = (before, *said)
        return replace(reply, payload=said[0], more=(*said[1:], *reply.more))


def _spoilt(payload: bytes, fate: RequestFate) -> bytes:
    if payload[0] == _NEGATIVE:
        return payload
    if fate.mishap is Mishap.WRONG_SERVICE:
        return bytes((payload[0] ^ 0x01,)) + payload[1:]
    if fate.mishap is Mishap.TRUNCATED:
        return payload[: max(1, len(payload) - fate.count)]
    if fate.mishap is Mishap.OVERSIZED:
        return payload + bytes(fate.count)
    return payload
