"""A link that plays a script: what the tester must send, and what comes back when."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from simulator.virtualtime import run_virtual

T = TypeVar("T")

Event = tuple[float, bytes | Exception]


@dataclass(frozen=True, slots=True)
class Step:
    """One request and the answers to it, each so many seconds after the request."""

    request: bytes
    events: tuple[Event, ...]
    send_error: Exception | None = None


def asked(request: str, *answers: str | Event, send_error: Exception | None = None) -> Step:
    """A step in hex; an answer without a time comes after a millisecond."""
    events = [(0.001, bytes.fromhex(answer)) if isinstance(answer, str) else answer for answer in answers]
    return Step(bytes.fromhex(request), tuple(events), send_error)


def later(seconds: float, answer: str) -> Event:
    """An answer that takes its time."""
    return seconds, bytes.fromhex(answer)


class ScriptedLink:
    """An IsoTpLink that fails the test on any request that is not the next of the script."""

    def __init__(self, *steps: Step) -> None:
        self._steps = deque(steps)
        self._arrived: deque[bytes | Exception] = deque()
        self._arrival = asyncio.Event()
        self.sent: list[tuple[float, bytes]] = []
        self.closed = False

    async def send(self, payload: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.sent.append((loop.time(), payload))
        assert self._steps, f"nothing more was expected, but {payload.hex(' ')} was sent"
        step = self._steps.popleft()
        assert payload == step.request, f"{payload.hex(' ')} instead of {step.request.hex(' ')}"
        if step.send_error is not None:
            raise step.send_error
        for delay_s, event in step.events:
            loop.call_later(delay_s, self._arrive, event)

    async def receive(self, timeout_s: float) -> bytes:
        async with asyncio.timeout(timeout_s):
            while not self._arrived:
                self._arrival.clear()
                await self._arrival.wait()
        event = self._arrived.popleft()
        if isinstance(event, Exception):
            raise event
        return event

    def drain(self) -> int:
        count = len(self._arrived)
        self._arrived.clear()
        return count

    def close(self) -> None:
        self.closed = True

    @property
    def left(self) -> Sequence[Step]:
        return tuple(self._steps)

    def _arrive(self, event: bytes | Exception) -> None:
        self._arrived.append(event)
        self._arrival.set()


class Parrot:
    """Gives the same answer to a request every time, and answers both probes; silent on all else."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = {b"\x3e\x00": b"\x7e\x00", b"\x22\xf1\x86": b"\x62\xf1\x86\x01", **answers}
        self._arrived: deque[bytes] = deque()

    async def send(self, payload: bytes) -> None:
        if payload in self._answers:
            self._arrived.append(self._answers[payload])

    async def receive(self, timeout_s: float) -> bytes:
        if self._arrived:
            return self._arrived.popleft()
        await asyncio.sleep(timeout_s)
        raise TimeoutError

    def drain(self) -> int:
        count = len(self._arrived)
        self._arrived.clear()
        return count

    def close(self) -> None:
        """Nothing is open."""


class SilentLink:
    """A functional link: takes everything, answers nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.closed = False

    async def send(self, payload: bytes) -> None:
        self.sent.append((asyncio.get_running_loop().time(), payload))

    async def receive(self, timeout_s: float) -> bytes:
        await asyncio.sleep(timeout_s)
        raise TimeoutError

    def drain(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def play(scenario: Callable[[ScriptedLink], Awaitable[T]], *steps: Step) -> T:
    """Run a scenario against a script on virtual time; the whole script must have been played."""

    async def main() -> T:
        link = ScriptedLink(*steps)
        result = await scenario(link)
        assert not link.left, f"never asked: {[step.request.hex(' ') for step in link.left]}"
        return result

    return run_virtual(main())
