"""One run on virtual time: a technician, a box, and an ECU that is hostile for a while and then is not."""

from __future__ import annotations

import asyncio
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.contract.errors import PitboxError
from appliance.contract.events import Recorded
from appliance.contract.jobs import JobState
from appliance.engine.context import EngineContext
from appliance.engine.operations.registry import prepare
from appliance.engine.originals import load_original
from appliance.flashing.safety import tell_safety
from tests.hostile.boxes import Bench, Benches, box_on, shown, steady_names
from tests.hostile.judge import (
    LONGEST_S,
    BrokenPromiseError,
    Told,
    Truth,
    judge_error,
    judge_rest,
    judge_sealed,
    judge_success,
    judge_time,
    judge_wear,
)
from tests.hostile.parts import VIN, with_checksum
from tests.hostile.world import World
from tests.support.surprises import run_out

KINDS = ("write", "write", "write", "restore", "read", "read", "rescue")
HOSTILE_ATTEMPTS = 3
CALM_ATTEMPTS = 4
"""Once the ECU behaves, so many more must end every job."""
_CALM_S = 12.0


@dataclass
class Result:
    """What came of a run."""

    seed: int
    shape: str
    kind: str
    outcome: str = ""
    broken: str = ""
    struck: int = 0
    refusals: int = 0
    erases: int = 0
    virtual_s: float = 0.0
    trace: list[str] = field(default_factory=list)


def run(seed: int, benches: Benches, shape_name: str | None = None) -> Result:
    """The run of a seed; every surprise becomes a broken promise with its trace."""
    dice = random.Random(f"hostile/{seed}")
    shapes = benches.world.shapes
    chosen = dice.choice(shapes)
    shape = next((one for one in shapes if one.name == shape_name), chosen)
    result = Result(seed, shape.name, dice.choice(KINDS))
    bench = benches.of(shape)
    with steady_names(str(seed)):
        run_out(result, benches.root, lambda root: _run(dice, benches.world, bench, root, result))
    return result


async def _run(dice: random.Random, world: World, bench: Bench, root: Path, result: Result) -> None:
    await Run(dice, world, bench, root, result).to_the_end()


class Run:
    """The technician. Call it on the running loop."""

    def __init__(self, dice: random.Random, world: World, bench: Bench, root: Path, result: Result) -> None:
        self._dice, self._bench, self._result = dice, bench, result
        self._loop = asyncio.get_running_loop()
        self._tuned = _tuned(dice, bench)
        kind = result.kind
        start = self._tuned if kind == "restore" else bench.stock
        cast = world.cast(bench.shape.name, start, dice)
        self._ecu, self._spite, self._connection = cast.ecu, cast.spite, cast.connection
        self._told_of_it = cast.told
        self._state = root / "box"
        shutil.copytree(bench.identified if kind == "read" else bench.sealed, self._state)
        if kind == "rescue":
            self._ecu.half_write(dice)
        self._start, self._start_valid = self._ecu.flash.whole(), self._ecu.valid
        self._box = self._opened()
        self._named: str | None = None
        self._met_bound = self._engine_seen = False
        self._loose: list[str] = []

    async def to_the_end(self) -> None:
        """Fills the result. Raises BrokenPromiseError, or what the product lets escape."""
        self._trace(f"{self._result.kind} {self._spite.rate} {self._spite.kinds} {self._spite.services}")
        self._trace(self._told_of_it)
        self._loop.set_exception_handler(self._escaped)
        await asyncio.sleep(1)
        try:
            for attempt in range(HOSTILE_ATTEMPTS + CALM_ATTEMPTS):
                outcome = await self._attempt(attempt)
                if outcome is not None:
                    self._result.outcome = outcome
                    return
                await self._pause(attempt)
            raise BrokenPromiseError(f"not over {CALM_ATTEMPTS} attempts after the ECU became honest")
        finally:
            self._result.struck = len(self._spite.struck)
            self._result.erases = sum(self._ecu.flash.erases.values())
            self._result.virtual_s = self._loop.time()
            self._box.journal.close()

    async def _attempt(self, attempt: int) -> str | None:
        verb, parameters = self._wanted()
        if verb == "recover" and self._named is not None:
            parameters["car"] = self._named
        if verb == "recover" and self._met_bound and self._spite.calm:
            parameters["more_erases"] = True
        if verb == "write" and self._engine_seen:
            parameters["engine_off"] = True
        self._trace(f"attempt {attempt}: {verb} {parameters}")
        began, wear, struck = self._loop.time(), self._ecu.flash.erases.copy(), len(self._spite.struck)
        try:
            told = await self._within(prepare(verb, parameters)(self._box))
        except PitboxError as error:
            lost = "job" not in parameters
            tell_safety(error, self._box.journal, parameters.get("job"), journal_doubted=lost)
            self._trace(f"{error} (ECU {error.ecu}) {error.details}")
            self._result.refusals += 1
            self._named = VIN if error.code == "CAR_UNCONFIRMED" else self._named
            self._engine_seen |= any("--engine-off" in one for one in error.details)
            self._met_bound = "--more-erases" in error.do_now
            judge_error(error, self._truth(), self._told())
            outcome = None
        else:
            outcome = self._believed(verb, told)
        finally:
            for one in self._spite.struck[struck:]:
                self._trace(f"struck: {one}")
        if self._loose:
            raise BrokenPromiseError(f"escaped from a callback: {self._loose[0]}")
        judge_time(self._loop.time() - began)
        judge_wear(
            wear, self._ecu.flash.erases, self._bench.definition.accesses[0].erase_bounds.most_per_block
        )
        judge_rest(self._truth(), self._told())
        return outcome

    async def _within(self, work: Any) -> dict[str, Any]:
        task = self._loop.create_task(work)
        done, _ = await asyncio.wait({task}, timeout=2 * LONGEST_S)
        if not done:
            task.cancel()
            raise BrokenPromiseError(f"an operation is not over after {2 * LONGEST_S:.0f} s")
        result: dict[str, Any] = task.result()
        return result

    def _wanted(self) -> tuple[str, dict[str, Any]]:
        """What a technician asks for who looks at the list of jobs."""
        job, journal = self._bench.job, self._box.journal
        open_writes = journal.open_flashes()
        if open_writes:
            return "recover", {"job": open_writes[0].job_id}
        if journal.job(job).state is JobState.NEEDS_BENCH:
            return "recover", {"job": job}
        kind = self._result.kind
        if kind == "rescue":
            return "recover", {"definition": self._bench.definition.id}
        if kind == "write":
            self._box.uploads["file"] = self._upload()
            return "write", {"job": job, "upload": "file", "changed_regions": ["calibration"]}
        return kind, {"job": job}

    def _upload(self) -> bytes:
        return self._tuned[self._bench.shape.place("calibration")]

    def _believed(self, verb: str, told: dict[str, Any]) -> str:
        truth = self._truth()
        if verb == "read":
            judge_sealed(self._sealed(), truth)
            return "read"
        word = str(told["result"])
        judge_success(word, truth)
        return word

    async def _pause(self, attempt: int) -> None:
        """The technician waits, perhaps starts the engine anew; at last the ECU becomes honest."""
        await asyncio.sleep(self._dice.uniform(0.5, 20.0))
        if attempt + 1 == HOSTILE_ATTEMPTS:
            self._trace("the ECU is honest from now on")
            self._spite.calm = True
            self._ecu.restart()
            await asyncio.sleep(_CALM_S)
        if self._dice.random() < 0.3:
            self._box.journal.close()
            self._box = self._opened()

    def _opened(self) -> EngineContext:
        return box_on(self._state, self._bench.definition, self._connection, self._tell)

    def _truth(self) -> Truth:
        return Truth(
            self._ecu.flash.whole(),
            self._ecu.valid,
            self._start,
            self._start_valid,
            self._bench.stock,
            self._tuned,
        )

    def _told(self) -> Told:
        journal = self._box.journal
        state: JobState | None = journal.job(self._bench.job).state
        if self._result.kind == "rescue":
            newest = max(journal.jobs(), key=lambda job: job.created_at)
            state = newest.state if newest.id != self._bench.job else None
        return Told(state, len(journal.open_flashes()))

    def _sealed(self) -> bytes | None:
        original = load_original(self._box, self._box.journal.job(self._bench.job))
        return None if original is None else b"".join(original.image.spans.values())

    def _escaped(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody waited for is an escape like any other."""
        self._loose.append(f"{context.get('exception') or context['message']!r}")

    def _tell(self, recorded: Recorded) -> None:
        text = shown(recorded.event)
        if text is not None:
            self._trace(text)

    def _trace(self, text: str) -> None:
        self._result.trace.append(f"{self._loop.time():10.3f} {text}")


def _tuned(dice: random.Random, bench: Bench) -> bytes:
    """The calibration with a few other bytes, and its checksum right."""
    memory, where = bytearray(bench.stock), bench.shape.place("calibration")
    for _ in range(dice.randint(1, 6)):
        memory[dice.randrange(where.start, where.stop - 4)] ^= dice.randint(1, 255)
    return with_checksum(bench.shape, bytes(memory))
