"""Runs an access's entry choreography: every step journalled, every line safe at the end whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType

from appliance.contract.catalogue import Field, Phrase
from appliance.contract.entry_events import EntryOutcome, entry_event
from appliance.contract.errors import PitboxError
from appliance.contract.events import AlarmEvent, Event
from appliance.contract.phrases import phrase
from appliance.definitions.choreography import Choreography
from appliance.definitions.entry_step import Step
from appliance.definitions.supply_steps import CheckGround, SupplyOff
from appliance.flashing.entry_actions import Actions, EntryPorts, make_safe
from appliance.flashing.entry_findings import EntryError
from appliance.flashing.known_wiring import Wiring
from appliance.protocols.port_missing import PortMissingError
from drivers.pins.interface import PinsError

Record = Callable[[Event], None]
"""Has an event written down, durable on return. Raises PitboxError where that is not possible."""

_LOOK_S = 1.0
"""So long the ending waits for a measurement that it can do without."""
_FALLEN = SupplyOff(verb="supply_off")
log = logging.getLogger("pitbox.entry")


class Entry:
    """`async with`: inside of it the controller is where the access needs it. An empty one does nothing."""

    def __init__(
        self,
        choreography: Choreography,
        ports: EntryPorts,
        record: Record,
        access: str,
        job_id: str | None,
        *,
        wires: Callable[[Step], bool] = lambda step: False,
        wiring: Wiring | None = None,
        inside: bool = False,
        stays: Callable[[], bool] = lambda: False,
        tell: Record | None = None,
    ) -> None:
        """`wires` says which steps ask for a wire, `wiring` what is known of those.

        `tell` takes what need not be durable before a line moves, also where the disk takes nothing.

        `inside`: the controller was left under power where the access needs it, so no step is done again.

        `stays` is asked at the end: whether the controller would not come back from a loss of its supply.
        """
        self._wires = wires
        self._wiring = wiring or Wiring()
        self._inside = inside
        self._stays = stays
        self._choreography = choreography
        self._ports = ports
        self._record = record
        self._tell_at_least = tell or record
        self._access = access
        self._job_id = job_id
        self._actions = Actions(ports, job_id)
        self._entered = False
        self._staying = False

    async def __aenter__(self) -> Entry:
        """Raises PitboxError, with every line in its safe state again."""
        if not self._choreography.steps:
            return self
        self._require_ports()
        try:
            await self._enter()
        except GeneratorExit:
            self._leave_at_once()
            raise
        except BaseException as error:
            self._wiring.doubt()
            problems = await self._leave()
            if isinstance(error, PitboxError):
                error.add(*problems)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The ending; it is finished whoever cancels it."""
        if not self._choreography.steps:
            return
        if kind is GeneratorExit:
            self._leave_at_once()
            return
        if error is not None:
            self._wiring.doubt()  # it may be another ECU, or a person changes something on account of it
        await self._leave()

    def _require_ports(self) -> None:
        """Before anything moves. Raises PitboxError PORT_MISSING."""
        needed = self._choreography
        if needed.switches:
            self._ports.supply()
        if needed.asks:
            self._ports.person()
        if needed.pins and (missing := needed.pins - self._ports.pins().names):
            raise PortMissingError(phrase("port.some_pins", pins=tuple(sorted(missing))), "--pins")

    async def _enter(self) -> None:
        if self._inside:
            self._entered = True
            self._tell_if_possible(EntryOutcome.ENTERED, phrase("entry.inside"))
            return
        if not await self._all_steps(known=self._wiring.begin(asyncio.get_running_loop().time())):
            self._wiring.doubt()
            self._wiring.begin(asyncio.get_running_loop().time())
            await self._all_steps(known=False)
        try:
            await self._actions.check_supply()
        except ConnectionError as error:
            raise _hardware(error) from error
        self._tell(EntryOutcome.ENTERED, phrase("entry.entered", steps=len(self._choreography.steps)))
        self._entered = True

    async def _all_steps(self, *, known: bool) -> bool:
        """False where the probe, before anything is switched on, finds other wires than were confirmed."""
        for number, step in enumerate(self._choreography.steps, 1):
            if known and self._wires(step):
                self._tell(EntryOutcome.DONE, phrase("step.wire_known"), number)
                continue
            await self._step(number, step)
            probed_v = self._actions.probed_v if isinstance(step, CheckGround) else None
            if known and probed_v is not None and not self._wiring.is_as_before(probed_v):
                return False
        return True

    async def _step(self, number: int, step: Step) -> None:
        self._tell(EntryOutcome.BEGUN, step.told, number)
        try:
            found = await self._perform(step)
        except PitboxError as error:
            of = len(self._choreography.steps)
            error.add(phrase("entry.step", number=number, of=of, step=step.told))
            if step.advice:
                error.advise_instead(phrase("advice.of_author", author_text=step.advice))
            failed = phrase("entry.failed", code=error.code, problem=error.said)
            self._tell_if_possible(EntryOutcome.FAILED, failed, number)
            raise
        self._tell(EntryOutcome.DONE, found, number)

    async def _perform(self, step: Step) -> Phrase:
        try:
            return await self._actions.perform(step)
        except ConnectionError as error:
            raise _hardware(error) from error

    async def _leave(self) -> list[Phrase]:
        """The ending, to its end: a cancel that comes meanwhile takes effect behind it."""
        ending = asyncio.ensure_future(self._end())
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return ending.result()

    async def _end(self) -> list[Phrase]:
        await self._judge_wiring()
        problems = self._ask_whether_it_stays()
        try:
            for step in () if self._staying else self._choreography.ending:
                problems += await self._ending_step(step)
        finally:
            problems += self._make_safe()
        if self._switches_off:
            problems += await self._ending_step(_FALLEN)
        self._tell_end(problems)
        return problems

    async def _judge_wiring(self) -> None:
        """Wires are good through which the supply is still as it was switched on."""
        if not self._entered or self._inside:
            return
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._actions.check_supply()
        except (PitboxError, ConnectionError, TimeoutError):
            self._wiring.doubt()
            return
        if self._actions.probed_v is not None:
            self._wiring.measured_well(self._actions.probed_v, asyncio.get_running_loop().time())

    def _ask_whether_it_stays(self) -> list[Phrase]:
        """Where nobody can tell, it stays: a supply that is on too long does less than a lost ECU."""
        try:
            self._staying = self._entered and self._stays()
        except PitboxError as error:
            self._staying = True
            return [phrase("entry.supply_stays", problem=error.said)]
        return []

    async def _ending_step(self, step: Step) -> list[Phrase]:
        """One step of the ending; one that fails keeps none of the others from being done."""
        try:
            await self._perform(step)
        except PitboxError as error:
            return [phrase("entry.ending_failed", step=step.told, problem=error.said)]
        return []

    @property
    def _switches_off(self) -> bool:
        keeps = self._choreography.keep_supply and self._entered
        return self._choreography.switches and not keeps and not self._staying

    def _make_safe(self) -> list[Phrase]:
        return make_safe(self._ports, self._choreography.pins, supply=self._switches_off)

    def _leave_at_once(self) -> None:
        """The event loop is gone: nothing can be waited for any more."""
        self._tell_end(self._make_safe())

    def _tell_end(self, problems: list[Phrase]) -> None:
        if not problems:
            self._tell_if_possible(EntryOutcome.SAFE, phrase(self._how_it_was_left()))
            return
        each = tuple(dict.fromkeys(problems))
        self._tell_if_possible(EntryOutcome.UNSAFE, phrase("entry.unsafe", problems=each))
        told: dict[str, Field] = {"problems": each}
        self._record_if_possible(AlarmEvent(self._job_id, "LINES_NOT_SAFE", "lines_not_safe", True, told))

    def _how_it_was_left(self) -> str:
        if not self._choreography.switches or self._switches_off:
            return "entry.supply_off"
        return "entry.supply_kept" if self._staying else "entry.supply_on"

    def _tell(self, outcome: EntryOutcome, what: Phrase, step: int | None = None) -> None:
        self._record(entry_event(self._job_id, self._access, outcome, what, step))

    def _tell_if_possible(self, outcome: EntryOutcome, what: Phrase, step: int | None = None) -> None:
        self._record_if_possible(entry_event(self._job_id, self._access, outcome, what, step))

    def _record_if_possible(self, event: Event) -> None:
        """The lines come first: a disk that is full keeps none of them where it is."""
        try:
            self._tell_at_least(event)
        except PitboxError as error:
            log.warning("%s is not in the journal: %s", event, error.what)


def _hardware(error: ConnectionError) -> EntryError:
    code = "PINS_FAILED" if isinstance(error, PinsError) else "SUPPLY_FAILED"
    return EntryError(code, technical_text=str(error))
