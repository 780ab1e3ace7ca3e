"""What a write would do, told without asking or touching the ECU, and nothing else is written then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.contract.errors import PitboxError
from appliance.contract.gates import GateVerdict, Waiver
from appliance.contract.manifest import Verdict
from appliance.contract.operations import OfRecovery, OfRestore, OfWrite, Recover
from appliance.contract.places import Range
from appliance.definitions.access.uds import uds_access
from appliance.engine.operations import preview
from appliance.engine.operations.registry import prepare
from appliance.engine.operations.write import restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.gates.judging import PAPER_GATES, check_request
from simulator.ecu.watch import Counter
from tests.support.garage import NOW_S, Garage, Readied, visit
from tests.unit.engine.test_jobs_on_a_box import stopped_at

WISH = MasterWish()


def test_a_package_is_told_by_region_and_byte_and_stays_with_the_box(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        upload = garage.hand_in(garage.package())
        before = dict(garage.car.ecu.core.watch.totals)
        told = await preview.preview_write(garage.box, OfWrite(job=garage.job, upload=upload))
        region = garage.definition.region("calibration")
        (change,) = [one for one in told["regions"] if one["changed_bytes"]]
        assert change["name"] == "calibration"
        changed = sum(
            a != b
            for a, b in zip(
                garage.calibration(),
                garage.car.ecu.memory.read(region.start, region.size_bytes),
                strict=True,
            )
        )
        assert change["changed_bytes"] == changed
        where = Range(**change["changed"])
        assert Range(**change["place"]) == region.place
        assert where.start == region.start + 0x100
        assert region.start + 0x110 <= where.end <= region.end
        assert (told["kind"], told["compared_with"], told["refused"]) == ("tuned", "original", [])
        assert told["vin"] == garage.definition.simulation.vin
        assert told["rituals"]
        assert dict(garage.car.ecu.core.watch.totals) == before
        result = await write(garage.box, garage.job, upload, None, told["target_sha256"])
        assert result["verify"]["sha256"] == told["target_sha256"]
        assert result["rituals"] == [
            one.text for one in uds_access(garage.definition).rituals if one.when == "after_write"
        ]

    visit(slave, scene)


def test_after_a_write_changes_are_counted_against_what_was_written(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        nothing = await preview.preview_restore(garage.box, OfRestore(job=garage.job))
        assert not any(one["changed_bytes"] for one in nothing["regions"])
        await write(garage.box, garage.job, garage.hand_in(garage.package()))
        told = await preview.preview_restore(garage.box, OfRestore(job=garage.job))
        assert told["compared_with"] == "last_write"
        assert [one["name"] for one in told["regions"] if one["changed_bytes"]] == ["calibration"]
        await restore(garage.box, garage.job)
        again = await preview.preview_restore(garage.box, OfRestore(job=garage.job))
        assert not any(one["changed_bytes"] for one in again["regions"])

    visit(slave, scene)


def test_what_was_not_confirmed_is_not_written(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        error = await garage.refusal(
            write(garage.box, garage.job, garage.hand_in(garage.package()), None, "0" * 64)
        )
        assert error.code == "NOT_WHAT_WAS_CONFIRMED"
        assert garage.untouched

    visit(slave, scene)


@pytest.mark.parametrize("verb", ["write", "restore"])
def test_a_write_is_started_by_the_digest_of_what_was_shown(slave: Readied, verb: str) -> None:
    async def scene(garage: Garage) -> None:
        asked: dict[str, object] = {"job": garage.job}
        if verb == "write":
            asked["upload"] = garage.hand_in(garage.package())
        shown: Any = await prepare("preview", {**asked, "of": verb})(garage.box)
        strange = prepare(verb, {**asked, "confirmed": "0" * 64})(garage.box)
        assert (await garage.refusal(strange)).code == "NOT_WHAT_WAS_CONFIRMED"
        assert garage.untouched
        done: Any = await prepare(verb, {**asked, "confirmed": shown["digest"]})(garage.box)
        assert done["result"] == ("done" if verb == "write" else "restored")

    visit(slave, scene)


def test_the_digest_is_of_all_that_was_shown(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        first = await preview.preview_restore(garage.box, OfRestore(job=garage.job))
        assert (await preview.preview_restore(garage.box, OfRestore(job=garage.job)))["digest"] == first[
            "digest"
        ]
        await prepare("write", {"job": garage.job, "upload": garage.hand_in(garage.package())})(garage.box)
        again = await preview.preview_restore(garage.box, OfRestore(job=garage.job))
        assert again["compared_with"] == "last_write"
        assert again["digest"] != first["digest"], "other changes, though the same memory in the end"

    visit(slave, scene)


@pytest.mark.parametrize(
    "other",
    [{"car": "another"}, {"engine_off": True}, {"use": "road_compliant"}, {"correct_checksums": True}],
)
def test_a_word_that_was_not_shown_starts_nothing(master: Readied, other: dict[str, object]) -> None:
    """Whoever confirmed a summary without it has not confirmed this."""

    async def scene(garage: Garage) -> None:
        asked = {"job": garage.job, "upload": garage.hand_in(garage.whole(garage.calibration()))}
        shown: Any = await prepare("preview", {**asked, "of": "write"})(garage.box)
        work = prepare("write", {**asked, **other, "confirmed": shown["digest"]})(garage.box)
        assert (await garage.refusal(work)).code == "NOT_WHAT_WAS_CONFIRMED"
        assert garage.untouched

    visit(master, scene)


def test_more_erases_than_were_shown_are_not_begun(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        work = asyncio.ensure_future(write(garage.box, garage.job, garage.hand_in(garage.package())))
        await stopped_at(garage, Counter.PROGRAMMED, 20_000, work)
        shown: Any = await prepare("preview", {"of": "recover"})(garage.box)
        more = prepare("recover", {"more_erases": True, "confirmed": shown["digest"]})(garage.box)
        assert (await garage.refusal(more)).code == "NOT_WHAT_WAS_CONFIRMED"
        done: Any = await prepare("recover", {"confirmed": shown["digest"]})(garage.box)
        assert done["result"] == "done"

    visit(slave, scene)


def test_every_gate_that_needs_no_car_is_shown_and_confirmed(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        asked = {"job": garage.job, "upload": garage.hand_in(garage.package())}
        shown: Any = await prepare("preview", {**asked, "of": "write"})(garage.box)
        assert [one["name"] for one in shown["gates"]] == [gate.name for gate in PAPER_GATES]
        assert {one["verdict"] for one in shown["gates"]} == {"pass"}
        waived = GateVerdict(PAPER_GATES[0].name, "waived", waiver=Waiver("Kim", "another verdict"))
        monkeypatch.setattr(preview, "check_request", lambda request: [waived, *check_request(request)[1:]])
        work = prepare("write", {**asked, "confirmed": shown["digest"]})(garage.box)
        assert (await garage.refusal(work)).code == "NOT_WHAT_WAS_CONFIRMED"
        assert garage.untouched

    visit(slave, scene)


def test_what_the_gates_refuse_is_refused_by_them_also_a_second_later(slave: Readied) -> None:
    """The refusal of a grant that is over tells the time: it is no other file for that."""

    async def scene(garage: Garage) -> None:
        asked = {"job": garage.job, "upload": garage.hand_in(garage.package())}
        garage.box.now = lambda: float(NOW_S + 3600)
        shown: Any = await prepare("preview", {**asked, "of": "write"})(garage.box)
        assert "signatures" in shown["refused"]
        garage.box.now = lambda: float(NOW_S + 3601)
        work = prepare("write", {**asked, "confirmed": shown["digest"]})(garage.box)
        assert (await garage.refusal(work)).code == "GATES_REFUSED"
        assert garage.untouched

    visit(slave, scene)


def test_papers_that_do_not_release_the_file_are_told(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        upload = garage.hand_in(garage.package(job_id="another-job"))
        told = await preview.preview_write(garage.box, OfWrite(job=garage.job, upload=upload))
        assert told["refused"]
        assert told["target_sha256"] is None

    visit(slave, scene)


def test_a_recovery_is_told_without_opening_any_sealed_file(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        work = asyncio.ensure_future(write(garage.box, garage.job, garage.hand_in(garage.package())))
        await stopped_at(garage, Counter.PROGRAMMED, 20_000, work)
        for blob in (slave.state / "blobs").rglob("*.age"):
            blob.unlink()
        told = await preview.preview_recover(garage.box, OfRecovery())
        assert (told["job"], told["kind"]) == (garage.job, "tuned")
        assert [one["name"] for one in told["regions"]] == ["calibration"]
        back = await preview.preview_recover(garage.box, OfRecovery(job=garage.job, original=True))
        assert back["kind"] == "original"
        assert {one["name"] for one in back["regions"]} == {
            region.name for region in garage.definition.regions if region.writable
        }
        rescue = await preview.preview_recover(garage.box, OfRecovery(definition=garage.definition.id))
        assert (rescue["job"], rescue["kind"], rescue["verb"]) == (None, "original", "recover")

    visit(slave, scene)


def test_a_rescue_tells_the_regions_alone_that_its_original_holds(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        whole = preview.chosen_original(garage.box, garage.definition.id, None)
        held = tuple(region for region in whole.regions if region.name == "calibration")
        part = whole.model_copy(update={"regions": held})
        monkeypatch.setattr(preview, "chosen_original", lambda *_: part)
        told = await preview.preview_recover(garage.box, OfRecovery(definition=garage.definition.id))
        assert [one["name"] for one in told["regions"]] == ["calibration"]

    visit(slave, scene)


def test_a_checksum_that_fails_says_what_to_type(master: Readied) -> None:
    async def scene(garage: Garage) -> None:
        spoilt = garage.calibration(corrected=False)
        error = await garage.refusal(
            write(garage.box, garage.job, garage.hand_in(garage.whole(spoilt)), WISH)
        )
        assert "checksum: " in "".join(error.details)
        assert "--correct-checksums" in error.do_now
        packaged = garage.package(
            contents={garage.definition.region("calibration").place.at: spoilt}, checksum=Verdict.FAIL
        )
        refused = await garage.refusal(write(garage.box, garage.job, garage.hand_in(packaged)))
        assert "--correct-checksums" not in refused.do_now

    visit(master, scene)


def test_a_change_outside_the_calibration_says_what_to_type(master: Readied) -> None:
    async def scene(garage: Garage) -> None:
        at = garage.definition.region("code").start + 0x100
        image = bytearray(garage.stock)
        image[at] ^= 0x5A
        upload = garage.hand_in(bytes(image))
        error = await garage.refusal(write(garage.box, garage.job, upload, MasterWish()))
        assert "changed_ranges: " in "".join(error.details)
        assert "`--regions` allows it, of code,calibration" in error.do_now

    visit(master, scene)


def test_a_package_leaves_nothing_to_be_said_besides(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        wish = MasterWish(correct_checksums=True, stated=frozenset({"correct_checksums"}))
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package()), wish))
        assert error.code == "OPTION_UNUSED"
        assert garage.untouched

    visit(slave, scene)


@pytest.mark.parametrize(
    "asked",
    [
        {"file": "0-0"},
        {"definition": "pbx-e400", "job": "j"},
        {"definition": "pbx-e400", "original": True},
    ],
)
def test_a_recovery_leaves_nothing_out_of_account(asked: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="1 validation error"):
        Recover.model_validate({**asked, "verb": "recover"})
    for verb, more in (("recover", {}), ("preview", {"of": "recover"})):
        with pytest.raises(PitboxError, match="PARAMETERS_INVALID"):
            prepare(verb, {**asked, **more})


@pytest.mark.parametrize("of", [None, "read", "preview"])
def test_only_a_write_has_a_preview(of: str | None) -> None:
    with pytest.raises(PitboxError, match="VERB_UNKNOWN"):
        prepare("preview", {"of": of, "job": "j"})
