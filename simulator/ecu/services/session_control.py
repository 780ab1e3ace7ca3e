"""0x10 sessions, 0x11 reset, 0x3E keep-alive, 0x28 communication, 0x85 fault storage (ISO 14229-1, 10)."""

from __future__ import annotations

import asyncio

from simulator.ecu.chip import Program
from simulator.ecu.core import Answer, Core
from simulator.ecu.nrc import Nrc, require
from simulator.ecu.options import TransferEnd
from simulator.ecu.session import Kind


def session_numbers(core: Core) -> dict[int, Kind]:
    """Sub-functions of 0x10 and what they mean, as the definition numbers them."""
    sessions = core.access.sessions
    return {0x01: Kind.DEFAULT, sessions.extended: Kind.EXTENDED, sessions.programming: Kind.PROGRAMMING}


def session_control(core: Core, request: bytes) -> Answer:
    """0x10. Entering the programming session from the application starts the bootloader."""
    require(len(request) == 2, Nrc.INCORRECT_LENGTH)
    number = request[1]
    kind = session_numbers(core)[number]
    if kind is Kind.PROGRAMMING and not core.in_bootloader:
        _require_programming_conditions(core)
        return jump_to_bootloader(core, number)
    if kind is Kind.DEFAULT:
        core.follow_up = core.reset if core.in_bootloader else lambda: core.set_rate(None)
    core.enter_session(kind, number)
    return bytes((0x50, number)) + core.timing_record()


def _require_programming_conditions(core: Core) -> None:
    sessions = core.access.sessions
    require(not core.options.authentication_only, Nrc.AUTHENTICATION_REQUIRED)
    require(core.session.kind is not Kind.DEFAULT, Nrc.SUB_FUNCTION_NOT_IN_SESSION)
    checked = core.session.preconditions_checked or sessions.precondition_routine is None
    require(checked, Nrc.CONDITIONS_NOT_CORRECT)
    require(not core.around.engine_running(), Nrc.ENGINE_RUNNING)
    core.require_voltage()


async def jump_to_bootloader(core: Core, number: int) -> bytes:
    """The bootloader, once it runs, answers for the application that handed over."""
    core.program = Program.BOOTING
    await asyncio.sleep(core.definition.twin.boot_ms / 1000)
    core.program = Program.BOOTLOADER
    core.start_up(TransferEnd.SESSION)
    core.enter_session(Kind.PROGRAMMING, number)
    return bytes((0x50, number)) + core.timing_record()


def ecu_reset(core: Core, request: bytes) -> Answer:
    """0x11: the reset follows the answer."""
    require(len(request) == 2, Nrc.INCORRECT_LENGTH)
    core.follow_up = core.reset
    return bytes((0x51, request[1]))


def tester_present(core: Core, request: bytes) -> Answer:
    """0x3E."""
    require(len(request) == 2, Nrc.INCORRECT_LENGTH)
    return bytes((0x7E, request[1]))


def communication_control(core: Core, request: bytes) -> Answer:
    """0x28 00 to 03 for normal (1), network management (2) or both (3) messages."""
    require(len(request) == 3, Nrc.INCORRECT_LENGTH)
    require(request[2] in (1, 2, 3), Nrc.REQUEST_OUT_OF_RANGE)
    if request[2] & 1:
        core.session.communication_on = request[1] in (0x00, 0x02)
    return bytes((0x68, request[1]))


def control_dtc_setting(core: Core, request: bytes) -> Answer:
    """0x85 01 on, 02 off."""
    require(len(request) == 2, Nrc.INCORRECT_LENGTH)
    core.session.dtc_setting_on = request[1] == 0x01
    return bytes((0xC5, request[1]))
