"""Lists of steps that open an ECU."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from appliance.definitions.step_kinds import Loader, Session, Silence, Step, Unlock
from appliance.definitions.steps import OpenStep
from appliance.protocols.access import Refusal
from appliance.protocols.transforms import SecretNamed
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.steps.asking import carry_out
from appliance.protocols.uds.steps.loader import start_loader

Enter = Callable[[int], Awaitable[None]]


class OpeningSteps:
    """Does them; sessions and the unlock are the opener's, which keeps them."""

    def __init__(
        self, client: UdsClient, secret: SecretNamed, enter: Enter, unlock: Callable[[], Awaitable[None]]
    ) -> None:
        self._client = client
        self._secret = secret
        self._enter = enter
        self._unlock = unlock

    def require_secrets(self, steps: Sequence[OpenStep]) -> None:
        """Raises PitboxError for a loader that the owner has not supplied, before anything is sent."""
        for step in steps:
            if isinstance(step, Loader):
                self._secret(step.secret)

    async def run(self, steps: Sequence[Step]) -> None:
        """In their order. Raises AccessError."""
        for step in steps:
            match step:
                case Session():
                    await self._enter(step.number)
                case Unlock():
                    await self._unlock()
                case Silence():
                    await self._silence(step)
                case Loader():
                    await start_loader(self._client, step, self._secret(step.secret))
                case _:
                    await carry_out(self._client, [step], {}, Refusal.CONDITIONS)

    async def _silence(self, step: Silence) -> None:
        for _ in range(step.times):
            await self._client.tell_all(bytes.fromhex(step.send))
            await asyncio.sleep(step.every_ms / 1000)
