"""A whole job on a simulated car; prints each frame with its moment: `python -m tests.support.frame_log`.

Frames are lost and bytes misread on the way, so that votes, repeats and waits are part of it.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.operations.check import dtc, verify
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.ports.simulated import with_right_checksums
from appliance.vault import key_files
from appliance.vault.keys import Role
from drivers.can.interface import CanFrame
from simulator.car import Car, CarSettings
from simulator.faults import Fault, FaultKind, FaultPlan, Trigger
from simulator.injection import FaultInjector
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.garage import PACK, Readied, open_garage

SEED = 7
_LOSSES = [Fault(kind=FaultKind.LOST_FRAME, on=Trigger.FRAME, at=at) for at in range(4_001, 150_000, 9_973)]
_MISREADS = [
    Fault(kind=FaultKind.WRONG_READ, on=Trigger.READ, at=at, mask=4) for at in (50_000, 130_000, 300_000)
]


async def job(state: Path) -> list[str]:
    """Identify, read, write, verify, restore, fault codes: the frames of it all."""
    frames: list[str] = []
    loop = asyncio.get_running_loop()
    definition = load_definition(PACKS / f"{PACK}.toml")
    car = Car([definition], wires_for(definition), CarSettings(seed=SEED, finish=with_right_checksums))

    def tap(frame: CanFrame) -> None:
        frames.append(f"{loop.time()!r} {frame.can_id:X} {frame.data.hex()}")

    car.bus.tap = tap
    FaultInjector(FaultPlan(faults=(*_LOSSES, *_MISREADS)), car)
    car.power_up()
    await asyncio.sleep(definition.twin.boot_ms / 1000)
    ring = key_files.create(state / "keys", Role.MASTER)
    assert ring.master_keys is not None
    garage = open_garage(Readied(state, "", ring.master_keys, Role.MASTER), car)
    garage.job = str((await identify(garage.box))["job"])
    await read(garage.box, garage.job)
    await write(garage.box, garage.job, garage.hand_in(garage.calibration()), MasterWish())
    await verify(garage.box, garage.job)
    await restore(garage.box, garage.job)
    await dtc(garage.box, garage.job)
    garage.box.journal.close()
    car.close()
    return frames


def main() -> None:
    """The frames, a line each."""
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(run_virtual(job(Path(folder) / "box"))))


if __name__ == "__main__":
    main()
