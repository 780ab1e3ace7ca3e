"""A box that has lost an original takes a copy of it, proven by its own record's hashes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bincopy
import pytest

from appliance.contract.actors import Actor
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.operations import PreviewRecover, Recover
from appliance.contract.places import FLASH, Range
from appliance.contract.proposals import Consent, Propose
from appliance.contract.records import EcuIdentity, Region, Segment
from appliance.engine.handed_in_original import prove
from appliance.engine.operations.preview import preview_recover
from appliance.engine.operations.registry import prepare
from appliance.flashing.write_order import WriteOrder
from appliance.vault.contents import new_file_id, sha256_hex
from appliance.vault.images import ImageKind, SealedImage
from tests.support.garage import Garage, Readied, visit
from tests.unit.engine.test_damaged_sources import half_restored, half_written, rot
from tests.unit.engine.test_proposing import Desk

OPERATOR = Actor("operator", 0)


def record(garage: Garage) -> SealedImage:
    flash = garage.box.journal.last_flash(garage.job)
    assert flash is not None
    return garage.box.images.load(WriteOrder.from_json(flash.write_order).original_file)


def exported(garage: Garage) -> dict[str, bytes]:
    """The original as the file service has it, in each format; call it while the box still holds it."""
    contents = garage.box.images.read_plaintext(record(garage))
    file = bincopy.BinFile()
    for (memory, start), data in contents.items():
        assert memory == FLASH
        file.add_binary(data, address=start)
    whole = b"".join(bytes(contents[at]) for at in sorted(contents))
    texts = {"ihex": file.as_ihex(), "srec": file.as_srec(address_length_bits=32)}
    return {"bin": whole, **{name: str(text).encode() for name, text in texts.items()}}


def damaged(garage: Garage) -> list[str]:
    return [str(one.place) for one in record(garage).segments if not garage.box.images.is_whole(one)]


def lose_segments(garage: Garage) -> None:
    for segment in record(garage).segments:
        garage.box.blobs.path(segment.ct_sha256).unlink()


def lose_one(garage: Garage) -> None:
    rot(garage, "original", "calibration")


def recovering(garage: Garage, data: bytes | None = None, **more: Any) -> Any:
    upload = {} if data is None else {"upload": garage.hand_in(data)}
    return prepare("recover", {"job": garage.job, **upload, **more})(garage.box)


@pytest.mark.parametrize("form", ["bin", "ihex", "srec"])
@pytest.mark.parametrize("lose", [lose_one, lose_segments])
def test_an_exported_original_goes_back_where_the_box_has_lost_its_own(
    slave: Readied, form: str, lose: Callable[[Garage], None]
) -> None:
    async def scene(garage: Garage) -> None:
        await half_restored(garage, at=100)
        copy = exported(garage)[form]
        lose(garage)
        error = await garage.refusal(recovering(garage))
        assert error.code == "SOURCE_LOST"
        assert f"`pitbox recover --job {garage.job} --from FILE`" in error.do_now
        assert (await recovering(garage, copy))["result"] == "restored"
        assert garage.untouched and not damaged(garage)
        assert not garage.box.uploads

    visit(slave, scene)


def _spoilt(copy: bytes) -> bytes:
    return copy[:-70_000] + bytes((copy[-70_000] ^ 1,)) + copy[-69_999:]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (_spoilt, "SOURCE_DIFFERS"),
        (bytes.swapcase, "SOURCE_DIFFERS"),
        (lambda copy: copy[:-1], "SOURCE_UNFIT"),
        (lambda copy: copy + b"\0", "SOURCE_UNFIT"),
        (lambda copy: b"PK\x03\x04" + copy[4:], "SOURCE_UNFIT"),
        (lambda copy: b":00000001FF\n", "SOURCE_UNFIT"),
        (lambda copy: b":0000000100\n", "FILE_FORMAT"),
    ],
)
def test_another_file_is_refused_by_the_ranges_that_differ_and_changes_nothing(
    slave: Readied, wrong: Callable[[bytes], bytes], code: str
) -> None:
    async def scene(garage: Garage) -> None:
        await half_restored(garage, at=100)
        copy = exported(garage)["bin"]
        lose_one(garage)
        lost, memory, other = damaged(garage), garage.car.ecu.memory.whole(), wrong(copy)
        asked = PreviewRecover(verb="preview", of="recover", job=garage.job, upload=garage.hand_in(other))
        for work in (preview_recover(garage.box, asked), recovering(garage, other)):
            error = await garage.refusal(work)
            assert (error.code, error.ecu) == (code, EcuSafety.HALF_WRITTEN)
            if code == "SOURCE_DIFFERS":
                assert str(record(garage).segments[0].place.memory) in error.details[0]
        if wrong is _spoilt:
            changed = next(at for at, (one, two) in enumerate(zip(copy, other, strict=True)) if one != two)
            (segment,) = [one for one in record(garage).segments if str(one.place) == error.details[0]]
            assert segment.place.start <= changed + _lowest(garage) < segment.place.end
        assert (damaged(garage), garage.car.ecu.memory.whole()) == (lost, memory)

    visit(slave, scene)


def _lowest(garage: Garage) -> int:
    return min(one.place.start for one in record(garage).regions)


def test_a_tuned_write_turns_to_the_original_that_was_handed_in(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        copy = exported(garage)["bin"]
        lose_segments(garage)
        rot(garage, "tuned", "calibration")
        assert (await recovering(garage, copy, original=True))["result"] == "restored"
        assert garage.untouched and not damaged(garage)

    visit(slave, scene)


def test_a_rescue_takes_it_too(slave: Readied) -> None:
    """The journal knows nothing of the write; the record of the original does."""

    async def scene(garage: Garage) -> None:
        await half_written(garage, bootloader_reads=False)
        copy = exported(garage)["bin"]
        (flash,) = garage.box.journal.open_flashes()
        garage.box.journal._withdraw(garage.job, flash.id)
        for segment in garage.box.images.load(WriteOrder.from_json(flash.write_order).original_file).segments:
            garage.box.blobs.path(segment.ct_sha256).unlink()
        asked = {"definition": garage.definition.id, "upload": garage.hand_in(copy)}
        done = await prepare("recover", asked)(garage.box)
        assert done["result"] == "restored" and garage.untouched

    visit(slave, scene)


def test_a_file_of_one_memory_is_found_by_its_hashes() -> None:
    """Two memories of one length, at the same addresses: only what is sealed tells them apart."""
    contents = {("first", 0x1000): bytes(range(256)), ("second", 0x1000): bytes(256)}
    places = {at: Range(*at, len(data)) for at, data in contents.items()}
    original = SealedImage(
        file_id=new_file_id(),
        kind=ImageKind.ORIGINAL,
        definition="two-memories",
        identity=EcuIdentity(hw="1", sw="2"),
        method="bench",
        regions=tuple(Region(name=place.memory, place=place) for place in places.values()),
        segments=tuple(
            Segment(
                place=places[at],
                pt_sha256=sha256_hex(data),
                ct_sha256=sha256_hex(b"sealed " + data),
                ct_len=300,
            )
            for at, data in contents.items()
        ),
    )
    for at, data in contents.items():
        assert prove(original, data).spans == {at: data}
    with pytest.raises(PitboxError, match="SOURCE_DIFFERS"):
        prove(original, bytes(255) + b"\x01")


def test_it_may_be_proposed_with_the_file(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await half_restored(garage, at=100)
        copy = exported(garage)["ihex"]
        lose_segments(garage)
        desk, upload = Desk(garage), garage.hand_in(copy)
        shown = await preview_recover(
            garage.box, PreviewRecover(verb="preview", of="recover", job=garage.job, upload=upload)
        )
        operation = Recover(verb="recover", job=garage.job, upload=upload, confirmed=shown["digest"])
        told = await desk.desk.propose(Propose(operation=operation, needs=["operator"]), OPERATOR)
        garage.box.uploads.clear()
        given = await desk.desk.consent(told["id"], Consent(digest=told["digest"]), OPERATOR)
        assert (await desk.over(given))["state"] == "done"
        assert garage.untouched and not damaged(garage)

    visit(slave, scene)
