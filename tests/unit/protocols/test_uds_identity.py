"""Who answers, with which program, at which voltage and with which fault codes."""

from __future__ import annotations

import asyncio

import pytest

from appliance.protocols.access import (
    EcuAccess,
    EcuIdentity,
    EcuRefusedError,
    EcuState,
)

from .scripted import Step, asked
from .uds_bench import APPLICATION_ANSWERS, E400, SW, definition, run

HW = b"PBX-E400-01".hex()
BOOT = b"E400-BL-03".hex()
BOOTLOADER = (asked("22 F186", "62 F186 02"),)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        (APPLICATION_ANSWERS, EcuState.APPLICATION),
        (BOOTLOADER, EcuState.BOOTLOADER),
        ((asked("22 F186", "62 F186 01"), asked("22 F188", "7F 22 31")), EcuState.BOOTLOADER),
        ((asked("22 F186", "7F 22 31"), asked("22 F188", "7F 22 33")), EcuState.APPLICATION),
        ((asked("22 F186", "7F 22 11"), asked("22 F188", "7F 22 11")), EcuState.BOOTLOADER),
        ((asked("22 F186"), asked("3E 00"), asked("3E 00")), EcuState.SILENT),
    ],
)
def test_state(steps: tuple[Step, ...], state: EcuState) -> None:
    assert run(E400, lambda access: access.lifecycle.state(), *steps) is state


def test_silence_is_told_quickly() -> None:
    async def scenario(access: EcuAccess) -> float:
        await access.lifecycle.state()
        return asyncio.get_running_loop().time()

    assert run(E400, scenario, asked("22 F186"), asked("3E 00"), asked("3E 00")) < 1.0


def test_what_is_not_answered_stays_unknown() -> None:
    steps = (
        *APPLICATION_ANSWERS,
        asked("09 04", "7F 09 11"),
        asked("09 06", "49 06 01 E400CAFE"),
        asked("22 F191", f"62 F191 {HW}"),
        asked("22 F188", f"62 F188 {SW}"),
        asked("22 F180", "7F 22 31"),
        asked("22 F18C", "62 F18C 000000"),
        asked("22 F190", "7F 22 31"),
        asked("09 02", "49 02 01" + b"PBXTESTCAR0000E40".hex()),
    )
    identity = run(E400, lambda access: access.identity.identify(), *steps)
    assert identity == EcuIdentity(
        hw="PBX-E400-01", sw="E400-SW-0100", vin="PBXTESTCAR0000E40", cvn=("E400CAFE",)
    )


def test_a_bootloader_is_asked_what_bootloaders_know() -> None:
    steps = (
        *BOOTLOADER,
        asked("22 F1A3", "62 F1A3" + b"PBX-S18-01".hex()),
        asked("22 F1F4", "62 F1F4" + b"S18-CB-01".hex()),
        asked("22 F18C", "7F 22 31"),
    )
    identity = run(definition("pbx-s18"), lambda access: access.identity.identify(), *steps)
    assert identity == EcuIdentity(hw="PBX-S18-01", boot="S18-CB-01", bootloader_hw="PBX-S18-01")


def test_voltage_comes_from_the_did_or_from_obd() -> None:
    assert run(E400, lambda access: access.diagnostics.measured_v(), asked("22 F442", "62 F442 87")) == 13.5
    fallback = (asked("22 F442", "7F 22 31"), asked("01 42", "41 42 34BC"))
    assert run(E400, lambda access: access.diagnostics.measured_v(), *fallback) == pytest.approx(13.5)
    assert run(definition("pbx-t300"), lambda access: access.diagnostics.measured_v()) is None


def test_fault_codes_come_from_obd_where_uds_refuses() -> None:
    steps = (
        asked("19 02 0D", "7F 19 11"),
        asked("03", "43 02 0301 C100"),
        asked("07", "47 01 0301"),
        asked("0A", "7F 0A 11"),
    )
    codes = run(E400, lambda access: access.diagnostics.read_dtcs(), *steps)
    assert [dtc.code for dtc in codes] == ["P0301", "U0100"]


def test_fault_codes_nobody_tells_are_an_error_and_not_an_empty_list() -> None:
    refusals = [asked(mode, f"7F {mode} 11") for mode in ("03", "07", "0A")]
    with pytest.raises(EcuRefusedError, match="ReadDTCInformation"):
        run(E400, lambda access: access.diagnostics.read_dtcs(), asked("19 02 0D", "7F 19 11"), *refusals)


def test_clearing_tries_both_ways() -> None:
    run(
        E400,
        lambda access: access.diagnostics.clear_dtcs(),
        asked("14 FFFFFF", "54"),
        asked("04", "7F 04 22"),
    )
    run(
        E400,
        lambda access: access.diagnostics.clear_dtcs(),
        asked("14 FFFFFF", "7F 14 11"),
        asked("04", "44"),
    )
    with pytest.raises(EcuRefusedError):
        run(
            E400,
            lambda access: access.diagnostics.clear_dtcs(),
            asked("14 FFFFFF", "7F 14 11"),
            asked("04", "7F 04 22"),
        )
