"""Random damage to every stored file: `python -m tests.faults.damage --runs 2000 --seed 1`.

Each run takes the disk of a box, and the ECU it has read or half written, damages one stored file, and lets a
technician go on: start the box (with the journal set aside where it says so), then recover or restore. Never
may a byte be written that is neither the tuned file's nor the original's, never a half-written ECU be
forgotten, and nothing but a PitboxError may come out.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.safety import EcuSafety
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.write import recover, restore
from appliance.engine.originals import save_image
from appliance.engine.settings import EngineSettings
from appliance.flashing.safety import standing
from appliance.ports.simulated import SimulatedCarInterface
from appliance.protocols.access import EcuIdentity
from appliance.vault.contents import split
from appliance.vault.images import ImageKind
from simulator.car import Car, CarSettings
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.frozen.generate import STATES, Freezer
from tests.frozen.thaw import Thawed, thawed_from

BASES = ("read_verified", "half_written", "half_written_restoring", "done")
KINDS = ("flip", "truncate", "zero_page", "delete", "older", "another")
_PAGE_BYTES = 4096
_PIECE_BYTES = 256
"""The smallest sector of the ECUs used here."""
_BOOT_S = 2.0


@dataclass(frozen=True)
class Base:
    """A box's disk before the damage, one of earlier, and what its ECU may hold."""

    name: str
    frozen: Path
    older: Path
    """The same box's disk when it had just read its ECU."""
    stock: bytes
    tuned: bytes

    @property
    def half_written(self) -> bool:
        return self.name.startswith("half_written")


class BrokenPromiseError(AssertionError):
    """The box did what it must never do."""


def make_bases(root: Path) -> list[Base]:
    """One disk per state, each with a second job whose files could be taken for the first one's."""
    return [_base(name, root) for name in BASES]


def _base(name: str, root: Path) -> Base:
    pack, divisor, happens = STATES[name]
    place, older, work = root / name, root / f"{name}-older", root / f"{name}-work"
    work.mkdir(parents=True)
    found: list[Base] = []

    async def inside() -> None:
        freezer = Freezer(pack, divisor, work)
        freezer.after_reading = lambda box: _add_a_stranger(box, freezer, older)
        await happens(freezer)
        freezer.keep(place)
        found.append(Base(name, place, older, freezer.stock, freezer.tuned))

    run_virtual(inside())
    return found[0]


def _add_a_stranger(box: EngineContext, freezer: Freezer, older: Path) -> None:
    """Another car of the same type that this box has read; then the disk as it is now is kept."""
    known = box.journal.job(freezer.job)
    identity = replace(known.identity or EcuIdentity(), vin="WVWZZZ1JZXW000001")
    box.journal.create_job("stranger")
    box.journal.describe(
        "stranger", known.definition_id or "", known.definition_sha256 or "", "obd", identity
    )
    dice, regions = random.Random("stranger"), freezer.definition.regions
    segments = tuple(
        box.blobs.put(piece, place.at)
        for region in regions
        for place, piece in split(region.place.at, dice.randbytes(region.size_bytes))
    )
    file_id = save_image(box, ImageKind.ORIGINAL, box.journal.job("stranger"), regions, segments)
    for state in (JobState.IDENTIFIED, JobState.READING):
        box.journal.move("stranger", state)
    box.journal.read_verified("stranger", file_id)
    shutil.copytree(box.settings.state_dir, older)


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    seed: int
    base: str
    damage: str
    outcome: str
    broken: str = ""


def run(seed: int, bases: list[Base], folder: Path) -> Result:
    """One run, the same for the same seed and the same disks."""
    dice = random.Random(f"damage/{seed}")
    base = bases[seed % len(bases)]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        thawed = thawed_from(base.frozen, Path(place) / "box")
        what = _damage(dice, thawed.state, base)
        technician = Technician(thawed, base, dice)
        try:
            outcome = technician.go_on()
        except PitboxError as error:
            outcome = f"refused: {error.code}"
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what escapes is looked for
            return Result(seed, base.name, what, "broken", f"{type(error).__name__}: {error}")
        try:
            technician.judge_memory()
        except BrokenPromiseError as error:
            return Result(seed, base.name, what, "broken", str(error))
    return Result(seed, base.name, what, outcome)


def _damage(dice: random.Random, state: Path, base: Base) -> str:
    files = sorted(path for path in state.rglob("*") if path.is_file())
    path, kind = dice.choice(files), dice.choice(KINDS)
    name = path.relative_to(state)
    data = bytearray(path.read_bytes())
    if kind == "delete":
        path.unlink()
    elif kind == "truncate":
        path.write_bytes(data[: dice.randrange(len(data) + 1)])
    elif kind == "zero_page":
        at = dice.randrange(0, max(1, len(data)), _PAGE_BYTES)
        data[at : at + _PAGE_BYTES] = bytes(len(data[at : at + _PAGE_BYTES]))
        path.write_bytes(data)
    elif kind == "older" and (base.older / name).is_file():
        shutil.copyfile(base.older / name, path)
    elif kind == "another" and (others := [one for one in path.parent.iterdir() if one != path]):
        other = dice.choice(sorted(others))
        if other.is_file():
            shutil.copyfile(other, path)
    elif data:
        kind = "flip"
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
    return f"{kind} {name}"


class Technician:
    """Does what the box says, and looks whether it told the truth."""

    def __init__(self, thawed: Thawed, base: Base, dice: random.Random) -> None:
        self._thawed = thawed
        self._base = base
        self._original = dice.random() < 0.3
        self._start = self._memory()
        self._finished: bytes | None = None
        self._known_open = False

    def go_on(self) -> str:
        """How it ended. Raises PitboxError where the box does not start, BrokenPromiseError."""
        try:
            return str(self._live(self._work))
        except PitboxError as error:
            if error.code != "JOURNAL_DAMAGED":
                raise
        return "aside, " + str(self._live(self._work, set_journal_aside=True))

    def judge_memory(self) -> None:
        """A success is one whole memory; else each piece is as it was, the tuned or the original one."""
        now, base = self._memory(), self._base
        if self._finished is not None:
            if now != self._finished:
                raise BrokenPromiseError("success was told, and memory is something else")
            return
        if now != self._start and not self._known_open:
            raise BrokenPromiseError("memory has changed, and no write is open")
        for at in range(0, len(now), _PIECE_BYTES):
            piece = slice(at, at + _PIECE_BYTES)
            if now[piece] not in (self._start[piece], base.tuned[piece], base.stock[piece]):
                raise BrokenPromiseError(f"memory at 0x{at:X} of the image is nobody's")

    async def _work(self, box: EngineContext, car: Car) -> str:
        if self._base.half_written:
            self._must_know(box)
            verbs = [lambda: recover(box, None, self._original), lambda: recover(box, None, True)]
        else:
            verbs = [lambda: restore(box, self._thawed.job)]
        for verb in verbs:
            outcome = await self._attempt(box, verb)
            if not outcome.startswith("refused"):
                return outcome
            if self._base.half_written:
                self._must_know(box)
        return outcome

    async def _attempt(self, box: EngineContext, verb: Callable[[], Awaitable[dict[str, Any]]]) -> str:
        try:
            result = str((await verb())["result"])
        except PitboxError as error:
            self._known_open = bool(box.journal.open_flashes())
            return f"refused: {error.code}"
        self._finished = {"done": self._base.tuned, "restored": self._base.stock}[result]
        return result

    def _must_know(self, box: EngineContext) -> None:
        if standing(box.journal).ecu is not EcuSafety.HALF_WRITTEN:
            raise BrokenPromiseError("a half-written ECU is forgotten")

    def _live(self, work: Callable[[EngineContext, Car], Awaitable[str]], **settings: Any) -> str:
        return run_virtual(self._inside(work, **settings))

    async def _inside(self, work: Callable[[EngineContext, Car], Awaitable[str]], **settings: Any) -> str:
        definition, state = self._thawed.definition, self._thawed.state
        car = Car([definition], wires_for(definition), CarSettings(seed=11, data_dir=self._thawed.car))
        car.power_up()
        await asyncio.sleep(_BOOT_S)
        try:
            plain = EngineSettings(state, state / "engine.sock", role="master", **settings)
            box = open_box(plain, SimulatedCarInterface(car))
            try:
                return await work(box, car)
            finally:
                box.journal.close()
        finally:
            car.close()

    def _memory(self) -> bytes:
        return (self._thawed.car / f"{self._thawed.definition.id}.flash").read_bytes()


def main() -> int:
    """Exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    outcomes: Counter[str] = Counter()
    broken = []
    logging.disable(logging.WARNING)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        bases = make_bases(Path(folder) / "bases")
        for seed in range(asked.seed, asked.seed + asked.runs):
            result = run(seed, bases, Path(folder))
            outcomes[result.outcome] += 1
            if result.broken:
                broken.append(result)
                print(result, flush=True)
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    print(f"{asked.runs} runs from seed {asked.seed}: {len(broken)} broken promises")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
