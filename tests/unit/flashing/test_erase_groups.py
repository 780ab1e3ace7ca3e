"""Blocks that erase others with them, or need others to be whole: no cut leaves one of them behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from appliance.contract.errors import PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.schema import Definition
from appliance.flashing import history
from appliance.flashing.erase_groups import EraseGroups
from appliance.flashing.gaps import Gap
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.journal import FlashRecord, Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.write_order import WriteOrder
from appliance.protocols.access import Block, LinkLostError
from appliance.vault.keys import KeyRing
from simulator.virtualtime import run_virtual
from tests.support.box import (
    Box,
    random_image,
    request_for,
    small_definition,
    tuned_from,
    with_eeprom,
    write_plan,
)
from tests.support.definitions import raw, validated
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

Ties = Mapping[str, Mapping[str, Sequence[str]]]
"""By region: erases_with and depends_on."""
Order = dict[str, Any]
"""Keys of the access's recovery."""
ONE_WAY: Ties = {"calibration": {"erases_with": ["code"]}}
BOTH_WAYS: Ties = {"calibration": {"erases_with": ["code"]}, "code": {"erases_with": ["calibration"]}}
IN_ORDER: Ties = {"code": {"depends_on": ["calibration"]}}
ALL: Ties = {"calibration": {"erases_with": ["code"]}, "code": {"depends_on": ["calibration"]}}
BACKWARDS: Order = {"block_order": "descending"}
CODE_FIRST: Order = {"first": ["code"]}
CODE_LAST: Order = {"last": ["code"]}
CODE_ENDS: Order = {"last": ["code"], "rewrite_last": True}
CALIBRATION_ENDS: Order = {"last": ["calibration"], "rewrite_last": True}
SETS: Mapping[str, tuple[Ties, Order]] = {
    "one way": (ONE_WAY, {}),
    "both ways": (BOTH_WAYS, {}),
    "in order": (IN_ORDER, {}),
    "all": (ALL, {}),
    "backwards": (BOTH_WAYS, BACKWARDS),
    "code first": ({}, CODE_FIRST),
    "code last": (ONE_WAY, CODE_LAST),
    "code ends": ({}, CODE_ENDS),
    "code ends, backwards": (ONE_WAY, CODE_ENDS | BACKWARDS),
    "calibration ends": (BOTH_WAYS, CALIBRATION_ENDS),
}


def tied(ties: Ties, definition: Definition | None = None, order: Order | None = None) -> Definition:
    tables = raw(definition or small_definition())
    tables["access"][0]["recovery"].update(order or {})
    for memory in tables["memories"]:
        for region in memory["regions"]:
            region.update(ties.get(region["name"], {}))
    return validated(tables)


def named(definition: Definition, *names: str) -> list[Block]:
    blocks = blocks_of(definition, definition.best_access)
    return [block for block in blocks if block.region in names]


def groups(definition: Definition) -> EraseGroups:
    return EraseGroups(definition, definition.best_access)


def test_what_an_erase_takes_with_it_is_written_too_and_no_more() -> None:
    definition = tied(ONE_WAY)
    code, calibration = named(definition, "code"), named(definition, "calibration")
    assert groups(definition).widened(calibration[:1]) == (*code, calibration[0])
    assert groups(definition).widened(code[:1]) == (code[0],)
    assert groups(tied(BOTH_WAYS)).widened(code[:1]) == (*code, *calibration)
    assert groups(tied(IN_ORDER)).widened(code[:1]) == (code[0],)


def test_two_blocks_that_take_the_same_are_erased_together() -> None:
    definition = tied(ONE_WAY)
    code, calibration = named(definition, "code"), named(definition, "calibration")
    assert groups(definition).units(calibration[:2]) == [(*code, *calibration[:2])]
    assert groups(definition).units([code[1], code[3]]) == [(code[1],), (code[3],)]


def test_a_region_comes_behind_those_it_depends_on() -> None:
    definition = tied(IN_ORDER)
    code, calibration = named(definition, "code"), named(definition, "calibration")
    units = groups(definition).units([code[0], code[5], calibration[2]])
    assert units == [(calibration[2],), (code[0],), (code[5],)]
    definition = tied(ALL)
    (unit,) = groups(definition).units(calibration[:1])
    assert unit == (calibration[0], *code)


def test_parts_that_wait_for_each_other_are_erased_together_and_programmed_in_order() -> None:
    """Calibration takes code; code waits for the maps, and those wait for the calibration."""
    ties = {
        "calibration": {"erases_with": ["code"]},
        "code": {"depends_on": ["maps"]},
        "maps": {"depends_on": ["calibration"]},
    }
    definition = tied(ties, with_eeprom())
    chosen = [named(definition, "calibration")[0], named(definition, "maps")[0]]
    (unit,) = groups(definition).units(chosen)
    assert unit == (chosen[0], chosen[1], *named(definition, "code"))


@st.composite
def _ties(draw: st.DrawFn) -> Ties:
    """Whatever may hang on what, without a circle of dependencies."""
    names = ["maps", "code", "calibration"]
    order = draw(st.permutations(names))
    found: dict[str, dict[str, list[str]]] = {}
    for at, name in enumerate(order):
        mates = [] if name == "maps" else [one for one in ("code", "calibration") if one != name]
        taken = draw(st.lists(st.sampled_from(mates), unique=True)) if mates else []
        needs = draw(st.lists(st.sampled_from(order[:at]), unique=True)) if at else []
        found[name] = {"erases_with": taken, "depends_on": needs}
    return found


@st.composite
def _orders(draw: st.DrawFn) -> Order:
    """What an access may want first, last, and at the very end."""
    names = draw(st.permutations(["maps", "code", "calibration"]))
    first = draw(st.integers(0, 3))
    last = list(names[draw(st.integers(first, 3)) :])
    return {
        "block_order": draw(st.sampled_from(["ascending", "descending"])),
        "first": list(names[:first]),
        "last": last,
        "rewrite_last": bool(last) and draw(st.booleans()),
    }


@given(_ties(), _orders(), st.data())
def test_written_in_this_order_nothing_is_left_erased_or_taken_too_early(
    ties: Ties, order: Order, data: st.DataObject
) -> None:
    try:
        definition = tied(ties, with_eeprom(), order)
    except ValidationError as error:
        assume("has to come behind itself" not in str(error))
        raise
    every = named(definition, "code", "calibration", "maps")
    wanted = data.draw(st.lists(st.sampled_from(every), unique=True, min_size=1))
    ecu = ProbeEcu.holding(definition, random_image(definition))
    known = groups(definition)
    units = known.units(known.finished(wanted))
    written = [block for unit in units for block in unit]
    assert set(written) >= set(wanted) and len(written) == len(set(written))
    assert known.finisher in (None, written[-1])
    for unit in units:
        for block in unit:
            ecu.erase(block)
        for block in unit:
            assert ecu.takes(block)
            ecu.finish(block)
    assert ecu.reset()


@dataclass
class Bench:
    """One box, one ECU, and a tuned file that changes two blocks of the calibration."""

    state: Path
    keys: KeyRing
    definition: Definition
    hashing: bool

    def __post_init__(self) -> None:
        self.original = random_image(self.definition)
        self.tuned = tuned_from(self.definition, self.original)
        self.ecu = ProbeEcu.holding(self.definition, self.original)
        self.access = ProbeAccess(self.ecu, hashing=self.hashing)
        self.plan = FlashPlan(request_for(self.definition, self.original, self.tuned))

    def box(self) -> Box:
        return Box(self.state, self.keys, self.definition, self.access)


@pytest.fixture(params=sorted(SETS))
def bench(request: pytest.FixtureRequest, tmp_path: Path, keys: KeyRing) -> Bench:
    ties, order = SETS[request.param]
    return Bench(tmp_path / "state", keys, tied(ties, order=order), hashing=True)


def test_a_write_ends_with_every_block_right(bench: Bench) -> None:
    box = bench.box()
    result = run_virtual(write_plan(box.in_preflight().job, bench.plan))
    assert result.outcome is JobState.DONE
    assert bench.ecu.image().sha256() == bench.plan.target.sha256()
    assert bench.ecu.running
    written = {at for at in bench.access.erased_at}
    known = groups(bench.definition)
    assert written == {one.place.at for one in known.widened(known.finished(_changed(bench)))}


def _changed(bench: Bench) -> list[Block]:
    blocks = blocks_of(bench.definition, bench.definition.best_access, writable_only=True)
    return [one for one in blocks if bench.plan.target.block(one) != bench.original.block(one)]


@pytest.mark.parametrize("on", ["erase", "program"])
@pytest.mark.parametrize("call", [1, 2, 3, 5, 8])
def test_a_cut_at_any_block_is_recovered(bench: Bench, on: str, call: int) -> None:
    """The supply goes in one block of a write and in the next of its recovery; at last it holds."""
    lost = LinkLostError("the power is gone")
    cut = Fault(on, call=call, times=99, error=lost, bytes_done=1024, cuts_power=True)
    bench.access.faults.append(cut)
    box = bench.box().in_preflight()
    interrupted = _cut_off(lambda: run_virtual(write_plan(box.job, bench.plan)))
    for further in (2, None):
        if not interrupted:
            break
        box = _again(bench, box)
        (flash,) = mark_interrupted(box.journal)
        assert bench.ecu.incomplete <= history.unfinished(box.journal.steps(flash.id))
        cut.call = 1 << 30 if further is None else bench.access.calls[on] + further
        order = WriteOrder.from_json(flash.write_order)
        interrupted = _cut_off(partial(_recovered, bench, box, flash, order))
    assert not interrupted
    assert bench.ecu.image().sha256() == bench.plan.target.sha256()
    assert bench.ecu.running
    cut.call = 1 << 30
    back = FlashPlan(request_for(bench.definition, bench.original, None))
    box.journal.move(box.job.id, JobState.PREFLIGHT)
    assert run_virtual(write_plan(box.job, back)).outcome is JobState.RESTORED
    assert bench.ecu.image().sha256() == bench.original.sha256()


def _recovered(bench: Bench, box: Box, flash: FlashRecord, order: WriteOrder) -> None:
    run_virtual(recover(box.job, flash, order, bench.plan.target))


def _cut_off(work: Callable[[], object]) -> bool:
    try:
        work()
    except PitboxError:
        return True
    return False


def _again(bench: Bench, box: Box) -> Box:
    box.close()
    return bench.box()


@pytest.mark.parametrize("hashing", [True, False])
def test_a_block_that_stumbles_takes_again_what_its_erase_took(
    tmp_path: Path, keys: KeyRing, hashing: bool
) -> None:
    """The fifth block of a group is lost once: all that its erase takes is written again."""
    bench = Bench(tmp_path / "state", keys, tied(BOTH_WAYS), hashing)
    lost = LinkLostError("a moment without a link")
    bench.access.faults.append(Fault("program", call=5, error=lost, bytes_done=1024))
    box = bench.box()
    assert run_virtual(write_plan(box.in_preflight().job, bench.plan)).outcome is JobState.DONE
    assert bench.ecu.image().sha256() == bench.plan.target.sha256()
    assert len(bench.access.erased) == 20


def test_the_last_block_is_written_again_though_only_its_turn_was_missed(
    tmp_path: Path, keys: KeyRing
) -> None:
    """All holds its target, but the box died before the block that ends every write: that alone is left."""
    bench = Bench(tmp_path / "state", keys, tied({}, order=CODE_ENDS), hashing=True)
    finisher = groups(bench.definition).finisher
    assert finisher is not None and finisher not in _changed(bench)
    gone = LinkLostError("the power is gone")
    bench.access.faults.append(Fault("erase", call=len(_changed(bench)) + 1, times=99, error=gone))
    box = bench.box().in_preflight()
    assert _cut_off(lambda: run_virtual(write_plan(box.job, bench.plan)))
    assert bench.ecu.image().sha256() == bench.plan.target.sha256()
    assert not bench.ecu.reset()
    bench.access.faults.clear()
    erased_before = len(bench.access.erased_at)
    box = _again(bench, box)
    (flash,) = mark_interrupted(box.journal)
    _recovered(bench, box, flash, WriteOrder.from_json(flash.write_order))
    assert set(bench.access.erased_at[erased_before:]) == {finisher.place.at}
    assert bench.ecu.running


def test_a_group_of_which_a_part_is_lost_is_not_erased(tmp_path: Path, keys: KeyRing) -> None:
    """The disk has lost a block that an erase would take: nothing of its group may be touched."""
    bench = Bench(tmp_path / "state", keys, tied(ONE_WAY), hashing=True)
    box = bench.box().in_preflight()
    lost = LinkLostError("the power is gone")
    bench.access.faults.append(Fault("erase", call=1, times=99, error=lost))
    with pytest.raises(PitboxError):
        run_virtual(write_plan(box.job, bench.plan))
    assert bench.access.erased == []
    bench.access.faults.clear()
    box = _again(bench, box)
    (flash,) = mark_interrupted(box.journal)
    hole = named(bench.definition, "code")[2].place
    target, gaps = bench.plan.target.without([hole]), (Gap(hole, None),)
    with pytest.raises(PitboxError, match="SOURCE_LOST") as caught:
        run_virtual(recover(box.job, flash, WriteOrder.from_json(flash.write_order), target, gaps))
    assert any("code" in one for one in caught.value.details)
    assert bench.ecu.image().sha256() == bench.original.sha256()


@pytest.mark.parametrize("hashing", [True, False], ids=["hash", "read_back"])
@pytest.mark.parametrize("ties", [IN_ORDER, {}], ids=["waits", "free"])
def test_nothing_is_erased_behind_a_block_that_will_never_be_whole(
    tmp_path: Path, keys: KeyRing, hashing: bool, ties: Ties
) -> None:
    """A block of the calibration is erased, and its bytes are whole nowhere: an ECU that wants it first takes
    no code. Where code waits for nothing it is written, and the loss told behind it.
    """
    bench = Bench(tmp_path / "state", keys, tied(ties), hashing)
    lost, code = named(bench.definition, "calibration")[3], named(bench.definition, "code")[4]
    plan = FlashPlan(request_for(bench.definition, bench.original, _inverted(bench, lost, code)))
    box = bench.box().in_preflight()
    flash_id = box.journal.open_flash(box.job.id, plan.order.to_json())
    box.journal.step(flash_id, Step.ERASE_INTENT, lost.place.at)
    bench.ecu.erase(lost)
    (flash,) = mark_interrupted(box.journal)
    expected = (bench.original if ties else plan.target).slice(code.place)
    target, gaps = plan.target.without([lost.place]), (Gap(lost.place, None),)
    with pytest.raises(PitboxError, match="SOURCE_LOST") as caught:
        run_virtual(recover(box.job, flash, plan.order, target, gaps))
    assert caught.value.details == (str(lost),)
    assert (code.place.at in bench.access.erased_at) is (not ties)
    assert bench.ecu.image().slice(code.place) == expected


def _inverted(bench: Bench, *blocks: Block) -> MemoryImage:
    """A tuned file: the regions of these blocks, with the first byte of each of them inverted."""
    image = bench.original
    for block in blocks:
        first = block.place.part(0, 1)
        image = image.overlaid(MemoryImage({first.at: bytes((image.slice(first)[0] ^ 0xFF,))}))
    regions = [bench.definition.region(name) for name in dict.fromkeys(block.region for block in blocks)]
    return MemoryImage({region.place.at: image.slice(region.place) for region in regions})
