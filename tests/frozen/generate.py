"""Freezes what a box of this build leaves on its disk: `python -m tests.frozen.generate tests/frozen/vN`.

Run it once for each format that is released, and never again for an old one: what counts is that no newer
build wrote these directories. Each holds

- `state/`: the box's disk (keys, journal, sealed images and segments, pinned definitions). Where the box was
  killed, it is the disk of that instant with its write-ahead log, but without the log's index.
- `car/`: flash and records of the simulated ECU, as they were at the same instant.
- `expected.json`: the job, and what memory must be with the tuned file and with the original in it.

git keeps no modes: a test gives the directories 0700 and the files 0600 again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from appliance.contract.actors import Actor
from appliance.contract.errors import PitboxError
from appliance.contract.operations import OfRestore, Restore
from appliance.contract.proposals import Consent, Propose
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.operations.preview import preview_restore
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, write
from appliance.flashing.own_checksums import own_checksums
from appliance.flashing.recorder import acting
from appliance.ports.simulated import with_right_checksums
from simulator.car import Car, CarSettings
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger
from simulator.image_synthesis import region_slice, synthesise
from simulator.injection import FaultInjector
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.faults.killable_box import Killed, Life
from tests.faults.prepared_boxes import Bench, cut_down

_SEED = 11
_BOOT_S = 2.0
_LONGEST_S = 3600.0


class Freezer:
    """A technician at one small ECU, and the disk that is left."""

    def __init__(self, pack: str, divisor: int, root: Path) -> None:
        """Call it on the running loop."""
        self.definition = cut_down(load_definition(PACKS / f"{pack}.toml"), divisor)
        self.stock = synthesise(self.definition, _SEED, with_right_checksums)
        self.job = ""
        self.after_reading: Callable[[EngineContext], None] = lambda box: None
        """Done with the box when its original is sealed."""
        self._state = root / "state"
        self._state.mkdir(mode=0o700)
        self._data = root / "car"
        self._data.mkdir()
        settings = CarSettings(seed=_SEED, data_dir=self._data, images={self.definition.id: self.stock})
        self._car = Car([self.definition], wires_for(self.definition), settings)

    @property
    def tuned(self) -> bytes:
        """Stock with bytes of the calibration's first and last sector changed, checksums right."""
        where = region_slice(self.definition, "calibration")
        data = bytearray(self.stock[where])
        for at in (len(data) // 2, len(data) // 2 + 700, len(data) - 60):
            data[at] ^= 0x5A
        module = own_checksums(self.definition)[0].module
        return self.stock[: where.start] + module.correct(bytes(data)) + self.stock[where.stop :]

    async def read_it(self) -> None:
        """Identify, read twice, seal."""

        async def work(box: EngineContext) -> dict[str, Any]:
            self.job = str((await identify(box, self.definition.id))["job"])
            result = await read(box, self.job)
            self.after_reading(box)
            return result

        await self.live(work)

    async def write_it(self, dies_at_byte: int | None = None) -> None:
        """Write the tuned file; box and car may lose their supply at a byte of the programming."""

        async def work(box: EngineContext) -> dict[str, Any]:
            box.uploads["file"] = self.tuned[region_slice(self.definition, "calibration")]
            return await write(box, self.job, "file")

        await self.live(work, dies_at_byte)

    async def recover_it(self, original: bool = False, dies_at_byte: int | None = None) -> None:
        """Finish the interrupted write."""
        await self.live(lambda box: recover(box, self.job, original), dies_at_byte)

    async def live(
        self,
        work: Callable[[EngineContext], Coroutine[Any, Any, dict[str, Any]]],
        dies_at_byte: int | None = None,
    ) -> None:
        """One life of the box, from power-up to an orderly end or its death."""
        self._car.power_up()
        await asyncio.sleep(_BOOT_S)
        bench = Bench(self.definition, self.stock, self._state, self.job, "")
        life = Life(bench, self._car, self._state, lambda text: None, None)
        injector = FaultInjector(self._cut(dies_at_byte), self._car, life.die)
        life.start()
        try:
            await life.perform(work(life.box), _LONGEST_S)
            assert dies_at_byte is None, "it was to die"
        except Killed:
            self._state = life.state
        finally:
            injector.close()
            if life.dead:
                life.bury()
            else:
                life.box.journal.close()

    def _cut(self, at_byte: int | None) -> FaultPlan:
        if at_byte is None:
            return FaultPlan()
        at = self._car.ecu.core.watch.totals[Trigger.PROGRAMMED] + at_byte
        kinds = (FaultKind.BOX_DIES, FaultKind.POWER_CUT)
        return FaultPlan(faults=tuple(Fault(kind=kind, on=Trigger.PROGRAMMED, at=at) for kind in kinds))

    def keep(self, place: Path) -> None:
        """Put everything where it stays."""
        self._car.close()
        index = shutil.ignore_patterns("journal.db-shm", "*.sock")
        shutil.copytree(self._state, place / "state", ignore=index)
        shutil.copytree(self._data, place / "car")
        expected = {
            "job": self.job,
            "definition": self.definition.id,
            "tuned_sha256": hashlib.sha256(self.tuned).hexdigest(),
            "original_sha256": hashlib.sha256(self.stock).hexdigest(),
        }
        (place / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


async def read_verified(freezer: Freezer) -> None:
    """An original is sealed and nothing was written; that it goes back is proposed and consented to."""
    await freezer.read_it()
    await freezer.live(lambda box: _propose(box, freezer.job))


async def _propose(box: EngineContext, job: str) -> dict[str, Any]:
    shown = await preview_restore(box, OfRestore(job=job))
    operation = Restore(verb="restore", job=job, confirmed=shown["digest"])
    with acting(Actor("web", 33)):
        one = box.journal.proposals.propose(Propose(operation=operation, by="Kim"), shown)
    with acting(Actor("operator", 0)):
        box.journal.proposals.consent(one.id, Consent(digest=shown["digest"]))
    return {}


async def half_written(freezer: Freezer) -> None:
    """EngineContext and car lost their supply while the second block was programmed."""
    await freezer.read_it()
    await freezer.write_it(_into_second_block(freezer.definition))


async def half_written_restoring(freezer: Freezer) -> None:
    """The same, and then again while the original was put back."""
    await half_written(freezer)
    await freezer.recover_it(original=True, dies_at_byte=_into_second_block(freezer.definition) // 3)


async def done(freezer: Freezer) -> None:
    """A tuned file was written and proven."""
    await freezer.read_it()
    await freezer.write_it()


async def needs_bench(freezer: Freezer) -> None:
    """Half written, and this ECU has no bootloader that answers."""
    await half_written(freezer)
    try:
        await freezer.recover_it()
    except PitboxError as error:
        assert error.code == "NEEDS_BENCH", error
    else:
        raise AssertionError("it answered")


def _into_second_block(definition: Definition) -> int:
    first = definition.region("calibration").sector_ranges()[0]
    return first.length + first.length // 2


STATES: dict[str, tuple[str, int, Callable[[Freezer], Coroutine[Any, Any, None]]]] = {
    "read_verified": ("pbx-e400", 64, read_verified),
    "half_written": ("pbx-e400", 64, half_written),
    "half_written_restoring": ("pbx-e400", 64, half_written_restoring),
    "done": ("pbx-e400", 64, done),
    "needs_bench": ("pbx-x050", 16, needs_bench),
}


def freeze(folder: Path) -> None:
    """Make every state below `folder`, which must not exist yet."""
    folder.mkdir()
    for name, (pack, divisor, happens) in STATES.items():
        with tempfile.TemporaryDirectory() as root:

            async def inside() -> None:
                freezer = Freezer(pack, divisor, Path(root))  # noqa: B023 - run at once
                await happens(freezer)  # noqa: B023
                freezer.keep(folder / name)  # noqa: B023

            run_virtual(inside())


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
