"""No block is erased before its target and its way back lie whole on the disk, as that is at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety
from appliance.contract.events import NoteEvent
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH, Range
from appliance.contract.records import EcuIdentity, Region, Segment
from appliance.definitions.schema import Definition
from appliance.flashing.errors import WayBackLostError, WriteInterruptedError
from appliance.flashing.gaps import Gap
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Step
from appliance.flashing.plan import FlashPlan
from appliance.flashing.recovering import mark_interrupted, recover
from appliance.flashing.safekeeping import Safekeeping
from appliance.flashing.safety import standing
from appliance.flashing.write_order import WriteOrder
from appliance.flashing.writing import WriteResult
from appliance.protocols.access import Block, EcuRefusedError, Purpose, Refusal
from appliance.vault.contents import new_file_id
from appliance.vault.errors import VaultError
from appliance.vault.images import ImageKind, ImageStore, SealedImage
from appliance.vault.keys import KeyRing
from appliance.vault.store import BlobStore
from simulator.virtualtime import run_virtual
from tests.support.box import JOB, Box, Verify, request_for, small_definition, tuned_from, write_plan
from tests.support.probe_access import Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

ENDLESS = 10_000
SECTOR = 4096
CALIBRATION = [0x20_0000, 0x20_1000, 0x20_2000, 0x20_3000]
"""Starts of its sectors, each sealed as a segment of its own; the tuned file changes them all."""


@dataclass
class Desk:
    """A box whose original and tuned file lie sealed, and everything that was not whole at an erase."""

    box: Box
    files: ImageStore
    blobs: BlobStore
    state: Path
    request_files: tuple[str, str]
    original: MemoryImage
    tuned: MemoryImage
    unsafe: list[str] = field(default_factory=list)

    @property
    def plan(self) -> FlashPlan:
        request = request_for(self.box.job.definition, self.original, self.tuned)
        original, tuned = self.request_files
        return FlashPlan(replace(request, original_file=original, tuned_file=tuned))

    def segments(self, file_id: str, start: int) -> list[Segment]:
        found = self.files.load(file_id).segments
        return [one for one in found if one.place.overlaps(Range(FLASH, start, SECTOR))]

    def rot(self, which: str, start: int) -> None:
        """A bit of what lies sealed for that sector."""
        (segment,) = self.segments(self.request_files[which == "tuned"], start)
        path = self.blobs.path(segment.ct_sha256)
        data = bytearray(path.read_bytes())
        data[300] ^= 4
        path.write_bytes(data)

    def lose_record(self, which: str) -> None:
        (self.state / "images" / f"{self.request_files[which == 'tuned']}.json").write_bytes(b"{}")

    def look(self, start: int) -> None:
        """What an erase of this sector would leave to a rotten disk."""
        for file_id in self.request_files:
            try:
                lost = [one for one in self.segments(file_id, start) if not self.files.is_whole(one)]
            except VaultError as error:
                self.unsafe.append(error.code)
            else:
                self.unsafe += [str(one.place) for one in lost]

    def notes(self) -> list[str]:
        return [one.key for one in self.box.events if isinstance(one, NoteEvent)]


class WatchfulAccess(ProbeAccess):
    """Has somebody look before each erase."""

    look: Callable[[int], None] = staticmethod(lambda start: None)

    async def erase(self, block):  # type: ignore[no-untyped-def]
        self.look(block.start)
        await super().erase(block)


@pytest.fixture
def access(ecu: ProbeEcu, verify: Verify) -> WatchfulAccess:
    return WatchfulAccess(ecu, hashing=verify == "hash")


@pytest.fixture
def desk(
    tmp_path: Path, keys: KeyRing, definition: Definition, original: MemoryImage, access: WatchfulAccess
) -> Desk:
    state = tmp_path / "state"
    blobs = BlobStore(state, keys)
    files = ImageStore(state, keys, blobs)
    tuned = tuned_from(definition, original, 1, 4097, 8193, 12289)
    ids = tuple(
        _sealed(files, blobs, definition, kind, image)
        for kind, image in ((ImageKind.ORIGINAL, original), (ImageKind.TUNED, tuned))
    )
    box = Box(state, keys, definition, access, files=files).in_preflight()
    found = Desk(box, files, blobs, state, (ids[0], ids[1]), original, tuned)
    access.look = found.look
    return found


def _sealed(
    files: ImageStore, blobs: BlobStore, definition: Definition, kind: ImageKind, image: MemoryImage
) -> str:
    held = [one for one in definition.regions if image.covers(one.place)]
    record = SealedImage(
        file_id=new_file_id(),
        kind=kind,
        definition=definition.id,
        identity=EcuIdentity(hw="HW", sw="SW"),
        method="obd",
        regions=tuple(Region(name=one.name, place=one.place) for one in held),
        segments=tuple(_segments(blobs, held, image)),
    )
    files.save(record)
    return record.file_id


def _segments(blobs: BlobStore, held: Iterable[object], image: MemoryImage) -> Iterable[Segment]:
    for place, data in image.pieces:
        for offset in range(0, len(data), SECTOR):
            piece = place.part(offset, SECTOR)
            yield blobs.put(bytes(data[offset : offset + SECTOR]), piece.at)


def go_on(desk: Desk, lost: Iterable[int] = (), *, original: bool = False) -> WriteResult:
    """Recover, from a disk that has lost these sectors of the target as they were sealed."""
    flash = mark_interrupted(desk.box.journal)[0]
    order, target = WriteOrder.from_json(flash.write_order), desk.plan.target
    if original:
        order = replace(order, kind="original", tuned_file=None, target_sha256=desk.original.sha256())
        target = desk.original
    gaps = tuple(
        Gap(one.place, one.pt_sha256)
        for start in lost
        for one in desk.segments(order.original_file if original else order.tuned_file or "", start)
    )
    target = target.without(gap.place for gap in gaps)
    return run_virtual(recover(desk.box.job, flash, order, target, gaps))


def interrupted(desk: Desk, access: ProbeAccess, program_call: int) -> None:
    """A write whose block number `program_call` cannot be programmed; the box starts anew behind it."""
    access.faults.append(Fault("program", program_call, ENDLESS, EcuRefusedError(Refusal.PROGRAMMING, "72")))
    with pytest.raises(WriteInterruptedError):
        run_virtual(write_plan(desk.box.job, desk.plan))
    access.faults.clear()
    access.erased.clear()


@pytest.mark.parametrize("which", ["original", "tuned"])
@pytest.mark.parametrize("start", CALIBRATION)
def test_what_rots_before_its_block_is_erased_is_sealed_again_first(
    desk: Desk, ecu: ProbeEcu, which: str, start: int
) -> None:
    plan = desk.plan
    desk.rot(which, start)
    run_virtual(write_plan(desk.box.job, plan))
    assert desk.unsafe == []
    assert desk.notes().count("copy_resealed") == 1
    assert ecu.image().sha256() == plan.target.sha256()


def test_what_rots_while_blocks_are_written_is_seen_before_its_own_erase(
    desk: Desk, access: WatchfulAccess
) -> None:
    plan, last = desk.plan, CALIBRATION[-1]
    access.faults.append(
        Fault("program", 2, strike=lambda: desk.rot("original", last), after=True, takes_s=60.0)
    )
    run_virtual(write_plan(desk.box.job, plan))
    assert desk.unsafe == []
    assert "copy_resealed" in desk.notes()


def test_a_record_that_is_lost_while_blocks_are_written_is_put_back(
    desk: Desk, access: WatchfulAccess
) -> None:
    plan = desk.plan
    access.faults.append(
        Fault("program", 2, strike=lambda: desk.lose_record("original"), after=True, takes_s=60.0)
    )
    run_virtual(write_plan(desk.box.job, plan))
    assert desk.unsafe == []


def test_nothing_is_erased_where_the_record_of_the_original_is_lost(
    desk: Desk, access: WatchfulAccess, ecu: ProbeEcu
) -> None:
    plan, before = desk.plan, ecu.image().sha256()
    desk.lose_record("original")
    with pytest.raises(WayBackLostError) as told:
        run_virtual(write_plan(desk.box.job, plan))
    assert f"0x{CALIBRATION[0]:08X}" in told.value.details[0]
    assert (access.erased, ecu.image().sha256()) == ([], before)
    assert desk.box.state is JobState.READ_VERIFIED
    assert standing(desk.box.journal, JOB).ecu is EcuSafety.UNTOUCHED


def test_what_the_ecu_alone_still_holds_is_sealed_before_it_is_written_again(
    desk: Desk, access: WatchfulAccess, ecu: ProbeEcu, verify: Verify
) -> None:
    """An ECU without a hash has its blocks written again though they are right: the only copy among them."""
    interrupted(desk, access, program_call=1)
    lost = CALIBRATION[2]
    desk.rot("original", lost)
    access.faults.append(
        Fault("program", access.calls["program"] + 1, ENDLESS, EcuRefusedError(Refusal.PROGRAMMING, "72"))
    )
    with pytest.raises(WriteInterruptedError):
        go_on(desk, [lost], original=True)
    assert desk.unsafe == []
    assert all(desk.files.is_whole(one) for one in desk.segments(desk.request_files[0], lost))
    access.faults.clear()
    assert go_on(desk, original=True).outcome is JobState.RESTORED
    assert ecu.image().sha256() == desk.original.sha256()


@pytest.mark.parametrize("spoilt", [0, 1, 2])
def test_the_way_back_of_a_write_that_goes_on_is_read_from_the_ecu_first(
    desk: Desk, access: WatchfulAccess, ecu: ProbeEcu, spoilt: int
) -> None:
    """A read or two may be spoilt on the wire, and is no proof that the ECU holds something else."""
    interrupted(desk, access, program_call=2)
    lost = CALIBRATION[3]
    desk.rot("original", lost)
    once = access.calls["read"]
    spoil = _spoiling(lost, spoilt, access)
    access.faults.append(Fault("read", once + 1, ENDLESS, alters=spoil))
    assert go_on(desk).outcome is JobState.DONE
    assert [place for place in desk.unsafe if f"{lost:08X}" in place] == []
    assert all(desk.files.is_whole(one) for one in desk.segments(desk.request_files[0], lost))


def _spoiling(start: int, times: int, access: ProbeAccess) -> Callable[[bytes], bytes]:
    left = [times]

    def alters(data: bytes) -> bytes:
        if access.read_addresses[-1] != start or not left[0] or start in access.erased:
            return data
        left[0] -= 1
        return bytes((data[0] ^ 1,)) + data[1:]

    return alters


def test_a_half_written_ecu_that_does_not_tell_its_memory_is_finished_and_the_loss_told_once(
    desk: Desk, access: WatchfulAccess, ecu: ProbeEcu, verify: Verify
) -> None:
    if verify != "hash":
        pytest.skip("it proves its memory by reads")
    interrupted(desk, access, program_call=2)
    desk.rot("original", CALIBRATION[3])
    access.faults.append(Fault("read", 1, ENDLESS, EcuRefusedError(Refusal.UNSUPPORTED, "7F 23 11")))
    assert go_on(desk).outcome is JobState.DONE
    assert desk.notes().count("way_back_lost") == 1
    assert ecu.image().sha256() == desk.plan.target.sha256()


def test_a_write_that_was_never_begun_is_not_begun_without_a_way_back(
    desk: Desk, access: WatchfulAccess, ecu: ProbeEcu
) -> None:
    desk.box.journal.step(desk.box.journal.open_flash(JOB, desk.plan.order.to_json()), Step.SESSION_OPEN)
    desk.rot("original", CALIBRATION[1])
    access.faults.append(Fault("read", 1, ENDLESS, EcuRefusedError(Refusal.UNSUPPORTED, "7F 23 11")))
    with pytest.raises(WayBackLostError, match="WAY_BACK_LOST") as told:
        go_on(desk)
    assert access.erased == []
    assert standing(desk.box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert "the write is closed" in told.value.do_now
    assert desk.box.journal.open_flashes() == []
    assert desk.box.state is JobState.READ_VERIFIED
    access.faults.clear()
    desk.box.journal.move(JOB, JobState.PREFLIGHT)
    assert run_virtual(write_plan(desk.box.job, desk.plan)).outcome is JobState.DONE
    assert desk.unsafe == []


@pytest.mark.parametrize("resumed", [False, True])
def test_a_way_back_that_is_lost_at_the_first_erase_closes_the_write(
    desk: Desk, access: WatchfulAccess, ecu: ProbeEcu, resumed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was whole when the write was taken up, and rots until the first block is due."""
    if resumed:
        desk.box.journal.step(desk.box.journal.open_flash(JOB, desk.plan.order.to_json()), Step.SESSION_OPEN)
    plan, before = desk.plan, ecu.image().sha256()
    keep = Safekeeping.keep

    async def rotten(files: Safekeeping, blocks: Sequence[Block], purpose: Purpose, *, touched: bool) -> None:
        desk.lose_record("original")
        await keep(files, blocks, purpose, touched=touched)

    monkeypatch.setattr(Safekeeping, "keep", rotten)
    with pytest.raises(WayBackLostError):
        go_on(desk) if resumed else run_virtual(write_plan(desk.box.job, plan))
    assert (access.erased, ecu.image().sha256()) == ([], before)
    assert desk.box.journal.open_flashes() == []
    assert desk.box.state is JobState.READ_VERIFIED


def test_other_bytes_than_those_that_were_sealed_are_never_sealed_in_their_place(desk: Desk) -> None:
    (segment,) = desk.segments(desk.request_files[0], CALIBRATION[0])
    with pytest.raises(ValueError, match="not what was sealed"):
        desk.files.reseal(desk.request_files[0], segment, bytes(SECTOR))


def test_a_definition_of_the_tests_has_a_sector_for_each_segment() -> None:
    region = small_definition().region("calibration")
    assert [one.start for one in region.sector_ranges()] == CALIBRATION
