"""0x87: another bit rate, verified and then entered, till the session ends (ISO 14229-1, 10.10)."""

from __future__ import annotations

from appliance.definitions.access.uds import UdsTwin
from simulator.ecu.core import Answer, Core
from simulator.ecu.nrc import Nrc, require

_FIXED, _SPECIFIC, _TRANSITION = 0x01, 0x02, 0x03
_NUMBERED = {0x10: 125_000, 0x11: 250_000, 0x12: 500_000, 0x13: 1_000_000}


def rates_of(core: Core) -> tuple[int, ...]:
    """Those that it changes to."""
    return core.definition.twin.of("uds", UdsTwin).rates_bps


def link_control(core: Core, request: bytes) -> Answer:
    """The rate changes behind the answer, so that this is still heard."""
    form = request[1]
    if form == _TRANSITION:
        require(len(request) == 2, Nrc.INCORRECT_LENGTH)
        verified = core.session.verified_rate_bps
        require(verified is not None, Nrc.REQUEST_SEQUENCE_ERROR)
        core.follow_up = lambda: core.set_rate(verified)
        return bytes((0xC7, form))
    require(len(request) == {_FIXED: 3, _SPECIFIC: 5}[form], Nrc.INCORRECT_LENGTH)
    wanted = _NUMBERED.get(request[2]) if form == _FIXED else int.from_bytes(request[2:])
    require(wanted in rates_of(core), Nrc.REQUEST_OUT_OF_RANGE)
    core.session.verified_rate_bps = wanted
    return bytes((0xC7, form))
