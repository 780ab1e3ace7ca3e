"""Whole jobs on simulated ECUs of real families: nobody has run one on an ECU of that make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.engine.operations.check import verify
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.errors import CarUnconfirmedError
from appliance.flashing.safety import standing
from simulator.kline.finishing import NOT_FINISHED
from simulator.virtualtime import run_virtual
from tests.support.killing import Killed, Killer
from tests.support.kwp_box import KwpBox, KwpCar, stock, tuned
from tests.support.kwp_definition import edc15, me7_5

MIRROR, BEHIND = 0x80_4000, 0x80_8000
CALIBRATION, LAST = 0x80_0800, 0x80_7800
IN_CALIBRATION = CALIBRATION - 0x80_0000 + 0x100
ERASE, TRANSFER = b"\x31\xc4", 0x36


async def was_read(state: Path) -> tuple[KwpBox, str]:
    at = KwpBox(state, KwpCar(me7_5()))
    job = str((await identify(at.box, at.car.definition.id))["job"])
    await read(at.box, job)
    return at, job


def erased(at: KwpBox) -> list[int]:
    """Sectors in the order in which they were asked for."""
    asked = [request for request in at.car.line.requests if request[:2] == ERASE]
    return [int.from_bytes(request[2:5]) for request in asked]


def is_download(message: bytes) -> bool:
    """36 with data behind it, in a message with addresses; in an upload it has none."""
    has_length_byte = not message[0] & 0x3F
    return len(message) > 6 and message[3 + has_length_byte] == TRANSFER


def complains(at: KwpBox) -> bool:
    return NOT_FINISHED in at.car.controller.records.dtcs


def test_an_me7_is_read_written_verified_and_restored(tmp_path: Path) -> None:
    async def inside() -> None:
        at, job = await was_read(tmp_path / "box")
        wanted = tuned(at.car.definition, stock(at.car.definition), IN_CALIBRATION)
        written = await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert (written["result"], written["verify"]["method"]) == ("done", "read_back")
        assert at.car.memory == wanted
        assert erased(at) == [CALIBRATION, LAST] and not complains(at)
        assert (await verify(at.box, job))["method"] == "read_back"
        assert (await restore(at.box, job))["result"] == "restored"
        assert at.car.memory == stock(at.car.definition)
        assert erased(at)[-1] == LAST and not complains(at)
        assert at.car.line.violations == []
        assert not {request[0] for request in at.car.line.requests} & {0x23, 0x3D}
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("number", [1, 12, 25])
def test_an_me7_that_was_cut_off_is_finished_by_its_last_sector(
    number: int, original: bool, tmp_path: Path
) -> None:
    """It does not tell which of all ME7s it is, so a person has to. Its boot loader is not asked for its
    status, and a download that it still has open is ended.
    """

    async def inside() -> None:
        at, job = await was_read(tmp_path / "box")
        factory = stock(at.car.definition)
        wanted = tuned(at.car.definition, factory, IN_CALIBRATION)
        killer, pieces = Killer(at.state), 0

        def cut_off(data: bytes) -> None:
            nonlocal pieces
            pieces += is_download(data)
            if pieces == number:
                pieces += 1
                killer.strike()

        at.ports.watch = cut_off
        with pytest.raises(Killed):
            await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        at.live_again(killer.state)
        assert standing(at.box.journal, job).ecu is EcuSafety.HALF_WRITTEN
        at.car.line.requests.clear()
        with pytest.raises(CarUnconfirmedError):
            await recover(at.box, job, original)
        assert not erased(at)
        done = await recover(at.box, job, original, car=job)
        assert done["result"] == ("restored" if original else "done")
        assert at.car.memory == (factory if original else wanted)
        assert standing(at.box.journal, job).ecu is EcuSafety.INTACT
        assert b"\x1a\x9c" not in at.car.line.requests
        assert not [one for one in at.car.line.requests if one[0] == 0x35 and one[1:4] == b"\x80\x80\x00"]
        assert erased(at)[-1] == LAST and not complains(at)
        at.box.journal.close()

    run_virtual(inside())


def only_half_of_it(at: KwpBox) -> None:
    """A part of half the length, that refuses what lies behind it."""
    core = at.car.controller.core
    readable = core.readable
    core.readable = (  # type: ignore[method-assign]
        lambda start, size: start + size <= MIRROR and readable(start, size)
    )


def twice_the_same(at: KwpBox) -> None:
    """A part of half the length, that is there twice."""
    at.car.flash.force(MIRROR, at.car.flash.read(0x80_0000, MIRROR - 0x80_0000))


def more_behind_it(at: KwpBox) -> None:
    """A part of more than that length."""
    core = at.car.controller.core
    readable, read_flash = core.readable, core.read_flash
    core.readable = (  # type: ignore[method-assign]
        lambda start, size: start == BEHIND or readable(start, size)
    )
    core.read_flash = (  # type: ignore[method-assign]
        lambda start, size: bytes(size) if start == BEHIND else read_flash(start, size)
    )


@pytest.mark.parametrize("other", [only_half_of_it, twice_the_same, more_behind_it])
def test_an_me7_with_another_memory_is_neither_read_nor_written(
    other: Callable[[KwpBox], None], tmp_path: Path
) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(me7_5()))
        job = str((await identify(at.box, at.car.definition.id))["job"])
        other(at)
        with pytest.raises(PitboxError) as refused:
            await read(at.box, job)
        assert refused.value.code == "LAYOUT_UNLIKE"
        at.box.journal.close()

    run_virtual(inside())


def test_the_memory_is_looked_at_before_a_write(tmp_path: Path) -> None:
    async def inside() -> None:
        at, job = await was_read(tmp_path / "box")
        wanted = tuned(at.car.definition, stock(at.car.definition), IN_CALIBRATION)
        twice_the_same(at)
        before = at.car.memory
        with pytest.raises(PitboxError) as refused:
            await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        assert refused.value.code == "LAYOUT_UNLIKE"
        assert at.car.memory == before and not erased(at)
        assert standing(at.box.journal, job).ecu is EcuSafety.UNTOUCHED
        at.box.journal.close()

    run_virtual(inside())


def test_of_an_edc15_nothing_but_its_name_is_asked(tmp_path: Path) -> None:
    """No loader of ours runs in its RAM: neither a routine nor a download begins."""

    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(edc15()))
        job = str((await identify(at.box, at.car.definition.id))["job"])
        with pytest.raises(PitboxError) as unread:
            await read(at.box, job)
        assert unread.value.code == "NOTHING_READABLE" and "boot mode" in unread.value.do_now
        with pytest.raises(PitboxError) as unwritten:
            await write(at.box, job, at.hand_in(bytes(0x8_0000)), MasterWish(), engine_off=True)
        assert unwritten.value.do_now
        assert at.car.memory == stock(at.car.definition)
        assert not {request[0] for request in at.car.line.requests} & {0x31, 0x34, 0x35, 0x36, 0x23, 0x27}
        at.box.journal.close()

    run_virtual(inside())
