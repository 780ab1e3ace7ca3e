"""A slave-role box and a package that does not fit: every failing gate is named, nothing is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import GatesEvent
from appliance.contract.jobs import JobState
from appliance.contract.manifest import GrantOp, Verdict
from appliance.contract.places import FLASH
from appliance.engine.operations.write import restore, write
from appliance.engine.plaintext import Opened
from appliance.engine.tuned_package import open_tuned
from tests.support.garage import Garage, Readied, other_job, sealed_region, visit
from tests.support.places import flash

Build = Callable[[Garage], bytes]


def refused(readied: Readied, build: Build, **car: object) -> tuple[PitboxError, dict[str, str]]:
    """The refusal, and the verdicts shown by gate; the ECU, the job and the original must be as before."""

    async def attempt(garage: Garage) -> tuple[PitboxError, dict[str, str]]:
        before = garage.box.journal.job(garage.job)
        upload = garage.hand_in(build(garage))
        error = await garage.refusal(write(garage.box, garage.job, upload))
        after = garage.box.journal.job(garage.job)
        assert garage.untouched
        assert (after.state, after.original_file) == (before.state, before.original_file)
        assert garage.box.journal.open_flashes() == []
        assert garage.box.images.read_plaintext(garage.box.images.load(before.original_file or ""))
        shown = [event for event in garage.events if isinstance(event, GatesEvent)]
        verdicts = {gate.name: gate.verdict for event in shown for gate in event.gates}
        return error, verdicts

    return visit(readied, attempt, **car)


def failing(verdicts: dict[str, str]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict not in ("pass", "not_applicable")}


def test_a_package_that_fits_is_written(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        tuned = garage.calibration()
        result = await write(garage.box, garage.job, garage.hand_in(garage.package()))
        assert result["result"] == "done"
        assert garage.car.ecu.memory.whole() == garage.whole(tuned)
        assert garage.box.uploads == {}

    visit(slave, attempt)


def test_versions_of_a_jobs_tuned_file_only_go_up_also_over_a_restart(slave: Readied) -> None:
    async def second(garage: Garage) -> None:
        result = await write(garage.box, garage.job, garage.hand_in(garage.package(version=2)))
        assert result["result"] == "done"

    async def first(garage: Garage) -> None:
        written = garage.car.ecu.memory.whole()
        upload = garage.hand_in(garage.package(version=1))
        refusal = await garage.refusal(write(garage.box, garage.job, upload))
        assert "VAULT_GRANT_VERSION" in str(refusal.details)
        assert garage.car.ecu.memory.whole() == written
        assert (await restore(garage.box, garage.job))["result"] == "restored"

    visit(slave, second)
    visit(slave, first)


WRONG_STATEMENTS: dict[str, tuple[Build, set[str]]] = {
    "other hardware": (
        lambda g: g.package(ecu=_ecu(g, hw="ANOTHER-HW")),
        {"signatures"},
    ),
    "other software": (lambda g: g.package(ecu=_ecu(g, sw="ANOTHER-SW")), {"signatures"}),
    "other VIN": (lambda g: g.package(ecu=_ecu(g, vin_hmac="ab" * 32)), {"signatures"}),
    "other job": (lambda g: g.package(job_id=other_job()), {"signatures"}),
    "other box": (lambda g: g.package(device={"device_id": "pitbox-other"}), {"signatures"}),
    "other pairing": (lambda g: g.package(device={"epoch": 7}), {"signatures"}),
    "expired": (lambda g: g.package(limits={"nbf_s": 1, "exp_s": 2}), {"signatures"}),
    "not yet": (lambda g: g.package(limits={"nbf_s": 1 << 31, "exp_s": 1 << 32}), {"signatures"}),
    "for verifying only": (lambda g: g.package(limits={"op": GrantOp.VERIFY}), {"signatures"}),
    "other method": (lambda g: g.package(method="bench"), {"method"}),
    "another base read": (lambda g: g.package(base_sha256="00" * 32), {"base_read"}),
    "no consent": (lambda g: g.package(consents=()), {"consents"}),
    "bad checksum": (
        lambda g: g.package(contents={(FLASH, 0x3_0000): g.calibration(corrected=False)}),
        {"checksum"},
    ),
    "too long": (
        lambda g: g.package(
            contents={(FLASH, 0x3_0000): g.calibration() + bytes(16)},
            regions=(sealed_region("calibration", 0x3_0000, 0x1_0010),),
        ),
        {"regions", "length", "changed_ranges", "checksum"},
    ),
    "cut short": (
        lambda g: g.package(
            contents={(FLASH, 0x3_0000): g.calibration()[:-16]},
            regions=(sealed_region("calibration", 0x3_0000, 0x1_0000 - 16),),
            changed_ranges=(flash(0x3_0000, 0x1000),),
        ),
        {"regions", "length", "checksum"},
    ),
    "a region that is never written": (
        lambda g: g.package(
            contents={(FLASH, 0): bytes(0x8000)},
            regions=(sealed_region("boot", 0, 0x8000),),
            changed_ranges=(flash(0, 0x8000),),
        ),
        {"regions"},
    ),
    "a region of another ECU": (
        lambda g: g.package(
            contents={(FLASH, 0x10_0000): bytes(64)},
            regions=(sealed_region("calibration", 0x10_0000, 64),),
            changed_ranges=(),
        ),
        {"regions", "length", "changed_ranges", "checksum"},
    ),
    "changes outside the declared ranges": (
        lambda g: g.package(changed_ranges=(flash(0x3_0000, 0x100),)),
        {"changed_ranges"},
    ),
    "several at once": (
        lambda g: g.package(method="bench", consents=(), base_sha256="00" * 32),
        {"method", "consents", "base_read"},
    ),
}


def _ecu(garage: Garage, **other: str) -> object:
    image = garage.box.images.load(garage.box.journal.job(garage.job).original_file or "")
    return image.identity.model_copy(update=other)


@pytest.mark.parametrize("case", WRONG_STATEMENTS)
def test_a_package_that_does_not_fit_is_refused_by_every_gate_it_fails(slave: Readied, case: str) -> None:
    build, gates = WRONG_STATEMENTS[case]
    error, verdicts = refused(slave, build)
    assert error.code == "GATES_REFUSED"
    assert error.ecu is EcuSafety.UNTOUCHED
    assert gates <= failing(verdicts)
    assert {line.split(":")[0] for line in error.details} == failing(verdicts)


def test_a_grant_names_everything_it_does_not_cover(slave: Readied) -> None:
    error, _ = refused(slave, lambda g: g.package(job_id=other_job(), limits={"nbf_s": 1, "exp_s": 2}))
    told = next(line for line in error.details if line.startswith("signatures"))
    assert "expired" in told
    assert "for the job" in told


@pytest.mark.parametrize(("word", "passes"), [(Verdict.UNKNOWN, False), (Verdict.OK, True)])
def test_an_unknown_checksum_passes_only_with_the_masters_word(
    slave: Readied, word: Verdict, passes: bool
) -> None:
    async def attempt(garage: Garage) -> None:
        tuned = garage.calibration()
        garage.use(garage.definition.model_copy(update={"checksums": ()}))
        upload = garage.hand_in(garage.package(checksum=word, contents={(FLASH, 0x3_0000): tuned}))
        if passes:
            assert (await write(garage.box, garage.job, upload))["result"] == "done"
            return
        error = await garage.refusal(write(garage.box, garage.job, upload))
        assert [line.split(": ")[:2] for line in error.details] == [["checksum", "unknown"]]
        assert garage.untouched

    visit(slave, attempt)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_no_byte_of_a_package_can_be_changed(slave: Readied, at: float, mask: int) -> None:
    async def attempt(garage: Garage) -> None:
        data = bytearray(garage.package())
        data[int(at * len(data))] ^= mask
        tuned = open_tuned(garage.box, garage.box.journal.job(garage.job), bytes(data), Opened())
        assert tuned.content is None
        assert tuned.papers.signatures

    visit(slave, attempt)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), like_a_package=st.booleans())
def test_garbage_is_no_package(slave: Readied, data: bytes, like_a_package: bool) -> None:
    async def attempt(garage: Garage) -> None:
        hostile = b"PK\x03\x04" + data if like_a_package else data
        tuned = open_tuned(garage.box, garage.box.journal.job(garage.job), hostile, Opened())
        assert tuned.content is None

    visit(slave, attempt)


def test_a_truncated_package_fails_the_signature_gate(slave: Readied) -> None:
    error, verdicts = refused(slave, lambda g: g.package()[:-500])
    assert "signatures" in failing(verdicts)
    assert error.code == "GATES_REFUSED"


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b":00000001FF\n"])
def test_a_slave_takes_no_plain_file(slave: Readied, data: bytes) -> None:
    error, verdicts = refused(slave, lambda g: data)
    assert error.code == "SLAVE_TAKES_PACKAGES"
    assert verdicts == {}


def test_a_grant_allows_as_many_starts_as_it_says_and_no_more(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        package = garage.package(limits={"max_starts": 2})
        for _ in range(2):
            garage.stock = garage.car.ecu.memory.whole()
            await write(garage.box, garage.job, garage.hand_in(package))
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(package)))
        assert "VAULT_GRANT_STARTS" in error.details[0]
        assert garage.box.journal.job(garage.job).state is JobState.DONE

    visit(slave, attempt)


def test_a_refused_write_does_not_use_up_a_start(slave: Readied) -> None:
    async def attempt(garage: Garage) -> None:
        package = garage.package(limits={"max_starts": 1})
        garage.car.battery.set_level(10.0)
        await garage.refusal(write(garage.box, garage.job, garage.hand_in(package)))
        garage.car.battery.set_level(13.5)
        assert (await write(garage.box, garage.job, garage.hand_in(package)))["result"] == "done"

    visit(slave, attempt)
