"""What gates of the wire are given; what several of them need is measured once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from appliance.flashing.context import JobContext
from appliance.flashing.power import Supply
from appliance.protocols.access import AccessError, LinkHealth

Measured = TypeVar("Measured")


class _Once(Generic[Measured]):
    """Measures when first asked; a measurement that failed is not repeated either."""

    def __init__(self, measure: Callable[[], Awaitable[Measured]]) -> None:
        self._measure = measure
        self._result: list[Measured] = []
        self._error: AccessError | OSError | None = None

    async def __call__(self) -> Measured:
        if self._error is not None:
            raise self._error
        if not self._result:
            try:
                self._result.append(await self._measure())
            except (AccessError, OSError) as error:
                self._error = error
                raise
        return self._result[0]


class WireCheck:
    """One look at supply and bus."""

    def __init__(self, job: JobContext, listen: Callable[[], Awaitable[LinkHealth | None]]) -> None:
        self.job = job
        self.supply: _Once[Supply] = _Once(job.power.measured)
        """Over the definition's steady time. Raises ConnectionError without a reading."""
        self.link: _Once[LinkHealth | None] = _Once(listen)
        """None where there is no bus."""
