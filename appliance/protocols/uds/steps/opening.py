"""Lists of steps that open an ECU."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
from appliance.definitions.link_steps import Ask, Rate, Reconnect
from appliance.definitions.step_kinds import Loader, Session, Silence, Step, Unlock
from appliance.definitions.steps import OpenStep
from appliance.protocols.access import AccessError, Refusal
from appliance.protocols.port_missing import PortMissingError
from appliance.protocols.request import Request, positive, something
from appliance.protocols.transforms import SecretNamed
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.steps.asking import carry_out
from appliance.protocols.uds.steps.loader import blocks_of_loader, start_loader
from appliance.protocols.uds.steps.rates import Rates
from appliance.protocols.uds.wire import Wire
from drivers.person.interface import Answerer, Question, UnansweredError

Enter = Callable[[int], Awaitable[None]]
_LOOKS_EVERY_S = 0.25


class OpeningSteps:
    """Does them; sessions and the unlock are the opener's, which keeps them."""

    def __init__(
        self,
        client: UdsClient,
        secret: SecretNamed,
        enter: Enter,
        unlock: Callable[[str], Awaitable[None]],
        wire: Wire | None = None,
    ) -> None:
        self._client = client
        self._secret = secret
        self._enter = enter
        self._unlock = unlock
        self._given_wire = wire
        self.rates = Rates(client, self._set_rate)
        """The bit rate of the bus."""

    def require(self, steps: Sequence[OpenStep]) -> None:
        """Raises PitboxError for a loader that the owner has not supplied, a person who is not there, or a
        bus that keeps its bit rate, before anything is sent.
        """
        for step in steps:
            if isinstance(step, Loader):
                blocks_of_loader(step, self._secret(step.secret))
            elif isinstance(step, Ask):
                self._wire.person()
            elif isinstance(step, Rate):
                self._wire.require_rate_change()
            elif isinstance(step, Reconnect):
                _ = self._wire

    async def run(self, steps: Sequence[Step]) -> None:
        """In their order; a list that changes the bit rate begins at the first one. Raises AccessError,
        PitboxError.
        """
        if any(isinstance(step, Rate) for step in steps):
            await self.rates.home()
        known = {step.same: await self._told(step) for step in steps if isinstance(step, Reconnect)}
        for step in steps:
            match step:
                case Session():
                    await self._enter(step.number)
                case Unlock():
                    await self._unlock(step.purpose)
                case Silence():
                    await self._silence(step)
                case Loader():
                    await start_loader(self._client, step, self._secret(step.secret))
                case Ask():
                    await self._ask(step)
                case Rate():
                    await self.rates.change(step)
                case Reconnect():
                    await self._reconnect(step, known[step.same])
                case _:
                    await carry_out(self._client, [step], {}, Refusal.CONDITIONS)

    @property
    def _wire(self) -> Wire:
        """Raises PitboxError where the links were made by somebody else."""
        if self._given_wire is None:
            raise PortMissingError(phrase("port.link"))
        return self._given_wire

    def _set_rate(self, rate_bps: int | None) -> None:
        self._wire.set_rate(rate_bps)

    async def _silence(self, step: Silence) -> None:
        for _ in range(step.times):
            await self._client.tell_all(bytes.fromhex(step.send))
            await asyncio.sleep(step.every_ms / 1000)

    async def _ask(self, step: Ask) -> None:
        """Raises PitboxError for an answer that does not go on, and for none."""
        who = Answerer(step.who)
        question = Question(step.question, step.text, step.deadline_s, step.choices, who=who)
        try:
            answer = await self._wire.person().ask(question)
        except UnansweredError as error:
            raise EngineError(
                "QUESTION_UNANSWERED.link", deadline_s=step.deadline_s, author_text=step.text
            ) from error
        if answer.value not in step.go_on_with:
            raise EngineError(
                "QUESTION_DECLINED.link", person_text=answer.by, answer=answer.value, author_text=step.text
            )

    async def _told(self, step: Reconnect) -> bytes:
        payload = bytes.fromhex(step.same)
        request = Request(payload, positive(payload, len(payload) - 1), something, idempotent=True)
        return await self._client.ask(request)

    async def _reconnect(self, step: Reconnect, before: bytes) -> None:
        """Raises PitboxError ECU_CHANGED where another answers than before; AccessError where none does."""
        try:
            await self._wire.leave()
            await asyncio.sleep(step.wait_s)
        finally:
            self._wire.join()
        if await self._answered(step) != before:
            raise EngineError("ECU_CHANGED.link", request=str(step.same))

    async def _answered(self, step: Reconnect) -> bytes:
        loop = asyncio.get_running_loop()
        latest_s = loop.time() + step.within_s
        while True:
            try:
                return await self._told(step)
            except AccessError:
                if loop.time() >= latest_s:
                    raise
            await asyncio.sleep(_LOOKS_EVERY_S)
