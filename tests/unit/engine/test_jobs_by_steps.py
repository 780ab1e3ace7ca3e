"""The whole job on ECUs whose way is steps: read, write, power cut, recovery, restore."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.settings import EngineSettings
from appliance.engine.tuned_package import MasterWish
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.watch import Counter
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual

NAMES = {
    "pbx-v381": ("cal", "status"),
    "pbx-vb60": ("calibration", "read_back"),
    "pbx-p179": ("calibration", "read_back"),
    "pbx-q250": ("cal", "read_back"),
}


@dataclass(frozen=True, slots=True)
class Workshop:
    """A car, a master-role box that has read it, and the job."""

    car: Car
    box: EngineContext
    job: str
    stock: bytes

    def tuned(self) -> bytes:
        """The whole memory with a few bytes of the calibration changed, its checksums right."""
        definition = self.car.ecu.definition
        region = definition.region(NAMES[definition.id][0])
        memory = bytearray(self.stock)
        at = region.start - min(one.start for one in definition.regions) + region.size_bytes // 2
        memory[at] ^= 0x5A
        return with_right_checksums(definition, bytes(memory))

    async def write(self, memory: bytes) -> Any:
        self.box.uploads["file"] = memory
        original = self.box.journal.job(self.job).original_file
        return await write(self.box, self.job, "file", MasterWish(made_from=original))


def at_work(name: str, state: Path, scene: Callable[[Workshop], Awaitable[None]]) -> None:
    async def main() -> None:
        definition = load_definition(PACKS / f"{name}.toml")
        settings = CarSettings(seed=5, finish=with_right_checksums)
        car = Car([definition], wires_for(definition), settings)
        car.power_up()
        await asyncio.sleep(1)
        box = open_box(
            EngineSettings(state, state / "engine.sock", role="master"),
            SimulatedCarInterface(car),
            lambda told: None,
        )
        try:
            found: Any = await identify(box)
            assert box.journal.job(found["job"]).definition_id == name
            await read(box, found["job"])
            await scene(Workshop(car, box, found["job"], car.ecu.memory.whole()))
        finally:
            box.journal.close()
            car.close()

    state.mkdir(mode=0o700, exist_ok=True)
    run_virtual(main())


@pytest.mark.parametrize("name", NAMES)
def test_read_write_and_restore(name: str, tmp_path: Path) -> None:
    async def scene(shop: Workshop) -> None:
        tuned = shop.tuned()
        done = await shop.write(tuned)
        assert done["result"] == "done"
        assert shop.car.ecu.memory.whole() == tuned
        assert done["verify"]["method"] == NAMES[name][1]
        assert bool(done["verify"]["unproven"]) == (NAMES[name][1] == "status")
        back: Any = await restore(shop.box, shop.job)
        assert back["result"] == "restored"
        assert shop.car.ecu.memory.whole() == shop.stock
        assert shop.car.ecu.program is Program.APPLICATION

    at_work(name, tmp_path / "state", scene)


@pytest.mark.parametrize("name", NAMES)
def test_a_power_cut_in_the_middle_is_recovered(name: str, tmp_path: Path) -> None:
    async def scene(shop: Workshop) -> None:
        tuned, watch = shop.tuned(), shop.car.ecu.core.watch
        watch.at(
            Counter.PROGRAMMED, watch.totals[Counter.PROGRAMMED] + 3000, lambda _at: shop.car.power_cut()
        )
        with pytest.raises(PitboxError):
            await shop.write(tuned)
        shop.car.connect()
        await asyncio.sleep(1)
        assert shop.car.ecu.program is Program.BOOTLOADER
        done: Any = await recover(shop.box, shop.job)
        assert done["result"] == "done"
        assert shop.car.ecu.memory.whole() == tuned
        assert shop.car.ecu.program is Program.APPLICATION

    at_work(name, tmp_path / "state", scene)
