"""One run on virtual time: a technician, a car, and a box that may die any number of times."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.places import Range
from appliance.engine.context import EngineContext
from appliance.engine.operations.registry import prepare
from appliance.engine.originals import load_original
from appliance.engine.report import report_of
from appliance.engine.unstarted import tell_safety_unstarted
from appliance.flashing import history
from appliance.flashing.safety import tell_safety
from appliance.flashing.write_order import WriteOrder
from simulator.car import Car
from simulator.faults import FaultPlan
from simulator.image_synthesis import region_slice
from simulator.injection import FaultInjector
from tests.faults.hardships import (
    DISK,
    LOST,
    ROT,
    Fortune,
    Hardship,
    OtherCar,
    flip,
    hurt_records,
    leave_half_written,
    other_definition,
    other_memory,
    place_of,
)
from tests.faults.judge import (
    IGNITION_OFF,
    IGNITION_OFF_IF_WHOLE,
    BrokenPromiseError,
    Ecu,
    Memories,
    Outcome,
    Record,
    Rot,
    judge_end,
    judge_error,
    judge_last_copy,
    judge_other_car,
    judge_reopened,
    judge_rest,
    judge_source_lost,
    judge_without_room,
)
from tests.faults.killable_box import Killed, Life
from tests.faults.prepared_boxes import car_with
from tests.faults.scenario import Kind, Scenario, Storm, storm_for
from tests.faults.workbench import Site, Workbench, bench_access
from tests.support.surprises import run_out

MOST_ATTEMPTS = 14
LONGEST_ATTEMPT_S = 3600.0
_BENCH_TRIES = 2
_LOST_TRIES = 3
_LOOKS_EVERY_S = 30.0
_BOOT_S = 2.0
_VANISHES_SHARE = 0.15
"""Of the deaths of the box: only its CAN interface goes."""
_CALM_S = 20.0
_IGNITION_OFF_S = 15.0


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
    asked_hardship: str = "none"
    tie: str = "none"
    site: str = "car"
    hitches: list[str] = field(default_factory=list)
    """What went wrong on the bench."""
    hardship: str = ""
    """What befell the run, if it came to that."""
    virtual_s: float = 0.0
    trace: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Attempts that ended by a death, or with the ECU half written."""
        return self.deaths + self.interruptions


def run(scenario: Scenario, folder: Path) -> Result:
    """Run a scenario to its end; every surprise becomes a broken promise with its trace."""
    result = Result(scenario.seed, scenario.bench.definition.id, scenario.kind.value)
    result.asked_hardship = scenario.fortune.hardship.value
    result.tie = scenario.tie.value
    result.site = scenario.site.value
    run_out(result, folder, lambda root: _run(scenario, root, result), Killed)
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
        self._car = bench.car(scenario.seed, scenario.start, scenario.make)
        self._memories = Memories(scenario.start, bench.stock, scenario.change.memory)
        self._state = bench.copy_state(root / "box", written=scenario.kind is Kind.RESTORE)
        self._life: Life | None = None
        self._workbench: Workbench | None = None
        """Once the ECU is out of its car."""
        self._injectors: list[FaultInjector] = []
        self._bench_verdicts = 0
        self._lost_verdicts = 0
        self._stays_silent = False
        """The records are lost, and the box says that an ECU which stays silent needs the bench."""
        self._advised: list[bool] = []
        """Of each error, whether its advice is to switch the ignition off where it repeats."""
        self._suffered = False
        self._refused_for_rot = 0
        self._rotten: Rot | None = None
        self._without_room: Ecu | None = None
        """The ECU when a job was begun though the disk had said that there is no room."""
        self._named_car: str | None = None
        self._first_original = bench.original

    async def to_the_end(self) -> None:
        """Fills the result. Raises BrokenPromiseError, or whatever the product lets escape."""
        self._car.power_up()
        await asyncio.sleep(_BOOT_S)
        if self._scenario.site is Site.BENCH:
            self._to_the_bench()
        looks = self._loop.create_task(self._look_after_the_supply())
        try:
            outcome = await self._attempts()
            await self._calm_down()
            await self._back_into_the_car()
            self._trace(f"the run ends {outcome}")
            self._judge_end(outcome)
            self._result.outcome = outcome.value
        finally:
            looks.cancel()
            self._close()

    async def _attempts(self) -> Outcome:
        for attempt in range(MOST_ATTEMPTS):
            self._result.attempts = attempt + 1
            outcome = await self._attempt(attempt)
            if self._without_room is not None:
                judge_without_room(self._without_room, self._ecu())
                self._without_room = None
            if outcome is not None:
                return outcome
            await self._pause()
        if self._stays_silent:
            return Outcome.NEEDS_BENCH
        self._judge_last_copy()
        raise BrokenPromiseError(f"not over after {MOST_ATTEMPTS} attempts")

    async def _attempt(self, attempt: int) -> Outcome | None:
        if await self._suffer(attempt):
            return None
        storm = self._brew(attempt)
        if self._workbench is not None:
            self._workbench.begin()
        try:
            life = self._alive(storm.dies_at_write)
            self._run_short_of_disk(life, attempt)
            ended = self._ended()
            if ended is not None:
                return ended
            judge_rest(self._memories, self._ecu(), self._record())
            life.entries.clear()
            told = await life.perform(self._work(life.box, attempt), LONGEST_ATTEMPT_S)
        except Killed:
            self._judge_bench(alive=False)
            self._bury()
            return None
        except PitboxError as error:
            self._judge_bench(alive=self._life is not None and not self._life.dead)
            return self._on_error(error)
        finally:
            if self._life is not None:
                self._life.fill_disk(0, 0)
                self._life.scarce = False
            self._tell_struck()
        self._judge_bench(alive=True)
        return self._believed(told)

    def _judge_bench(self, *, alive: bool) -> None:
        if self._workbench is not None:
            self._workbench.judge(self._life.entries if alive and self._life is not None else [])

    def _to_the_bench(self) -> None:
        """The ECU is taken out of its car."""
        access = bench_access(self._scenario.bench.definition)
        if access is None:
            raise BrokenPromiseError("there is no access on the bench")
        self._trace("the ECU is on the bench")
        self._workbench = Workbench(self._car, access)
        if self._life is not None:
            self._life.plug_into(self._car, self._workbench)

    async def _back_into_the_car(self) -> None:
        """To be looked at by the judge as it starts by itself."""
        if self._workbench is not None:
            self._workbench.take_off()
            await asyncio.sleep(_BOOT_S)

    async def _suffer(self, attempt: int) -> bool:
        """Let the hardship of this run happen if it is due; True if that was all of this attempt."""
        kind = self._fortune.hardship
        if self._suffered or attempt < self._fortune.attempt or kind in {Hardship.NONE, *DISK}:
            return False
        if kind is Hardship.OTHER_CAR:
            self._suffer_from(kind)
            await self._try_other_car(attempt)
            return True
        if kind in LOST:
            self._suffer_from(kind)
            self._lose_records(kind)
        else:
            self._rot(kind)
        return False

    def _run_short_of_disk(self, life: Life, attempt: int) -> None:
        """For this attempt the disk is full after a number of writes, or says that it has no room."""
        kind = self._fortune.hardship
        if kind not in DISK or attempt != self._fortune.attempt:
            return
        self._suffer_from(kind)
        if kind is Hardship.DISK_FULL:
            life.fill_disk(self._fortune.writes_until_full, self._fortune.full_for)
            return
        life.scarce = True
        if not life.box.journal.open_flashes():
            self._without_room = self._ecu()

    def _suffer_from(self, kind: Hardship) -> None:
        self._suffered, self._result.hardship = True, kind.value
        self._trace(f"hardship: {kind}")

    async def _try_other_car(self, attempt: int) -> None:
        """The plug sits in the wrong car, and nobody has noticed; then it sits in the right one again."""
        which, bench = self._fortune.other_car, self._scenario.bench
        definition = other_definition(bench, which)
        memory = other_memory(bench, which)
        other = car_with(definition, 7, memory or bench.stock[:0])
        if which is OtherCar.HALF_WRITTEN_TWIN:
            leave_half_written(other.ecu, definition)
        other.power_up()
        await asyncio.sleep(_BOOT_S)
        self._trace(f"plugged into another car: {which}")
        before = _seen(other)
        told = await self._served(other, attempt, definition.simulation.vin)
        judge_other_car(before, _seen(other), told)
        other.close()

    async def _served(self, other: Car, attempt: int, vin: str) -> str | None:
        """What the box says with another car on the plug; it may die over that."""
        told, life = None, self._alive(None)
        life.plug_into(other, self._workbench and Workbench(other, self._workbench.access))
        try:
            for named in (None, vin):
                try:
                    work = self._work(life.box, attempt, named)
                    told = str((await life.perform(work, LONGEST_ATTEMPT_S))["result"])
                except PitboxError as error:
                    self._trace(f"{error} {error.details}")
            life.plug_into(self._car, self._workbench)
        except Killed:
            self._bury()
        return told

    def _lose_records(self, kind: Hardship) -> None:
        """The box is off, its disk loses records, and it starts again."""
        if self._life is not None:
            self._life.die()
            self._bury()
        self._trace(hurt_records(self._scenario.dice("rot"), kind, self._state))
        told = kind is Hardship.ALL_RECORDS_LOST
        try:
            self._alive(None)
        except PitboxError as error:
            told = True
            tell_safety_unstarted(error, self._state)
            self._trace(f"{error} (ECU {error.ecu})")
            if error.ecu is not EcuSafety.UNKNOWN:
                judge_error(error, self._memories, self._ecu(), Record(None, None, 1, ""))
            self._life = None
            self._alive(None, set_journal_aside=True)
        judge_reopened(self._memories, self._ecu(), self._record(), told)

    def _rot(self, kind: Hardship) -> None:
        """A bit of a sealed segment flips, if there is one yet."""
        box, job = self._box, self._job
        if job is None:
            return
        file_id = box.journal.job(job).original_file
        if kind is Hardship.TUNED_DAMAGED:
            flash = box.journal.last_flash(job)
            file_id = WriteOrder.from_json(flash.write_order).tuned_file if flash else None
        if file_id is not None:
            self._suffer_from(kind)
            dice = self._scenario.dice("rot")
            segment = dice.choice(box.images.load(file_id).segments)
            self._trace(flip(dice, box.blobs.path(segment.ct_sha256)))
            if kind is Hardship.ORIGINAL_DAMAGED:
                self._rotten = self._rot_of(segment.place)

    def _rot_of(self, place: Range) -> Rot:
        """A bootloader reads or does not; where nothing was erased there is the application, which does."""
        definition, journal = self._scenario.bench.definition, self._box.journal
        at = place_of(definition, place.start)
        where = slice(at, at + place.length)
        begun = any(history.touched(journal.steps(flash.id)) for flash in journal.open_flashes())
        legible = self._scenario.bench.bootloader_reads or not begun
        return Rot(where, self._ecu().memory[where] == self._memories.original[where], legible)

    def _judge_last_copy(self) -> None:
        """By whether every part of the first original can be had from the disk again, and by the ECU."""
        if self._rotten is not None:
            images = self._box.images
            sealed = all(images.is_whole(one) for one in images.load(self._first_original).segments)
            judge_last_copy(self._memories, self._ecu(), self._rotten, sealed)

    def _brew(self, attempt: int) -> Storm:
        """Have the attempt's faults wait for their triggers."""
        storm = storm_for(self._scenario, attempt, self._car.ecu.core.watch.totals)
        table, faults = self._workbench, storm.plan.faults
        if table is not None and (attempt == 0 or storm.plan.faults):
            faults = (*faults, *table.brew(self._scenario.dice(f"bench/{attempt}")))
            self._result.hitches += [hitch.value for hitch in table.hitches]
        plan = FaultPlan(faults=faults)
        self._injectors.append(FaultInjector(plan, self._car, self._box_dies, table and table.bench))
        planned = [f"{fault.kind} on {fault.on} {fault.at:.0f}" for fault in faults]
        self._trace(f"attempt {attempt}: {', '.join(planned) or 'no new faults'}")
        return storm

    def _box_dies(self) -> None:
        if self._life is None:
            return
        if self._habits.random() < _VANISHES_SHARE:
            self._life.lose_interface()
        else:
            self._life.die()

    def _alive(self, dies_at_write: int | None, *, set_journal_aside: bool = False) -> Life:
        """The box, started anew if it is dead. Raises Killed, and PitboxError where it does not start."""
        if self._life is not None and self._life.dead:
            self._bury()
        if self._life is None:
            self._life = Life(
                self._scenario.bench, self._car, self._state, self._trace, dies_at_write, self._workbench
            )
            self._life.start(set_journal_aside=set_journal_aside)
        self._life.die_at_write(dies_at_write)
        return self._life

    def _bury(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            self._result.deaths += 1
            self._state = life.state
            life.bury()

    def _work(
        self, box: EngineContext, attempt: int, named: str | None = None
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        """What a technician asks for who looks at the list of jobs."""
        verb, parameters = self._wanted(box, attempt)
        named = named or self._named_car
        if verb == "recover" and named is not None:
            parameters["car"] = named
        if verb == "recover" and self._workbench is not None:
            parameters["access"] = bench_access(self._scenario.bench.definition).name
        self._trace(f"{verb} {parameters}")
        return prepare(verb, parameters)(box)

    def _wanted(self, box: EngineContext, attempt: int) -> tuple[str, dict[str, Any]]:
        scenario, job = self._scenario, self._job
        on_the_bench = job is not None and box.journal.job(job).state is JobState.NEEDS_BENCH
        if on_the_bench or box.journal.open_flashes():
            wanted: dict[str, Any] = {"original": True} if self._takes_original(attempt) else {}
            return "recover", wanted | ({"job": job} if on_the_bench or attempt % 2 else {})
        if job is None or (self._suffered and self._fortune.hardship in LOST):
            return "recover", {"definition": scenario.bench.definition.id}
        if scenario.kind is not Kind.WRITE:
            return scenario.kind.value, {"job": job}
        box.uploads["file"] = scenario.upload
        names = [region.name for region in scenario.change.regions]
        return "write", {
            "job": job,
            "upload": "file",
            "changed_regions": names,
            "correct_checksums": scenario.corrected_by_box,
            "engine_off": not scenario.bench.tells_engine_speed,
        }

    def _takes_original(self, attempt: int) -> bool:
        if self._suffered and self._fortune.hardship in ROT:
            return attempt % 2 == 1
        return self._scenario.original_from is not None and attempt >= self._scenario.original_from

    def _ended(self) -> Outcome | None:
        """What the journal says of a job that was over before the box died."""
        journal, job = self._box.journal, self._job
        if job is None:
            return None
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
        if self._life is None or self._life.dead:
            raise BrokenPromiseError(f"the box does not start: {error}") from error
        record = self._record()
        lost = self._fortune.hardship in LOST and self._suffered
        tell_safety(error, self._box.journal, self._job, journal_doubted=lost)
        self._trace(f"{error} (ECU {error.ecu}), job {record.state}")
        judge_error(error, self._memories, self._ecu(), record)
        judge_rest(self._memories, self._ecu(), record)
        recovery = self._scenario.bench.definition.accesses[0].recovery
        bench = recovery.advice
        self._stays_silent = lost and error.code == "ECU_SILENT" and bench in error.do_now
        whole = self._ecu().valid
        if IGNITION_OFF in error.do_now and recovery.recoverability != "bootloader" and not whole:
            raise BrokenPromiseError(f"{error.code} has an ECU switched off that does not come back")
        self._advised.append(
            IGNITION_OFF in error.do_now or (whole and IGNITION_OFF_IF_WHOLE in error.do_now)
        )
        if error.code == "CAR_UNCONFIRMED":
            self._named_car = self._scenario.bench.definition.simulation.vin
            return None
        if error.code == "SOURCE_LOST" or record.state is JobState.NEEDS_BENCH:
            return self._at_an_end(error)
        if record.open_flashes:
            self._result.interruptions += 1
            return None
        self._result.refusals += 1
        if lost:
            return None
        if not (self._scenario.gives_up or self._is_hopeless()):
            return None
        written = self._ended()  # what failed may be the last word of a write that is complete
        return written if written in (Outcome.DONE, Outcome.RESTORED) else Outcome.REFUSED

    def _at_an_end(self, error: PitboxError) -> Outcome | None:
        """The technician tries the other verb as well, and then believes it."""
        if error.code == "SOURCE_LOST" or self._lost_verdicts:  # said by one verb, it holds for the other
            return self._without_source()
        if self._scenario.site is Site.CAR_THEN_BENCH:
            self._to_the_bench()
            return None
        self._bench_verdicts += 1
        return Outcome.NEEDS_BENCH if self._bench_verdicts == _BENCH_TRIES else None

    def _without_source(self) -> Outcome | None:
        """An original that rotted where it is needed: a tuned file brings its own regions along."""
        flash = self._box.journal.last_flash(self._job or "")
        tuned = flash is not None and WriteOrder.from_json(flash.write_order).tuned_file
        if self._rotten is None or (tuned and self._tuned_file_holds(self._rotten.place)):
            raise BrokenPromiseError("SOURCE_LOST, and there is a source that is whole")
        self._lost_verdicts += 1
        return Outcome.SOURCE_LOST if self._lost_verdicts == _LOST_TRIES else None

    def _tuned_file_holds(self, place: slice) -> bool:
        """What a write erases along with its own blocks is in no tuned file."""
        regions = (
            region_slice(self._scenario.bench.definition, one.name) for one in self._scenario.change.regions
        )
        return any(one.start < place.stop and place.start < one.stop for one in regions)

    def _is_hopeless(self) -> bool:
        """Before anything was erased the technician does not insist on a file that rotted."""
        self._refused_for_rot += self._suffered and self._fortune.hardship in ROT
        return self._refused_for_rot >= 3

    async def _pause(self) -> None:
        """The technician restores the supply, switches it off and on where that was said, and waits."""
        await asyncio.sleep(self._habits.uniform(1.0, 20.0))
        if self._workbench is not None:
            self._workbench.mend()
            return
        if self._advised[-2:] == [True, True]:
            self._advised.clear()
            self._trace("the ignition is switched off")
            self._car.power_cut()
            await asyncio.sleep(_IGNITION_OFF_S)
        self._car.power_up()
        await asyncio.sleep(_BOOT_S)

    async def _look_after_the_supply(self) -> None:
        while True:
            await asyncio.sleep(_LOOKS_EVERY_S)
            self._car.supply_back()

    async def _calm_down(self) -> None:
        """Nothing new strikes; sags, sessions and boots come to their end."""
        for injector in self._injectors:
            injector.close()
        await asyncio.sleep(_CALM_S)
        self._car.supply_back()
        await asyncio.sleep(_BOOT_S)

    def _judge_end(self, outcome: Outcome) -> None:
        self._alive(None)
        self._judge_last_copy()
        if outcome is Outcome.SOURCE_LOST and self._rotten is not None:
            judge_source_lost(self._memories, self._ecu(), self._record(), self._rotten)
            return
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
        rescued = self._suffered and self._fortune.hardship in LOST | ROT
        if scenario.kind is Kind.RESTORE or scenario.original_from is not None or rescued:
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
    def _box(self) -> EngineContext:
        return self._alive(None).box

    @property
    def _fortune(self) -> Fortune:
        return self._scenario.fortune

    @property
    def _job(self) -> str | None:
        """The job, or the one that a rescue opened in its place; None where the box knows of none."""
        jobs = self._box.journal.jobs()
        if not jobs:
            return None
        known = next((job for job in jobs if job.id == self._scenario.bench.job), None)
        newest = max(jobs, key=lambda job: job.created_at)
        return (known or newest).id if self._result.hardship not in LOST else newest.id

    def _ecu(self) -> Ecu:
        return _seen(self._car)

    def _record(self) -> Record:
        journal, job = self._box.journal, self._job
        if job is None:
            return Record(None, None, len(journal.open_flashes()), "")
        flash = journal.last_flash(job)
        return Record(
            journal.job(job).state,
            None if flash is None else flash.outcome,
            len(journal.open_flashes()),
            report_of(journal, job, self._scenario.bench.definition)["result"],
        )

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


def _seen(car: Car) -> Ecu:
    return Ecu(car.ecu.memory.whole(), car.ecu.program, car.ecu.records.application_valid)
