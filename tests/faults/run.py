"""One run on virtual time: a technician, a car, and a box that may die any number of times."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.engine.box import Box
from appliance.engine.operations.read import read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.originals import load_original
from appliance.engine.report import report_of
from appliance.engine.tuning import MasterWish
from appliance.flashing.journal import Journal
from appliance.flashing.safety import tell_safety
from appliance.vault import keys as keyring
from simulator.injection import FaultInjector
from simulator.virtualtime import run_virtual
from tests.faults.judge import (
    BrokenPromiseError,
    Ecu,
    Memories,
    Outcome,
    Record,
    judge_end,
    judge_error,
    judge_rest,
)
from tests.faults.life import Killed, Life
from tests.faults.scenario import Kind, Scenario, Storm, storm_for

MOST_ATTEMPTS = 14
LONGEST_ATTEMPT_S = 3600.0
_BENCH_TRIES = 2
_LOOKS_EVERY_S = 30.0
_BOOT_S = 2.0
_VANISHES_SHARE = 0.15
"""Of the deaths of the box: only its CAN interface goes."""
_CALM_S = 20.0


@dataclass
class Result:
    """What came of a run."""

    seed: int
    definition: str
    kind: str
    outcome: str = ""
    """A word of Outcome, or `broken`."""
    broken: str = ""
    attempts: int = 0
    deaths: int = 0
    struck: int = 0
    refusals: int = 0
    interruptions: int = 0
    virtual_s: float = 0.0
    trace: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Attempts that ended by a death, or with the ECU half written."""
        return self.deaths + self.interruptions


def run(scenario: Scenario, folder: Path) -> Result:
    """Run a scenario to its end; every surprise becomes a broken promise with its trace."""
    result = Result(scenario.seed, scenario.bench.definition.id, scenario.kind.value)
    root = Path(tempfile.mkdtemp(dir=folder))
    try:
        run_virtual(_run(scenario, root, result))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what escapes is what is looked for
        result.outcome, result.broken = "broken", f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(root)
    return result


async def _run(scenario: Scenario, root: Path, result: Result) -> None:
    await Run(scenario, root, result).to_the_end()


class Run:
    """The technician: does the job, and after each stumble restores the supply and recovers."""

    def __init__(self, scenario: Scenario, root: Path, result: Result) -> None:
        """Call it on the running loop."""
        bench = scenario.bench
        self._scenario = scenario
        self._result = result
        self._loop = asyncio.get_running_loop()
        self._habits = scenario.dice("technician")
        self._car = bench.car(scenario.seed, scenario.start)
        self._memories = Memories(scenario.start, bench.stock, scenario.change.memory)
        self._state = bench.copy_state(root / "box")
        self._life: Life | None = None
        self._injectors: list[FaultInjector] = []
        self._bench_verdicts = 0
        self._first_original = self._arrange()

    async def to_the_end(self) -> None:
        """Fills the result. Raises BrokenPromiseError, or whatever the product lets escape."""
        self._car.power_up()
        await asyncio.sleep(_BOOT_S)
        looks = self._loop.create_task(self._look_after_the_supply())
        try:
            outcome = await self._job()
            await self._calm_down()
            self._trace(f"the run ends {outcome}")
            self._judge_end(outcome)
            self._result.outcome = outcome.value
        finally:
            looks.cancel()
            self._close()

    async def _job(self) -> Outcome:
        for attempt in range(MOST_ATTEMPTS):
            self._result.attempts = attempt + 1
            outcome = await self._attempt(attempt)
            if outcome is not None:
                return outcome
            await self._pause()
        raise BrokenPromiseError(f"not over after {MOST_ATTEMPTS} attempts")

    async def _attempt(self, attempt: int) -> Outcome | None:
        storm = self._brew(attempt)
        try:
            life = self._alive(storm.dies_at_write)
            ended = self._ended()
            if ended is not None:
                return ended
            judge_rest(self._memories, self._ecu(), self._record())
            told = await life.perform(self._work(life.box, attempt), LONGEST_ATTEMPT_S)
        except Killed:
            self._bury()
            return None
        except PitboxError as error:
            return self._on_error(error)
        finally:
            self._tell_struck()
        return self._believed(told)

    def _brew(self, attempt: int) -> Storm:
        """Have the attempt's faults wait for their triggers."""
        storm = storm_for(self._scenario, attempt, self._car.ecu.core.watch.totals)
        self._injectors.append(FaultInjector(storm.plan, self._car, self._box_dies))
        planned = [f"{fault.kind} on {fault.on} {fault.at:.0f}" for fault in storm.plan.faults]
        self._trace(f"attempt {attempt}: {', '.join(planned) or 'no new faults'}")
        return storm

    def _box_dies(self) -> None:
        if self._life is None:
            return
        if self._habits.random() < _VANISHES_SHARE:
            self._life.lose_interface()
        else:
            self._life.die()

    def _alive(self, dies_at_write: int | None) -> Life:
        """The box, started anew if it is dead. Raises Killed."""
        if self._life is not None and self._life.dead:
            self._bury()
        if self._life is None:
            self._life = Life(self._scenario.bench, self._car, self._state, self._trace, dies_at_write)
            self._life.start()
        self._life.die_at_write(dies_at_write)
        return self._life

    def _bury(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            self._result.deaths += 1
            self._state = life.state
            life.bury()

    def _work(self, box: Box, attempt: int) -> Coroutine[Any, Any, dict[str, Any]]:
        """What a technician asks for who looks at the list of jobs."""
        scenario, job = self._scenario, self._scenario.bench.job
        on_the_bench = box.journal.job(job).state is JobState.NEEDS_BENCH
        if on_the_bench or box.journal.open_flashes():
            original = scenario.original_from is not None and attempt >= scenario.original_from
            self._trace(f"recover{' with the original' if original else ''}")
            return recover(box, job if on_the_bench or attempt % 2 else None, original)
        self._trace(scenario.kind.value)
        if scenario.kind is Kind.READ:
            return read(box, job)
        if scenario.kind is Kind.RESTORE:
            return restore(box, job)
        box.uploads["file"] = scenario.upload
        names = tuple(region.name for region in scenario.change.regions)
        return write(box, job, "file", MasterWish("bench_research", names, scenario.corrected_by_box))

    def _ended(self) -> Outcome | None:
        """What the journal says of a job that was over before the box died."""
        journal, job = self._box.journal, self._scenario.bench.job
        flash = journal.last_flash(job)
        if flash is not None and flash.outcome in (Outcome.DONE, Outcome.RESTORED):
            return Outcome(flash.outcome)
        if journal.job(job).original_file != self._first_original:
            return Outcome.READ
        return None

    def _believed(self, told: dict[str, Any]) -> Outcome:
        if self._scenario.kind is Kind.READ:
            return Outcome.READ
        return Outcome(told["result"])

    def _on_error(self, error: PitboxError) -> Outcome | None:
        """None where the technician goes on."""
        record = self._record()
        tell_safety(error, self._box.journal, self._scenario.bench.job)
        self._trace(f"{error} (ECU {error.ecu}), job {record.state}")
        judge_error(error, self._memories, self._ecu(), record)
        judge_rest(self._memories, self._ecu(), record)
        if record.state is JobState.NEEDS_BENCH:
            self._bench_verdicts += 1
            return Outcome.NEEDS_BENCH if self._bench_verdicts == _BENCH_TRIES else None
        if record.open_flashes:
            self._result.interruptions += 1
            return None
        self._result.refusals += 1
        return Outcome.REFUSED if self._scenario.gives_up else None

    async def _pause(self) -> None:
        """The technician restores the supply and waits for the ECU."""
        await asyncio.sleep(self._habits.uniform(1.0, 20.0))
        self._car.power_up()
        await asyncio.sleep(_BOOT_S)

    async def _look_after_the_supply(self) -> None:
        while True:
            await asyncio.sleep(_LOOKS_EVERY_S)
            self._car.power_up()

    async def _calm_down(self) -> None:
        """Nothing new strikes; sags, sessions and boots come to their end."""
        for injector in self._injectors:
            injector.close()
        await asyncio.sleep(_CALM_S)
        self._car.power_up()
        await asyncio.sleep(_BOOT_S)

    def _judge_end(self, outcome: Outcome) -> None:
        self._alive(None)
        allowed = self._allowed()
        if outcome not in allowed:
            raise BrokenPromiseError(f"{outcome}, where only {', '.join(sorted(allowed))} can be")
        judge_end(outcome, self._scenario.bench.definition, self._memories, self._ecu(), self._record())
        if outcome is Outcome.READ:
            self._judge_read()

    def _allowed(self) -> set[Outcome]:
        scenario = self._scenario
        if scenario.kind is Kind.READ:
            return {Outcome.READ, Outcome.REFUSED}
        allowed = {Outcome.REFUSED, Outcome.NEEDS_BENCH}
        if scenario.kind is Kind.RESTORE or scenario.original_from is not None:
            allowed.add(Outcome.RESTORED)
        if scenario.kind is Kind.WRITE:
            allowed.add(Outcome.DONE)
        return allowed

    def _judge_read(self) -> None:
        """What is sealed is what the ECU holds, to the byte."""
        original = load_original(self._box, self._box.journal.job(self._scenario.bench.job))
        sealed = b"" if original is None else b"".join(original.image.spans.values())
        if sealed != self._memories.start:
            raise BrokenPromiseError("the sealed read is not what the ECU holds")

    @property
    def _box(self) -> Box:
        return self._alive(None).box

    def _ecu(self) -> Ecu:
        ecu = self._car.ecu
        return Ecu(ecu.memory.whole(), ecu.program, ecu.records.application_valid)

    def _record(self) -> Record:
        journal, job = self._box.journal, self._scenario.bench.job
        flash = journal.last_flash(job)
        return Record(
            journal.job(job).state,
            None if flash is None else flash.outcome,
            len(journal.open_flashes()),
            report_of(journal, job, self._scenario.bench.definition)["result"],
        )

    def _arrange(self) -> str | None:
        """Before a restore there was a write. Gives the id of the sealed original."""
        keys, job = keyring.load(self._state / "keys"), self._scenario.bench.job
        journal = Journal(self._state / "journal.db", time.time, keys.record_mac)
        if self._scenario.kind is Kind.RESTORE:
            journal.move(job, JobState.PREFLIGHT)
            journal.move(job, JobState.DONE)
            journal.note(job, result=JobState.DONE.value)
        original = journal.job(job).original_file
        journal.close()
        return original

    def _tell_struck(self) -> None:
        struck = [fault for injector in self._injectors for fault in injector.struck]
        for fault in struck[self._result.struck :]:
            self._trace(f"struck: {fault.model_dump_json(exclude_defaults=True)}")
        self._result.struck = len(struck)

    def _trace(self, text: str) -> None:
        self._result.trace.append(f"{self._loop.time():10.3f} {text}")

    def _close(self) -> None:
        self._result.virtual_s = self._loop.time()
        for injector in self._injectors:
            injector.close()
        if self._life is not None:
            self._life.bury()
        self._car.close()
