"""The real engine process dies by SIGKILL at random bytes, again in its recovery, and finishes over HTTP."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.definitions.loader import PACKS, load_definition
from appliance.flashing.own_checksums import own_checksums
from simulator.image_synthesis import region_slice
from tests.support.engine import Engine, place, simulated

PACK = "pbx-fd20"
DEFINITION = load_definition(PACKS / f"{PACK}.toml")
CALIBRATION = region_slice(DEFINITION, "calibration")
SECTOR_BYTES = 0x8000
CHANGED_SECTORS = (1, 4, 7, 11)
"""The last one holds the checksum."""


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def garage() -> Iterator[tuple[Path, str]]:
    """A box that has read and sealed its car, and the job's id."""
    with place() as root:
        engine = simulated(root, pack=PACK)
        try:
            job = engine.start().read_job()
        finally:
            engine.stop()
        yield root, job


@pytest.fixture
def root(garage: tuple[Path, str]) -> Iterator[Path]:
    """The same box and car once more."""
    with place() as root:
        shutil.copytree(garage[0], root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        yield root


def tuned_calibration(stock: bytes, dice: random.Random) -> bytes:
    data = bytearray(stock[CALIBRATION])
    for sector in CHANGED_SECTORS:
        data[sector * SECTOR_BYTES + dice.randrange(SECTOR_BYTES - 8)] ^= dice.randint(1, 255)
    module = own_checksums(DEFINITION)[0].module
    return module.correct(bytes(data))


def dying(root: Path, dice: random.Random, most_bytes: int) -> Engine:
    """An engine that kills itself, and the car's supply with it, at a random byte of the write."""
    fault = {
        "kind": "box_dies",
        "on": dice.choice(("erased", "programmed")),
        "at": dice.randint(1, most_bytes),
    }
    return simulated(root, "--faults", json.dumps({"faults": [fault]}), pack=PACK).start()


def assert_killed(engine: Engine) -> None:
    assert engine.wait() == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("original", [False, True])
def test_a_write_outlives_two_deaths_of_the_engine(
    root: Path, garage: tuple[Path, str], seed: int, original: bool
) -> None:
    dice, job = random.Random(f"kill9/{seed}/{original}"), garage[1]
    engine = dying(root, dice, len(CHANGED_SECTORS) * SECTOR_BYTES)
    stock = engine.memory()
    tuned = tuned_calibration(stock, dice)
    engine.begin("write", job=job, upload=engine.hand_in(tuned))
    assert_killed(engine)

    engine = dying(root, dice, SECTOR_BYTES)
    assert engine.ask("GET", f"/v1/jobs/{job}")[1]["state"] == "interrupted"
    engine.begin("recover", job=job)
    assert_killed(engine)

    engine = simulated(root, pack=PACK).start()
    try:
        outcome = engine.perform("recover", job=job, original=original)["result"]
        report = engine.ask("GET", f"/v1/jobs/{job}/report")[1]
    finally:
        engine.stop()
    assert outcome == report["result"] == ("restored" if original else "done")
    assert engine.memory() == (
        stock if original else stock[: CALIBRATION.start] + tuned + stock[CALIBRATION.stop :]
    )
    assert len(report["interruptions"]) >= 2
    assert all(one["resumed"] for one in report["interruptions"])


@pytest.mark.parametrize("seed", range(2))
def test_a_read_outlives_a_death_of_the_engine(root: Path, garage: tuple[Path, str], seed: int) -> None:
    job = garage[1]
    at = random.Random(f"kill9/read/{seed}").randint(1, 2 * 0x20_0000)
    fault = {"kind": "box_dies", "on": "read", "at": at}
    engine = simulated(root, "--faults", json.dumps({"faults": [fault]}), pack=PACK).start()
    job = str(engine.perform("identify")["job"])
    engine.begin("read", job=job)
    assert_killed(engine)

    engine = simulated(root, pack=PACK).start()
    try:
        engine.perform("read", job=job)
        exported = engine.ask("GET", f"/v1/jobs/{job}/export?format=bin")[1]
    finally:
        engine.stop()
    assert exported == engine.memory()
