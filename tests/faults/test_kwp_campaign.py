"""Seeded faults over a K-line: whatever strikes, nobody is told what is not so, and no ECU is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.tuned_package import MasterWish
from simulator.kline.answering import AnswerFault
from simulator.kline.wire import WireByte
from simulator.virtualtime import run_virtual
from tests.faults.attempting import judge, outcome_of
from tests.support.killing import Killer
from tests.support.kwp_box import KwpBox, KwpCar, stock, tuned
from tests.support.kwp_definition import edc15_kind, me7_kind

RUNS = 12
_KINDS = (me7_kind(), edc15_kind())
_REACH_BYTES = 16_000
"""About what a write sends and hears."""
_LIVES = 4
"""The last of them has no faults."""


@dataclass
class Campaigner:
    """One run: what strikes is drawn from its seed."""

    at: KwpBox
    job: str
    chance: random.Random
    due: dict[int, Callable[[], None]] = field(default_factory=dict)
    """Faults by the number of bytes that the wire has carried."""
    dies_at: int | None = None
    noise_until_s: float = 0.0

    def __post_init__(self) -> None:
        self.at.car.wire.fault = self._on_byte
        self.wanted = tuned(self.at.car.definition, stock(self.at.car.definition), 0x300, 0x1100)
        self.original = stock(self.at.car.definition)

    def strike(self) -> None:
        """Arm one to three faults, each at a byte on the wire."""
        carried = self.at.car.wire.bytes_carried
        for _ in range(self.chance.randint(1, 3)):
            self.due[carried + self.chance.randrange(_REACH_BYTES)] = self.chance.choice(self._faults())
        if self.chance.random() < 0.4:
            self.dies_at = carried + self.chance.randrange(_REACH_BYTES)
        self.at.ports.watch = self._on_send

    def _faults(self) -> list[Callable[[], None]]:
        car, chance, loop = self.at.car, self.chance, asyncio.get_running_loop()

        def answers() -> None:
            kinds = ("late", "lost", "garbled", "cut")
            car.line.faults.extend(
                AnswerFault(chance.choice(kinds), chance.choice([0.1, 0.4, 1.5]))
                for _ in range(chance.randint(1, 3))
            )

        def noise() -> None:
            self.noise_until_s = loop.time() + chance.choice([0.01, 0.5, 4.0])

        def no_wire() -> None:
            car.wire.dead = True
            loop.call_later(chance.choice([0.1, 7.0, 600.0]), setattr, car.wire, "dead", False)

        def short() -> None:
            car.wire.stuck_low = True
            loop.call_later(chance.choice([0.1, 7.0]), setattr, car.wire, "stuck_low", False)

        def power() -> None:
            car.power_cut()
            loop.call_later(chance.choice([0.05, 2.0, 30.0]), car.power_up)

        return [answers, noise, no_wire, short, power]

    def _on_byte(self, byte: WireByte) -> None:
        carried = self.at.car.wire.bytes_carried
        for number in [one for one in self.due if one <= carried]:
            self.due.pop(number)()
        if asyncio.get_running_loop().time() < self.noise_until_s and self.chance.random() < 0.02:
            byte.value = None if self.chance.random() < 0.5 else self.chance.randrange(256)

    def _on_send(self, data: bytes) -> None:
        if self.dies_at is not None and self.at.car.wire.bytes_carried >= self.dies_at:
            self.dies_at = None
            Killer(self.at.state).strike()

    async def attempt(self, work: Awaitable[dict[str, Any]]) -> str | None:
        """Result of an operation, None where it was refused or the box died; judged by the flash."""
        at = self.at
        result = await outcome_of(work, lambda: at.live_again(at.state.with_name(f"{at.state.name}+")))
        meant = {"done": self.wanted, "restored": self.original}
        judge(result, at.car.memory, meant, at.box, self.job)
        return result

    def any_work(self) -> Awaitable[Any]:
        """What a person would do now."""
        box, job = self.at.box, self.job
        if box.journal.open_flashes():
            return recover(box, None, self.chance.random() < 0.5, more_erases=True)
        if self.chance.random() < 0.7:
            return write(box, job, self.at.hand_in(self.wanted), MasterWish(), engine_off=True)
        return restore(box, job)

    async def mended(self) -> None:
        """The fault is found and gone."""
        self.due.clear()
        self.dies_at, self.noise_until_s = None, 0.0
        self.at.car.line.faults.clear()
        await asyncio.sleep(700)
        assert not self.at.car.wire.dead


@pytest.mark.parametrize("seed", range(RUNS))
def test_no_fault_makes_a_write_a_lie_or_an_ecu_lost(tmp_path: Path, seed: int) -> None:
    definition = _KINDS[seed % 2]

    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(definition, drops_after_erase=seed % 3 == 0))
        job = str((await identify(at.box, definition.id))["job"])
        await read(at.box, job)
        run = Campaigner(at, job, random.Random(seed))
        for _ in range(run.chance.randrange(1, _LIVES)):
            run.strike()
            await run.attempt(run.any_work())
        await run.mended()
        if at.box.journal.open_flashes():
            assert await run.attempt(recover(at.box, None, True, more_erases=True)) == "restored"
        else:
            assert await run.attempt(restore(at.box, job)) == "restored"
        assert at.car.memory == run.original
        at.box.journal.close()

    run_virtual(inside())
