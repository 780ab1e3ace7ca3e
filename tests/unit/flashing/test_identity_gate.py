"""Which ECU it is, by whatever the access can tell: numbers, a chip id, or memory and a person's word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.contract.jobs import JobState
from appliance.contract.places import Range
from appliance.definitions.schema import Definition
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.flashing.preflight import preflight
from appliance.flashing.writing import write
from appliance.protocols.access import EcuIdentity, EcuRefusedError, LinkLostError, Purpose, Refusal
from simulator.virtualtime import run_virtual
from tests.support.box import JOB, AllClear, Box, random_image, request_for, tuned_from
from tests.support.probe_access import IDENTITY, Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

CHIP = EcuIdentity(chip_id="0x1A2B3C4D")


def gate(box: Box, request: WriteRequest) -> tuple[str, str]:
    """Verdict and detail of the identity gate; every other gate passes."""
    before = box.state
    try:
        run_virtual(preflight(box.job, request, AllClear()))
        box.journal.move(JOB, before)
    except GatesRefusedError as refused:
        assert [one.name for one in refused.failed] == ["identity"]
    kept: Any = box.journal.job(JOB).detail["gates"]
    return next((one["verdict"], one["detail"]) for one in kept if one["name"] == "identity")


def numberless(box: Box, access: ProbeAccess, *, word: bool, known: EcuIdentity = IDENTITY) -> None:
    """A tap without identity, on a job that was read."""
    box.read_verified()
    definition = box.job.definition
    box.journal.describe(JOB, definition.id, definition.digest(), "obd", known)
    access.tells = False
    box.job.car.confirmed = word


def erase_all(ecu: ProbeEcu) -> None:
    for data in ecu.memory.values():
        data[:] = b"\xff" * len(data)


# --- a tap that tells no number


@pytest.mark.parametrize("known", [IDENTITY, EcuIdentity()], ids=["read over another access", "never told"])
@pytest.mark.parametrize("tuned", [False, True])
def test_memory_and_a_persons_word_stand_in_for_numbers(
    box: Box,
    access: ProbeAccess,
    definition: Definition,
    original: MemoryImage,
    tuned: bool,
    known: EcuIdentity,
) -> None:
    file = tuned_from(definition, original) if tuned else None
    request = request_for(definition, original, file)
    if known == EcuIdentity():
        request = replace(request, papers=replace(request.papers, ecu_hw=None, ecu_sw=None, ecu_boot=None))
    numberless(box, access, word=False, known=known)
    verdict, detail = gate(box, request)
    assert verdict == "unknown", "a fingerprint tells content, not a car"
    assert "--car and " + ("the VIN" if known.vin else "the job's id") in detail
    box.job.car.confirmed = True
    verdict, detail = gate(box, request)
    assert verdict == "pass"
    assert ("8 of 8" if tuned else "6 of 6") + " samples" in detail
    assert access.opened_for == [Purpose.READ] * 2
    assert access.closes >= 2, "the ECU is let go of"


def test_the_sample_has_blocks_that_the_write_leaves_alone(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    """One strange byte outside the write is another ECU, whatever a person says."""
    numberless(box, access, word=True)
    boot = definition.region("boot")
    ecu.damage(boot.start + 8)
    for tuned in (None, tuned_from(definition, original)):
        verdict, detail = gate(box, request_for(definition, original, tuned))
        assert verdict == "fail"
        assert "boot 0x00000000" in detail
    assert access.erased == []


def test_a_tuned_file_needs_memory_as_it_was_read_the_own_original_does_not(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    numberless(box, access, word=True)
    code = definition.region("code")
    for offset in range(0, code.size_bytes, 4096):
        ecu.damage(code.start + offset + 5)
    verdict, _ = gate(box, request_for(definition, original, tuned_from(definition, original)))
    assert verdict == "fail"
    verdict, detail = gate(box, request_for(definition, original, None))
    assert verdict == "pass", "that is what goes away"
    assert "4 of 6 samples" in detail


@pytest.mark.parametrize("tuned", [False, True])
def test_the_memory_of_another_ecu_is_refused_against_every_word(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage, tuned: bool
) -> None:
    numberless(box, access, word=True)
    ecu.memory = ProbeEcu.holding(definition, random_image(definition, 77)).memory
    request = request_for(definition, original, tuned_from(definition, original) if tuned else None)
    assert gate(box, request)[0] == "fail"


def test_an_erased_memory_takes_its_own_original_and_no_other_file(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    numberless(box, access, word=True)
    erase_all(ecu)
    verdict, detail = gate(box, request_for(definition, original, None))
    assert (verdict, "6 are erased" in detail) == ("pass", True)
    verdict, _ = gate(box, request_for(definition, original, tuned_from(definition, original)))
    assert verdict == "fail"


def test_where_nothing_can_be_told_nor_looked_at_it_is_unknown(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage
) -> None:
    numberless(box, access, word=True)
    for on in ("read", "proves_equal"):
        error = EcuRefusedError(Refusal.UNSUPPORTED, "read-out is locked")
        access.faults.append(Fault(on, times=1000, error=error))
    assert gate(box, request_for(definition, original, None))[0] == "unknown"


def test_a_wire_that_is_lost_in_the_middle_is_no_pass(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage, verify: str
) -> None:
    numberless(box, access, word=True)
    on = "proves_equal" if verify == "hash" else "read"
    access.faults.append(Fault(on, call=3, times=1000, error=LinkLostError("the clip is off")))
    verdict, detail = gate(box, request_for(definition, original, None))
    assert (verdict, "the clip is off" in detail) == ("fail", True)


def test_a_tuned_file_for_another_hardware_is_refused_by_what_the_job_knows(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage
) -> None:
    numberless(box, access, word=True)
    request = request_for(definition, original, tuned_from(definition, original))
    request = replace(request, papers=replace(request.papers, ecu_hw="ANOTHER"))
    verdict, detail = gate(box, request)
    assert (verdict, detail) == ("fail", "the file is for HW ANOTHER, this ECU is PROBE-HW-1")


# --- a chip id


@pytest.mark.parametrize("tuned", [False, True])
def test_a_chip_id_is_one_ecu_alone_and_needs_no_word(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage, tuned: bool
) -> None:
    box.read_verified()
    box.journal.describe(
        JOB, definition.id, definition.digest(), "obd", replace(IDENTITY, chip_id=CHIP.chip_id)
    )
    access.told = CHIP
    request = request_for(definition, original, tuned_from(definition, original) if tuned else None)
    assert gate(box, request) == ("pass", "CHIP_ID 0x1A2B3C4D, which is that of the job's ECU alone")
    assert access.opened_for == [], "memory was not asked for"
    access.told = EcuIdentity(chip_id="0xFFFF0000")
    verdict, detail = gate(box, request)
    assert (verdict, "CHIP_ID is 0xFFFF0000" in detail) == ("fail", True)


def test_a_chip_id_that_the_job_never_heard_needs_memory_and_a_word(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage
) -> None:
    box.read_verified()
    access.told = CHIP
    request = request_for(definition, original, None)
    assert gate(box, request)[0] == "unknown"
    box.job.car.confirmed = True
    assert gate(box, request)[0] == "pass"


def test_an_ecu_that_told_numbers_and_is_silent_about_them_now_is_refused(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage
) -> None:
    """A person's word stands in for what an access cannot tell, not for what it does not tell today."""
    box.read_verified()
    box.job.car.confirmed = True
    access.told = EcuIdentity()
    assert gate(box, request_for(definition, original, None))[0] == "fail"


# --- a dead application


def killed(ecu: ProbeEcu, definition: Definition) -> None:
    """Half written by another tool: the calibration is erased, and only the bootloader answers."""
    for block in blocks_of(definition, definition.best_access, writable_only=True)[-4:]:
        ecu.erase(block)
    assert not ecu.running


@pytest.mark.parametrize("tells", ["serial", "hw", "nothing"])
def test_a_dead_application_gets_its_own_original_back(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage, tells: str
) -> None:
    box.read_verified()
    killed(ecu, definition)
    access.tells = tells != "nothing"
    access.told = EcuIdentity(**{tells: getattr(IDENTITY, tells)}) if access.tells else EcuIdentity()
    request = request_for(definition, original, None)
    if tells != "serial":
        assert gate(box, request)[0] == "unknown"
        box.job.car.confirmed = True
    assert gate(box, request)[0] == "pass"
    plan = run_virtual(preflight(box.job, request, AllClear()))
    result = run_virtual(write(box.job, plan))
    assert result.outcome is JobState.RESTORED
    assert ecu.image().sha256() == original.sha256()
    assert ecu.running
    assert Purpose.WRITE not in access.opened_for, "there is no application that could be asked"


def test_a_dead_application_gets_no_tuned_file(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    box.read_verified()
    killed(ecu, definition)
    box.job.car.confirmed = True
    verdict, detail = gate(box, request_for(definition, original, tuned_from(definition, original)))
    assert (verdict, detail) == ("fail", "the application does not answer: use recover instead")


def test_another_dead_ecu_of_the_same_kind_is_refused_by_its_serial(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    box.read_verified()
    killed(ecu, definition)
    access.told = EcuIdentity(hw=IDENTITY.hw, serial="S2")
    box.job.car.confirmed = True
    verdict, detail = gate(box, request_for(definition, original, None))
    assert (verdict, detail) == ("fail", "SERIAL is S2, the job was read from S1")


def test_a_silent_ecu_is_refused_whatever_a_person_says(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    numberless(box, access, word=True)
    ecu.powered = False
    assert gate(box, request_for(definition, original, None))[0] == "fail"


def test_a_whole_numberless_job_writes_and_proves(
    box: Box, access: ProbeAccess, ecu: ProbeEcu, definition: Definition, original: MemoryImage
) -> None:
    numberless(box, access, word=True)
    tuned = tuned_from(definition, original)
    plan = run_virtual(preflight(box.job, request_for(definition, original, tuned), AllClear()))
    assert run_virtual(write(box.job, plan)).outcome is JobState.DONE
    assert ecu.image().sha256() == original.overlaid(tuned).sha256()
    assert ecu.read(Range("flash", 0, 16)) == original.slice(Range("flash", 0, 16))


# --- an ECU that never told its hardware number

NO_HW = EcuIdentity(sw="SW-1", boot="BL-1")


@pytest.mark.parametrize("tuned", [False, True])
def test_without_a_hardware_number_memory_and_a_word_decide(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage, tuned: bool
) -> None:
    file = tuned_from(definition, original) if tuned else None
    request = request_for(definition, original, file)
    request = replace(request, papers=replace(request.papers, ecu_hw=None, ecu_sw=None, ecu_boot=None))
    numberless(box, access, word=False, known=NO_HW)
    access.tells, access.told = True, NO_HW
    assert gate(box, request)[0] == "unknown"
    box.job.car.confirmed = True
    assert gate(box, request)[0] == "pass"
    access.told = replace(NO_HW, boot="BL-2")
    assert gate(box, request)[0] == "fail"
    access.told = replace(NO_HW, sw="SW-2")
    assert gate(box, request)[0] == ("fail" if tuned else "pass"), "its software is what goes away"
    access.told = replace(NO_HW, serial="S2")
    box.journal.describe(JOB, definition.id, definition.digest(), "obd", replace(NO_HW, serial="S1"))
    assert gate(box, request)[0] == "fail"


def test_without_a_hardware_number_a_serial_number_is_enough(
    box: Box, access: ProbeAccess, definition: Definition, original: MemoryImage
) -> None:
    told = replace(NO_HW, serial="S1")
    numberless(box, access, word=False, known=told)
    access.tells, access.told = True, told
    verdict, detail = gate(box, request_for(definition, original, None))
    assert verdict == "pass"
    assert "S1" in detail
