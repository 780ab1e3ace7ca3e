"""Sealed originals on a disk that rots, with and without a second one; and originals of somebody else."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.contract.events import AlarmEvent, Event
from appliance.contract.places import Range
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.write import restore
from appliance.engine.originals import load_original
from appliance.engine.second_store import AGAIN_S, REST_S, Keeper, keep
from appliance.engine.settings import EngineSettings
from appliance.flashing.image import MemoryImage
from appliance.vault.contents import new_file_id
from appliance.vault.errors import VaultError
from simulator.virtualtime import run_virtual
from tests.support.garage import Garage, Readied, visit


@pytest.fixture
def second(tmp_path: Path) -> Path:
    folder = tmp_path / "usb"
    folder.mkdir()
    return folder


@pytest.fixture
def events() -> list[Event]:
    return []


def box_of(readied: Readied, events: list[Event], second: Path | None = None) -> EngineContext:
    nobody: Any = None
    settings = EngineSettings(
        readied.state, readied.state / "engine.sock", readied.role.value, second_dir=second
    )
    return open_box(settings, nobody, lambda told: events.append(told.event))


@pytest.fixture
def box(slave: Readied, events: list[Event]) -> Iterator[EngineContext]:
    box = box_of(slave, events)
    yield box
    box.journal.close()


@pytest.fixture
def box_with_second(slave: Readied, events: list[Event], second: Path) -> Iterator[EngineContext]:
    box = box_of(slave, events, second)
    yield box
    box.journal.close()


def a_round(box: EngineContext) -> int:
    looks = 0
    while box.keeper.look():
        looks += 1
    return looks


def segments(box: EngineContext, job: str) -> list[tuple[Path, Range]]:
    """Files of the job's original, with the range each holds."""
    record = box.images.load(box.journal.job(job).original_file or "")
    return [(box.blobs.path(one.ct_sha256), one.place) for one in record.segments]


def flip(path: Path, at: int = 300) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_what_is_whole_of_a_damaged_original_is_had_and_the_rest_named(
    slave: Readied, box: EngineContext
) -> None:
    files = segments(box, slave.job)
    original = load_original(box, box.journal.job(slave.job))
    assert original is not None
    path, lost = files[-1]
    flip(path)
    with pytest.raises(VaultError):
        load_original(box, box.journal.job(slave.job))
    salvaged = box.images.salvage(box.images.load(original.file_id))
    kept = MemoryImage(salvaged.contents)
    assert [one.place for one in salvaged.damaged] == [lost]
    assert not kept.covers(lost.part(0, 1))
    for _, place in files[:-1]:
        assert kept.slice(place) == original.image.slice(place)


def test_rot_is_told_once_and_stays_in_the_snapshot(
    slave: Readied, box: EngineContext, events: list[Event]
) -> None:
    path, place = segments(box, slave.job)[0]
    assert a_round(box) > len(segments(box, slave.job))
    assert box.keeper.health() == {"rounds": 1, "rot": []}
    flip(path)
    for _ in range(2):
        a_round(box)
    (rot,) = box.keeper.health()["rot"]  # type: ignore[misc]
    assert rot["place"] == asdict(place)
    assert rot["code"] and rot["code"] == rot["code"].upper()
    assert [type(event) for event in events] == [AlarmEvent]
    box.keeper.look()
    assert box.keeper.health()["rot"] == [rot]


def by_a_second_copy(box: EngineContext, path: Path, place: Range, whole: bytes) -> None:
    """Somebody brings it back while the box runs."""
    path.write_bytes(whole)
    box.keeper.look_again()


def by_sealing_it_again(box: EngineContext, path: Path, place: Range, whole: bytes) -> None:
    """As a write does with what it still has in memory, or the ECU holds."""
    (original,) = [one for one in box.images.file_ids()]
    (segment,) = [one for one in box.images.load(original).segments if one.place == place]
    path.write_bytes(whole)
    content = box.blobs.get(segment)
    flip(path)
    box.images.reseal(original, segment, content)


def by_the_rounds_own_look(box: EngineContext, path: Path, place: Range, whole: bytes) -> None:
    """The round is not over when it comes by there."""
    path.write_bytes(whole)
    for _ in range(3):
        box.keeper.look()


@pytest.mark.parametrize("mend", [by_a_second_copy, by_sealing_it_again, by_the_rounds_own_look])
def test_rot_that_is_mended_leaves_the_snapshot_at_once_and_is_told_when_it_comes_again(
    slave: Readied,
    box: EngineContext,
    events: list[Event],
    mend: Callable[[EngineContext, Path, Range, bytes], None],
) -> None:
    path, place = segments(box, slave.job)[0]
    whole = path.read_bytes()
    flip(path)
    a_round(box)
    assert box.keeper.health()["rot"]
    mend(box, path, place, whole)
    assert box.keeper.health()["rot"] == []
    alarms = [one for one in events if isinstance(one, AlarmEvent)]
    assert [(one.code, one.raised) for one in alarms] == [
        ("STORED_FILE_ROT", True),
        ("STORED_FILE_ROT", False),
    ]
    flip(segments(box, slave.job)[0][0])
    for _ in range(2):  # one may have been begun
        a_round(box)
    assert box.keeper.health()["rot"]
    assert [one.raised for one in events if isinstance(one, AlarmEvent)] == [True, False, True]


def test_a_record_that_is_put_back_leaves_the_snapshot(slave: Readied, box: EngineContext) -> None:
    (original,) = box.images.file_ids()
    record = box.images.load(original)
    (slave.state / "images" / f"{original}.json").write_bytes(b"{}")
    a_round(box)
    assert [one["place"] for one in box.keeper.health()["rot"]] == [None]
    box.images.save(record)
    assert box.keeper.health()["rot"] == []


def test_what_is_not_whole_is_looked_at_again_within_the_rest(slave: Readied, box: EngineContext) -> None:
    path, _ = segments(box, slave.job)[0]
    whole = path.read_bytes()
    flip(path)

    async def scene() -> None:
        async def call(look: Callable[[], bool]) -> bool:
            return look()

        task = asyncio.create_task(keep(box.keeper, lambda: True, call))
        await asyncio.sleep(AGAIN_S * 3)
        assert box.keeper.health()["rot"]
        path.write_bytes(whole)
        await asyncio.sleep(AGAIN_S + 1.0)
        assert box.keeper.health() == {"rounds": 1, "rot": []}
        task.cancel()

    run_virtual(scene())


def test_it_is_looked_at_while_the_box_is_idle_and_at_rest_between_rounds() -> None:
    looks: list[float] = []

    class Watched(Keeper):
        def __init__(self) -> None:
            """It looks at nothing."""

        def look(self) -> bool:
            looks.append(asyncio.get_running_loop().time())
            return len(looks) % 3 != 0

        def look_again(self) -> bool:
            return False

    async def scene() -> None:
        idle = False

        async def call(look: Callable[[], bool]) -> bool:
            return look()

        task = asyncio.create_task(keep(Watched(), lambda: idle, call))
        await asyncio.sleep(3600.0)
        assert looks == [], "the worker has a car to look after"
        idle = True
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(REST_S + 1.0)
        assert len(looks) == 6
        assert looks[2] - began < 1.0
        assert looks[3] - looks[2] == pytest.approx(REST_S)
        task.cancel()

    run_virtual(scene())


def test_the_second_place_is_filled_and_heals_the_first(
    slave: Readied, box_with_second: EngineContext, second: Path
) -> None:
    box = box_with_second
    a_round(box)
    for path, *_ in segments(box, slave.job):
        copied = second / path.relative_to(slave.state)
        assert copied.read_bytes() == path.read_bytes()
        flip(path)
    for record in (slave.state / "images").iterdir():
        record.unlink()
    assert load_original(box, box.journal.job(slave.job)) is not None
    a_round(box)
    assert box.keeper.health()["rot"] == []
    shutil.rmtree(second)
    assert load_original(box, box.journal.job(slave.job)) is not None


def test_the_first_place_heals_the_second(
    slave: Readied, box_with_second: EngineContext, second: Path
) -> None:
    box = box_with_second
    a_round(box)
    whole = {path: path.read_bytes() for path in second.rglob("*") if path.is_file()}
    for path in whole:
        flip(path)
    a_round(box)
    assert {path: path.read_bytes() for path in second.rglob("*") if path.is_file()} == whole


def test_a_second_place_that_is_not_plugged_in_is_told_and_not_made(
    slave: Readied, box_with_second: EngineContext, second: Path, events: list[Event]
) -> None:
    second.rmdir()
    a_round(box_with_second)
    assert not second.exists()
    assert [event.text for event in events if isinstance(event, AlarmEvent)] == [
        "the second place for sealed files is not there"
    ]


@pytest.mark.parametrize("stranger", ["vin", "hw", "boot", "job"])
def test_another_original_of_the_same_box_is_not_put_back(slave: Readied, stranger: str) -> None:
    async def test(garage: Garage) -> None:
        box, job = garage.box, garage.box.journal.job(garage.job)
        record = box.images.load(job.original_file or "")
        changed = {
            "vin": {"vin_hmac": box.keys.vin_hmac("WVWZZZ00000000001")},
            "hw": {"hw": "another"},
            "boot": {"boot": "another"},
        }.get(stranger)
        other = record.model_copy(
            update={"file_id": new_file_id(), "job": None}
            | ({"identity": record.identity.model_copy(update=changed)} if changed else {"job": "another"})
        )
        box.images.save(other)
        box.journal.move(job.id, box.journal.job(job.id).state.READING)
        box.journal.read_verified(job.id, other.file_id)
        refusal = await garage.refusal(restore(box, job.id))
        assert refusal.code == "ORIGINAL_OF_ANOTHER"
        assert garage.untouched

    visit(slave, test)


def test_a_tuned_file_is_no_original(slave: Readied) -> None:
    async def test(garage: Garage) -> None:
        box, job = garage.box, garage.box.journal.job(garage.job)
        record = box.images.load(job.original_file or "")
        box.images.save(record.model_copy(update={"kind": type(record.kind).TUNED}))
        with pytest.raises(PitboxError, match="ORIGINAL_OF_ANOTHER"):
            load_original(box, job)

    visit(slave, test)
