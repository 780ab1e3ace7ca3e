"""0x19 and 0x14: fault memory (ISO 14229-1, 12)."""

from __future__ import annotations

from simulator.ecu.core import Answer, Core
from simulator.ecu.nrc import Nrc, require

AVAILABLE_STATUS = 0x2F
"""testFailed, failedThisCycle, pending, confirmed, failedSinceClear."""
PENDING = 0x04
CONFIRMED = 0x08
STORED_STATUS = 0x2C
"""Status the definition's fault codes start with: pending, confirmed, failedSinceClear."""
_ALL_GROUPS = b"\xff\xff\xff"


def dtc_bytes(code: str) -> bytes:
    """Three bytes of a code such as P0301-00; without a failure type, 00 (sources: uds-identification)."""
    base, _, failure = code.partition("-")
    return bytes(
        (("PCBU".index(base[0]) << 6) | (int(base[1], 16) << 4) | int(base[2], 16), int(base[3:5], 16))
    ) + bytes((int(failure or "0", 16),))


def read_dtc(core: Core, request: bytes) -> Answer:
    """0x19 02 by status mask, 0x19 0A everything it can store."""
    stored = core.nvm.records.dtcs
    if request[1] == 0x0A:
        require(len(request) == 2, Nrc.INCORRECT_LENGTH)
        supported = dict.fromkeys(core.definition.twin.dtcs, 0) | stored
        return b"\x59\x0a" + _listed(supported)
    require(len(request) == 3, Nrc.INCORRECT_LENGTH)
    return b"\x59\x02" + _listed({code: bits for code, bits in stored.items() if bits & request[2]})


def _listed(codes: dict[str, int]) -> bytes:
    records = (dtc_bytes(code) + bytes((status & AVAILABLE_STATUS,)) for code, status in codes.items())
    return bytes((AVAILABLE_STATUS,)) + b"".join(records)


def clear_dtc(core: Core, request: bytes) -> Answer:
    """0x14: the group "all", or one code."""
    require(len(request) == 4, Nrc.INCORRECT_LENGTH)
    stored, group = core.nvm.records.dtcs, request[1:]
    known = {dtc_bytes(code) for code in (*stored, *core.definition.twin.dtcs)}
    require(group == _ALL_GROUPS or group in known, Nrc.REQUEST_OUT_OF_RANGE)
    require(not core.around.engine_running(), Nrc.CONDITIONS_NOT_CORRECT)
    with core.nvm.update() as records:
        records.dtcs = {
            code: bits for code, bits in stored.items() if group not in (_ALL_GROUPS, dtc_bytes(code))
        }
    return b"\x54"


def store_dtc(core: Core, code: str, status: int = STORED_STATUS) -> None:
    """What the ECU's own diagnosis does; nothing while 0x85 has switched it off."""
    if core.session.dtc_setting_on:
        with core.nvm.update() as records:
            records.dtcs = {**records.dtcs, code: status}
