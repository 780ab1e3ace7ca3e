"""OBD-II modes 01, 03, 04, 07, 09 and 0A (SAE J1979 on CAN, sources: uds-identification)."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.ecu.core import Answer, Core
from simulator.ecu.nrc import Nrc, require
from simulator.ecu.services.dtc import CONFIRMED, PENDING, dtc_bytes

_CALID_BYTES = 16


def current_data(core: Core, request: bytes) -> Answer:
    """Mode 01, up to six PIDs; unknown ones are left out."""
    require(len(request) <= 7, Nrc.INCORRECT_LENGTH)
    values = _pids(core)
    found = [bytes((pid,)) + values[pid] for pid in request[1:] if pid in values]
    require(bool(found), Nrc.REQUEST_OUT_OF_RANGE)
    return b"\x41" + b"".join(found)


def _pids(core: Core) -> dict[int, bytes]:
    running = core.around.engine_running()
    stored = sum(bool(status & CONFIRMED) for status in core.nvm.records.dtcs.values())
    values = {
        0x01: bytes((min(stored, 0x7F) | (0x80 if stored else 0), 0, 0, 0)),
        0x05: bytes((90 + 40,)),
        0x0C: engine_speed(running),
        0x0D: b"\x00",
        0x42: round(core.around.voltage_v() * 1000).to_bytes(2, "big"),
    }
    if not core.options.tells_obd_engine_speed:
        del values[0x0C]
    for group in (0x00, 0x20, 0x40):
        more = group < 0x40
        values[group] = _bitmap(group, [*values, group + 0x20] if more else values)
    return values


def engine_speed(running: bool) -> bytes:
    """In quarters of a revolution per minute: idle, or none."""
    return (750 * 4 if running else 0).to_bytes(2, "big")


def _bitmap(group: int, supported: Iterable[int]) -> bytes:
    """Which of the 32 identifiers behind `group` are supported, the first in the top bit."""
    bits = sum(1 << (32 - (number - group)) for number in supported if group < number <= group + 0x20)
    return bits.to_bytes(4, "big")


def vehicle_information(core: Core, request: bytes) -> Answer:
    """Mode 09: 02 VIN, 04 calibration ids, 06 calibration verification numbers, 0A name."""
    require(len(request) == 2, Nrc.INCORRECT_LENGTH)
    simulated = core.definition.twin
    calid = simulated.calid.encode("ascii")[:_CALID_BYTES].ljust(_CALID_BYTES, b"\0")
    name = core.definition.kind.upper().encode("ascii").ljust(20, b"\0")
    verification = bytes.fromhex(simulated.cvn).rjust(4, b"\0")
    values = {
        0x02: b"\x01" + simulated.vin.encode("ascii"),
        0x04: b"\x01" + calid,
        0x06: bytes((len(verification) // 4,)) + verification,
        0x0A: b"\x01" + name,
    }
    values[0x00] = _bitmap(0, values)
    require(request[1] in values, Nrc.REQUEST_OUT_OF_RANGE)
    return bytes((0x49, request[1])) + values[request[1]]


def stored_codes(core: Core, request: bytes) -> Answer:
    """Mode 03: confirmed fault codes."""
    return _codes(core, request, CONFIRMED)


def pending_codes(core: Core, request: bytes) -> Answer:
    """Mode 07."""
    return _codes(core, request, PENDING)


def permanent_codes(core: Core, request: bytes) -> Answer:
    """Mode 0A: cannot be cleared by a tester."""
    require(len(request) == 1, Nrc.INCORRECT_LENGTH)
    return _coded(0x4A, core.nvm.records.permanent_dtcs)


def _codes(core: Core, request: bytes, bit: int) -> bytes:
    require(len(request) == 1, Nrc.INCORRECT_LENGTH)
    stored = core.nvm.records.dtcs
    return _coded(request[0] + 0x40, [code for code, status in stored.items() if status & bit])


def _coded(service: int, codes: list[str]) -> bytes:
    return bytes((service, len(codes))) + b"".join(dtc_bytes(code)[:2] for code in codes)


def clear_codes(core: Core, request: bytes) -> Answer:
    """Mode 04: refused while the engine runs."""
    require(len(request) == 1, Nrc.INCORRECT_LENGTH)
    require(not core.around.engine_running(), Nrc.CONDITIONS_NOT_CORRECT)
    with core.nvm.update() as records:
        records.dtcs = {}
    return b"\x44"
