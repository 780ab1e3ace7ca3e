"""The bit rate of the bus: changed for a session, and always found again at the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from appliance.contract.phrases import phrase
from appliance.definitions.link_steps import FIXED_RATES, Rate
from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.control import (
    DEFAULT_SESSION,
    change_rate,
    change_session,
    tester_present,
    verify_rate,
)

_LOOKS_EVERY_S = 0.1
_LOOK_S = 0.2
_FALLS_BACK_S = 8.0
"""S3 of an ECU that hears nothing any more is 5 s (ISO 14229-2, table 3), and it may boot behind that."""


class Rates:
    """`set_rate` takes the box's end of the bus to a rate, or to the first one with None."""

    def __init__(self, client: UdsClient, set_rate: Callable[[int | None], None]) -> None:
        self._client = client
        self._set_rate = set_rate
        self._changed = False

    async def change(self, step: Rate) -> None:
        """Raises EcuRefusedError of an ECU that stays, EcuSilentError of one that is lost on the way.

        The box is at the first rate then, and the ECU is awaited there.
        """
        number = FIXED_RATES[step.to_bps] if step.form == "fixed" else None
        await self._client.ask(verify_rate(step.to_bps, number))
        try:
            await self._client.ask(change_rate(), first_answer_s=self._client.timing.first_answer_s)
        except EcuRefusedError:
            raise
        except AccessError:  # it may have gone over all the same: that is looked for, before S3 is over
            pass
        self._changed = True
        self._set_rate(step.to_bps)
        if await self._answers(step.within_s):
            return
        await self.home()
        raise EcuSilentError(phrase("ecu.silent_at_rate", to_bps=step.to_bps))

    async def home(self) -> None:
        """Both at the first rate: the ECU by its default session, or because it hears nothing any more."""
        if not self._changed:
            return
        await self._client.attempt(change_session(DEFAULT_SESSION))
        self.first()
        await self._answers(_FALLS_BACK_S)

    def first(self) -> None:
        """The ECU is at the first rate by itself: it was reset, or is in its default session."""
        if self._changed:
            self._changed = False
            self._set_rate(None)

    async def _answers(self, within_s: float) -> bool:
        """Whether it says that it is there, before the time is over."""
        loop = asyncio.get_running_loop()
        latest_s = loop.time() + within_s
        while True:
            with suppress(AccessError):
                await self._client.ask(tester_present(), first_answer_s=_LOOK_S, attempts=1)
                return True
            if loop.time() >= latest_s:
                return False
            await asyncio.sleep(_LOOKS_EVERY_S)
