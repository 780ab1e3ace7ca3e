"""Seeded faults over an access that no room knows: whatever strikes, nobody is told what is not so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.originals import load_original
from appliance.engine.tuned_package import MasterWish
from appliance.flashing import verifying
from drivers.person.simulated import Reply
from simulator.virtualtime import run_virtual
from tests.faults.attempting import judge, outcome_of
from tests.support import probe_protocol
from tests.support.killing import Killed, Killer
from tests.support.probe_box import IN_TIME, ChipBox, ReadBox, Script, new_chip, read_box, stock, tuned
from tests.support.probe_definition import CHIP_BYTES, PROTOCOL

RUNS = 60
_SCRIPTS: tuple[Script, ...] = (
    {},
    {"probe_connected": [Reply("done", 400)]},
    {"probe_connected": [Reply("stop")]},
    {"probe_connected": [Reply("perhaps"), Reply("done")]},
)
_LIVES = 4
"""The last of them has no faults."""


@pytest.fixture(scope="module", autouse=True)
def _known() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        probe_protocol.register(patch)
        yield


@pytest.fixture(scope="module")
def was_read(_known: None, tmp_path_factory: pytest.TempPathFactory) -> ReadBox:
    return read_box(tmp_path_factory.mktemp(PROTOCOL) / "state")


@dataclass
class Campaigner:
    """One run: what strikes is drawn from its seed."""

    chip: ChipBox
    job: str
    chance: random.Random

    def strike(self) -> None:
        """Arm one fault or two, each at a byte that is changed or read."""
        chip, chance = self.chip, self.chance
        for _ in range(chance.randint(1, 2)):
            fault = chance.choice(self._faults())
            if chance.random() < 0.7:
                chip.tap.struck_at[chip.tap.changed_bytes + chance.randrange(2 * CHIP_BYTES)] = fault
            else:
                chip.tap.struck_at_read[chip.tap.read_bytes + chance.randrange(4 * CHIP_BYTES)] = fault

    def _faults(self) -> list[Callable[[], None]]:
        chip, chance = self.chip, self.chance
        loop = asyncio.get_running_loop()

        def mute() -> None:
            chip.tap.mute_until = loop.time() + chance.choice([0.1, 1.0, 8.0, 300.0])

        def trip() -> None:
            chip.bench.tripped = True

        def unplug() -> None:
            chip.tap.gone = True
            loop.call_later(chance.choice([1.0, 900.0]), setattr, chip.tap, "gone", False)

        def open_wire() -> None:
            chip.bench.connected = False
            loop.call_later(chance.choice([0.5, 900.0]), setattr, chip.bench, "connected", True)

        def spoil() -> None:
            chip.ecu.damage(chip.tap.address, 1 << chance.randrange(8))

        return [mute, trip, unplug, open_wire, spoil, Killer(chip.state).strike]

    async def attempt(self, work: Awaitable[dict[str, Any]]) -> str | None:
        """Result of an operation, None where it was refused or the box died; judged by the chip."""
        chip = self.chip
        result = await outcome_of(work, lambda: self.next_life(chip.state.with_name(f"{chip.state.name}+")))
        assert chip.bench.is_safe
        meant = {"done": tuned(stock()), "restored": stock()}
        judge(result, chip.memory, meant, chip.box, self.job)
        return result

    def next_life(self, state: Path | None = None) -> None:
        self.chip.live_again(state, IN_TIME)

    def any_work(self) -> Awaitable[dict[str, Any]]:
        """What a person would do now."""
        box, job = self.chip.box, self.job
        if box.journal.open_flashes():
            return recover(box, None, self.chance.random() < 0.5, job)
        if self.chance.random() < 0.6:
            return write(box, job, self.chip.hand_in(tuned(stock())), MasterWish(), car=job)
        return restore(box, job, car=job)


def in_run(state: Path, job: str, seed: int, scene: Callable[[Campaigner], Awaitable[None]]) -> None:
    async def inside() -> None:
        run = Campaigner(ChipBox(state, new_chip()), job, random.Random(seed))
        await scene(run)
        run.chip.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize("seed", range(RUNS))
def test_no_fault_makes_a_write_a_lie_or_a_chip_lost(was_read: ReadBox, tmp_path: Path, seed: int) -> None:
    async def scene(run: Campaigner) -> None:
        for _ in range(run.chance.randrange(1, _LIVES)):
            run.strike()
            if run.chance.random() < 0.15:
                run.chip.person._script = run.chance.choice(_SCRIPTS)
            await run.attempt(run.any_work())
            run.next_life()
        if run.chip.box.journal.open_flashes():
            assert await run.attempt(recover(run.chip.box, None, True, run.job)) == "restored"
        else:
            assert await run.attempt(restore(run.chip.box, run.job, car=run.job)) == "restored"
        assert run.chip.memory == stock()

    in_run(was_read.copy(tmp_path / "box"), was_read.job, seed, scene)


@pytest.mark.parametrize("seed", range(20))
def test_no_fault_makes_an_original_of_what_the_chip_did_not_hold(tmp_path: Path, seed: int) -> None:
    async def scene(run: Campaigner) -> None:
        chip = run.chip
        run.job = str((await identify(chip.box, chip.ecu.definition.id))["job"])
        run.strike()
        chip.tap.struck_at_read |= chip.tap.struck_at
        chip.tap.struck_at.clear()
        try:
            await read(chip.box, run.job)
        except Killed:
            run.next_life(chip.state.with_name(f"{chip.state.name}+"))
        except PitboxError as error:
            assert error.what and error.do_now
        assert chip.bench.is_safe and not chip.tap.changed_bytes
        run.next_life()
        now = chip.memory
        await read(chip.box, run.job)
        original = load_original(chip.box, chip.box.journal.job(run.job))
        assert original is not None
        assert bytes(original.image.slice(chip.ecu.definition.regions[0].place)) == now

    in_run(tmp_path / "box", "", seed, scene)


def test_the_judge_sees_a_done_that_is_none(
    was_read: ReadBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believed(*_: object) -> bool:
        return True

    async def scene(run: Campaigner) -> None:
        chip, at = run.chip, CHIP_BYTES + 0x200
        chip.tap.struck_at[at] = lambda: chip.ecu.damage(chip.tap.address - 0x40)
        work = write(chip.box, run.job, chip.hand_in(tuned(stock())), MasterWish(), car=run.job)
        with pytest.raises(AssertionError, match="a false 'done'"):
            await run.attempt(work)

    monkeypatch.setattr(verifying, "reads_as", believed)
    in_run(was_read.copy(tmp_path / "box"), was_read.job, 0, scene)
