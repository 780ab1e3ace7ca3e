"""What each step of an entry does to supply, pins and person, and how it is known that it was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.definitions.entry_step import Step
from appliance.definitions.person_steps import Ask, Wait
from appliance.definitions.pin_steps import CheckPin, Level, PulsePin, ReleasePin, SetPin
from appliance.definitions.supply_steps import (
    CheckGround,
    CheckOff,
    IgnitionOff,
    IgnitionOn,
    SupplyOff,
    SupplyOn,
)
from appliance.flashing.entry_findings import (
    EntryError,
    circuit_problem,
    ignition_stuck,
    misfit,
    shown,
    stays_on,
    supply_problem,
    tripped,
)
from drivers.person.interface import Answerer, Person, Question, UnansweredError
from drivers.pins.interface import Pins
from drivers.supply.interface import Output, Supply, SupplyError, SupplyReading

Done = TypeVar("Done")

_SAMPLE_S = 0.02
_STEADY_SAMPLES = 3
"""In a row: one alone may be a bounce."""
_LINE_SETTLES_S = 0.001
_WATCH_S = 0.1
_LOST_S = 0.3
"""A supply that is outside its window for so long is lost."""
_HARDWARE_S = 5.0
"""Grace for ports that do not come back by themselves."""


class EntryPorts(Protocol):
    """Where an entry has its ports from. Each raises PitboxError PORT_MISSING."""

    def pins(self) -> Pins:
        """Lines of the box."""

    def supply(self) -> Supply:
        """The bench supply."""

    def person(self) -> Person:
        """Whoever is asked."""


class Actions:
    """Carries out single steps; every one ends in time. Raises EntryError, PinsError, SupplyError."""

    def __init__(self, ports: EntryPorts, job_id: str | None) -> None:
        self._ports = ports
        self._job_id = job_id
        self._windows: dict[Output, SupplyOn | IgnitionOn] = {}
        """What the supply must keep, by the outputs that are on."""
        self.probed_v: float | None = None
        """What the probe of this entry has found last."""
        self._actions: dict[type[Step], Callable[[Any], Coroutine[Any, Any, Phrase]]] = {
            SupplyOn: self._switch_on,
            IgnitionOn: self._switch_on,
            SupplyOff: self._supply_off,
            IgnitionOff: self._ignition_off,
            SetPin: self._set_pin,
            PulsePin: self._pulse_pin,
            ReleasePin: self._release_pin,
            CheckPin: self._check_pin,
            CheckOff: self._check_off,
            CheckGround: self._check_ground,
            Wait: self._wait,
            Ask: self._ask,
        }

    async def perform(self, step: Step) -> Phrase:
        """Do one step; what was found, in words."""
        longest_s = step.deadline_s if isinstance(step, Ask) else step.longest_s
        try:
            async with asyncio.timeout(longest_s + _HARDWARE_S):
                return await self._actions[type(step)](step)
        except UnansweredError as error:
            raise EntryError("QUESTION_UNANSWERED", longest_s=longest_s, step=step.told) from error
        except TimeoutError as error:
            raise EntryError("ENTRY_STUCK", step=step.told) from error

    async def check_supply(self) -> None:
        """Whatever was switched on last must still hold. Raises EntryError, SupplyError."""
        if (window := self._window) is not None:
            self._refuse_lost(window, await self._ports.supply().read())

    @property
    def _window(self) -> SupplyOn | IgnitionOn | None:
        """Of the output that was switched on last."""
        return self._windows.get(Output.IGNITION) or self._windows.get(Output.SUPPLY)

    async def _switch_on(self, step: SupplyOn | IgnitionOn) -> Phrase:
        supply, loop = self._ports.supply(), asyncio.get_running_loop()
        output = Output.SUPPLY if isinstance(step, SupplyOn) else Output.IGNITION
        supply.switch(output, True)
        latest_s, inside = loop.time() + step.within_s, 0
        while True:
            reading = await supply.read()
            inside = inside + 1 if not reading.tripped and not misfit(step, reading, least=True) else 0
            if inside >= _STEADY_SAMPLES:
                self._windows[output] = step
                return shown(reading)
            if reading.tripped or loop.time() >= latest_s:
                self._refuse_lost(step, reading, least=True)
            await asyncio.sleep(_SAMPLE_S)

    async def _supply_off(self, step: SupplyOff) -> Phrase:
        supply, loop = self._ports.supply(), asyncio.get_running_loop()
        self._windows.clear()
        supply.switch(Output.IGNITION, False)
        supply.switch(Output.SUPPLY, False)
        latest_s = loop.time() + step.within_s
        while (reading := await supply.read()).volts >= step.below_v:
            if loop.time() >= latest_s:
                raise stays_on(reading)
            await asyncio.sleep(_SAMPLE_S)
        return shown(reading)

    async def _ignition_off(self, step: IgnitionOff) -> Phrase:
        supply, loop = self._ports.supply(), asyncio.get_running_loop()
        supply.switch(Output.IGNITION, False)
        self._windows.pop(Output.IGNITION, None)
        if step.below_a is None:
            return step.told
        latest_s = loop.time() + step.within_s
        while (reading := await supply.read()).amps >= step.below_a:
            if loop.time() >= latest_s:
                raise ignition_stuck(reading)
            await asyncio.sleep(_SAMPLE_S)
        return shown(reading)

    async def _check_off(self, step: CheckOff) -> Phrase:
        supply, loop = self._ports.supply(), asyncio.get_running_loop()
        for output in (Output.IGNITION, Output.SUPPLY):
            supply.switch(output, False)
        latest_s = loop.time() + step.within_s
        while True:
            reading = await supply.read()
            if reading.volts < step.below_v and reading.amps < step.below_a:
                return shown(reading)
            if loop.time() >= latest_s:
                raise stays_on(reading)
            await asyncio.sleep(_SAMPLE_S)

    async def _check_ground(self, step: CheckGround) -> Phrase:
        self.probed_v = volts = await self._ports.supply().probe()
        if problem := circuit_problem(step, volts):
            raise problem
        return phrase("step.probed", volts=volts)

    async def _set_pin(self, step: SetPin) -> Phrase:
        await self._drive(step.pin, step.level)
        return step.told

    async def _pulse_pin(self, step: PulsePin) -> Phrase:
        other: Level = "high" if step.level == "low" else "low"
        for pulse in range(step.times):
            if pulse:
                await asyncio.sleep(step.width_ms / 1000)
            self._ports.pins().drive(step.pin, step.level == "high")
            await asyncio.sleep(step.width_ms / 1000)
            self._refuse_stuck(step.pin, step.level)
            self._ports.pins().drive(step.pin, other == "high")
        await self._drive(step.pin, other)
        return step.told

    async def _release_pin(self, step: ReleasePin) -> Phrase:
        self._ports.pins().release(step.pin)
        return step.told

    async def _check_pin(self, step: CheckPin) -> Phrase:
        pins, loop = self._ports.pins(), asyncio.get_running_loop()
        latest_s = loop.time() + step.within_s
        while pins.read(step.pin) != (step.level == "high"):
            if loop.time() >= latest_s:
                raise EntryError("PIN_LEVEL", pin=step.pin, level=step.level)
            await asyncio.sleep(_SAMPLE_S)
        return step.told

    async def _wait(self, step: Wait) -> Phrase:
        await self._while_supplied(asyncio.sleep(step.seconds))
        return step.told

    async def _ask(self, step: Ask) -> Phrase:
        question = Question(
            step.question,
            step.text,
            step.deadline_s,
            step.choices,
            about=self._job_id,
            who=Answerer(step.who),
        )
        answer = await self._while_supplied(self._ports.person().ask(question))
        if answer.value not in step.go_on_with:
            raise EntryError("QUESTION_DECLINED", person_text=answer.by, answer=answer.value, step=step.told)
        return phrase("step.answered", person_text=answer.by, answer=answer.value)

    async def _drive(self, pin: str, level: Level) -> None:
        self._ports.pins().drive(pin, level == "high")
        await asyncio.sleep(_LINE_SETTLES_S)
        self._refuse_stuck(pin, level)

    def _refuse_stuck(self, pin: str, level: Level) -> None:
        if self._ports.pins().read(pin) != (level == "high"):
            raise EntryError("PIN_NOT_FOLLOWING", pin=pin, level=level)

    async def _while_supplied(self, work: Awaitable[Done]) -> Done:
        """Wait for it only as long as the supply holds."""
        waiting = asyncio.ensure_future(work)
        watch = asyncio.ensure_future(self._until_lost())
        try:
            await asyncio.wait({waiting, watch}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                watch.result()
            return await waiting
        finally:  # without a wait: this also runs where the loop is gone
            for task in (waiting, watch):
                task.cancel()
                task.add_done_callback(_forget)

    async def _until_lost(self) -> None:
        """Raises EntryError once the supply is lost; never ends where none was switched on."""
        bad_s = 0.0
        while True:
            await asyncio.sleep(_WATCH_S)
            if (window := self._window) is None:
                continue
            reading = await self._ports.supply().read()
            bad_s = bad_s + _WATCH_S if misfit(window, reading) else 0.0
            if reading.tripped or bad_s >= _LOST_S:
                self._refuse_lost(window, reading)

    def _refuse_lost(
        self, window: SupplyOn | IgnitionOn, reading: SupplyReading, *, least: bool = False
    ) -> None:
        if reading.tripped:
            raise tripped()
        if misfit(window, reading, least=least):
            raise supply_problem(window, reading)


def _forget(task: asyncio.Future[Any]) -> None:
    """What the loser of a race ended with is nobody's news."""
    if not task.cancelled():
        task.exception()


def make_safe(ports: EntryPorts, pins: frozenset[str], *, supply: bool) -> list[Phrase]:
    """Release these pins and, where asked, switch everything off; what did not obey, in words.

    Without a wait, so that it also works where no event loop runs any more.
    """
    problems: list[Phrase] = []
    if supply:
        for output in (Output.IGNITION, Output.SUPPLY):
            try:
                ports.supply().switch(output, False)
            except SupplyError as error:
                problems.append(phrase("lines.still_on", output=output.value, technical_text=str(error)))
    for pin in sorted(pins):
        try:
            ports.pins().release(pin)
        except ConnectionError as error:
            problems.append(phrase("lines.not_released", pin=pin, technical_text=str(error)))
    return problems
