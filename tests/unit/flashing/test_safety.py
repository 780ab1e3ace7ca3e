"""Whether an ECU is safe is what the journal says, whoever raised the error and whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH
from appliance.flashing.database import StorageError
from appliance.flashing.journal import Journal, Step
from appliance.flashing.safety import may_be_same_car, standing, tell_safety
from appliance.protocols.access import EcuIdentity
from tests.support.box import mac

ORDER = "{}"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path / "journal.db", lambda: 0.0, mac)
    yield one
    one.close()


def job(journal: Journal, job_id: str, vin: str | None = "VIN-A", hw: str = "HW") -> str:
    """A job that has read its ECU."""
    journal.create_job(job_id)
    journal.describe(job_id, "pbx-x050", "sha", "obd", EcuIdentity(hw=hw, vin=vin))
    journal.move(job_id, JobState.IDENTIFIED)
    journal.move(job_id, JobState.READING)
    journal.read_verified(job_id, f"original-{job_id}")
    return job_id


def begun(journal: Journal, job_id: str, *, erased: bool) -> int:
    """Its write, open, with or without the intent of an erase."""
    journal.move(job_id, JobState.PREFLIGHT)
    flash = journal.open_flash(job_id, ORDER)
    journal.step(flash, Step.SESSION_OPEN)
    if erased:
        journal.next_block(flash, None, (FLASH, 0x1000))
    return flash


def done(journal: Journal, job_id: str, state: JobState = JobState.DONE) -> None:
    """Its write, proven and closed."""
    flash = begun(journal, job_id, erased=True)
    journal.move(job_id, JobState.VERIFYING)
    journal.step(flash, Step.VERIFY_OK)
    journal.close_flash(flash, job_id, state, state.value)


def told(journal: Journal, job_id: str | None, code: str = "X", doubted: bool = False) -> PitboxError:
    """An error as it leaves the engine."""
    error = PitboxError(code, "what", do_now="now", details=("its own",))
    tell_safety(error, journal, job_id, journal_doubted=doubted)
    assert error.details[0] == "its own"
    return error


@pytest.mark.parametrize("named", ["a", "no-such-job", None])
def test_no_write_ever_is_untouched(journal: Journal, named: str | None) -> None:
    assert standing(journal, named).ecu is EcuSafety.UNTOUCHED
    job(journal, "a")
    assert standing(journal, named).ecu is EcuSafety.UNTOUCHED


@pytest.mark.parametrize("named", ["a", "no-such-job", None])
def test_an_open_write_is_half_written_from_its_first_intent_to_erase(
    journal: Journal, named: str | None
) -> None:
    flash = begun(journal, job(journal, "a"), erased=False)
    assert standing(journal, named).ecu is EcuSafety.UNTOUCHED
    journal.next_block(flash, None, (FLASH, 0x1000))
    assert standing(journal, named).ecu is EcuSafety.HALF_WRITTEN
    journal.move_with_step(flash, Step.INTERRUPTED, "a", JobState.INTERRUPTED, "cut")
    assert standing(journal, named).ecu is EcuSafety.HALF_WRITTEN


@pytest.mark.parametrize("named", ["a", None])
@pytest.mark.parametrize("end", [JobState.DONE, JobState.RESTORED])
def test_a_write_that_was_proven_is_intact(journal: Journal, named: str | None, end: JobState) -> None:
    done(journal, job(journal, "a"), end)
    assert standing(journal, named).ecu is EcuSafety.INTACT


def test_a_write_given_up_before_its_first_erase_changes_nothing(journal: Journal) -> None:
    flash = begun(journal, job(journal, "a"), erased=False)
    journal.close_flash(flash, "a", JobState.READ_VERIFIED, "abandoned, nothing erased")
    assert standing(journal, "a").ecu is EcuSafety.UNTOUCHED
    done(journal, "a")
    flash = begun(journal, "a", erased=False)
    assert standing(journal, "a").ecu is EcuSafety.INTACT
    journal.close_flash(flash, "a", JobState.READ_VERIFIED, "abandoned, nothing erased")
    assert standing(journal, "a").ecu is EcuSafety.INTACT


@pytest.mark.parametrize("named", ["a", None])
def test_an_ecu_for_the_bench_is_half_written(journal: Journal, named: str | None) -> None:
    flash = begun(journal, job(journal, "a"), erased=True)
    journal.move("a", JobState.INTERRUPTED)
    journal.move("a", JobState.RECOVERING)
    journal.close_flash(flash, "a", JobState.NEEDS_BENCH, "needs bench")
    assert standing(journal, named).ecu is EcuSafety.HALF_WRITTEN


def test_the_errors_own_job_decides_and_another_half_written_car_is_named(journal: Journal) -> None:
    done(journal, job(journal, "b", "VIN-B"))
    job(journal, "c", "VIN-C")
    begun(journal, job(journal, "a"), erased=True)
    for named, ecu in (("b", EcuSafety.INTACT), ("c", EcuSafety.UNTOUCHED)):
        error = told(journal, named)
        assert error.ecu is ecu
        assert error.details[1:] == (
            "the ECU of job a (VIN VIN-A) is half written: `pitbox recover --job a` finishes it, "
            "with `--original` its original goes back",
        )
    assert len(told(journal, None).details[1:]) == 1


def test_the_way_on_is_named_once(journal: Journal) -> None:
    begun(journal, job(journal, "a"), erased=True)
    assert "--original" in told(journal, "a").details[-1]
    error = PitboxError("X", "what", do_now="Run `pitbox recover --job a`.")
    tell_safety(error, journal, "a")
    assert error.details == ()


def test_a_write_is_running_only_while_somebody_writes(journal: Journal) -> None:
    begun(journal, job(journal, "a"), erased=True)
    running, interrupted = PitboxError("X", "what", do_now="n"), PitboxError("X", "what", do_now="n")
    tell_safety(running, journal, None, writing=True)
    assert "is being written now" in running.details[-1] and "recover" not in running.details[-1]
    assert standing(journal, writing=True).open_writes[0].state == "flashing"
    tell_safety(interrupted, journal, None)
    assert "`pitbox recover --job a`" in interrupted.details[-1]
    assert standing(journal).open_writes[0].state == "interrupted", "a full disk kept the journal from it"


@pytest.mark.parametrize("vin", ["VIN-A", None])
def test_another_job_of_what_may_be_the_same_car_is_as_half_written(
    journal: Journal, vin: str | None
) -> None:
    done(journal, job(journal, "b", vin))
    begun(journal, job(journal, "a"), erased=True)
    assert standing(journal, "b").ecu is EcuSafety.HALF_WRITTEN


def test_a_car_of_other_hardware_is_another_one_though_neither_tells_its_vin(journal: Journal) -> None:
    done(journal, job(journal, "b", None, "OTHER"))
    begun(journal, job(journal, "a", None), erased=True)
    assert standing(journal, "b").ecu is EcuSafety.INTACT


def test_a_rescue_that_has_not_erased_yet_says_unknown(journal: Journal) -> None:
    read = journal.job(job(journal, "b"))
    flash = journal.open_rescue(replace(read, id="a", state=JobState.INTERRUPTED), ORDER)
    assert standing(journal, "a").ecu is EcuSafety.UNKNOWN
    journal.next_block(flash, None, (FLASH, 0x1000))
    assert standing(journal, "a").ecu is EcuSafety.HALF_WRITTEN


@pytest.mark.parametrize(
    ("code", "written", "ecu"),
    [
        ("ECU_IN_BOOTLOADER", False, EcuSafety.UNKNOWN),
        ("ECU_IN_BOOTLOADER", True, EcuSafety.UNKNOWN),
        ("VERIFY_FAILED", False, EcuSafety.UNTOUCHED),
        ("VERIFY_FAILED", True, EcuSafety.UNKNOWN),
        ("ECU_SILENT", True, EcuSafety.INTACT),
    ],
)
def test_what_the_ecu_itself_says_outranks_the_journal(
    journal: Journal, code: str, written: bool, ecu: EcuSafety
) -> None:
    job(journal, "a")
    if written:
        done(journal, "a")
    assert told(journal, "a", code).ecu is ecu


def test_a_doubted_journal_soothes_nobody(journal: Journal) -> None:
    assert told(journal, None, doubted=True).ecu is EcuSafety.UNKNOWN
    begun(journal, job(journal, "a"), erased=True)
    assert told(journal, None, doubted=True).ecu is EcuSafety.HALF_WRITTEN


def test_a_journal_that_cannot_be_read_is_unknown(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_: Journal) -> object:
        raise StorageError(journal.path, "input/output error")

    monkeypatch.setattr(Journal, "jobs", unreadable)
    assert told(journal, None).ecu is EcuSafety.UNKNOWN


@pytest.mark.parametrize(
    ("known", "told_now", "same"),
    [
        (EcuIdentity(hw="H", serial="S1"), EcuIdentity(hw="H", serial="S2"), False),
        (EcuIdentity(hw="H", chip_id="1"), EcuIdentity(hw="H", chip_id="2"), False),
        (EcuIdentity(hw="H", serial="S1"), EcuIdentity(hw="H"), True),
        (EcuIdentity(hw="H"), EcuIdentity(hw="H", serial="S1"), True),
        (EcuIdentity(hw="H", vin="V1"), EcuIdentity(hw="H", vin="V2"), False),
    ],
)
def test_a_serial_number_tells_two_ecus_of_one_kind_apart(
    journal: Journal, known: EcuIdentity, told_now: EcuIdentity, same: bool
) -> None:
    begun(journal, job(journal, "a"), erased=True)
    journal.describe("a", "pbx", "0" * 64, "obd", known)
    job(journal, "b")
    journal.describe("b", "pbx", "0" * 64, "obd", told_now)
    (write,) = standing(journal).open_writes
    assert may_be_same_car(write, journal.job("b")) is same
