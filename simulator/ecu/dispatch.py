"""Which service answers a request, and the checks before it in the order of ISO 14229-1, figure 5."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from simulator.ecu.chip import Program
from simulator.ecu.core import Answer, Core, Handler
from simulator.ecu.makes import make_of
from simulator.ecu.nrc import Nrc, RefusedError, require
from simulator.ecu.services import data, dtc, link_control, obd, routine, security, session_control, transfer
from simulator.ecu.session import Kind

BOTH = frozenset({Program.APPLICATION, Program.BOOTLOADER})
APPLICATION = frozenset({Program.APPLICATION})
ANY_SESSION = frozenset(Kind)
NOT_DEFAULT = frozenset({Kind.EXTENDED, Kind.PROGRAMMING})
PROGRAMMING = frozenset({Kind.PROGRAMMING})
LOCKED_BY_CERTIFICATE = frozenset({0x27, 0x2E, 0x31, 0x34, 0x3D})
"""Refused with 0x34 by an ECU that wants a certificate instead of a key."""

SubFunctions = Callable[[Core], Collection[int]]


@dataclass(frozen=True, slots=True)
class Service:
    """One service: who offers it, when, and what the request needs at least."""

    handle: Handler
    minimum_bytes: int
    programs: frozenset[Program] = BOTH
    sessions: frozenset[Kind] = ANY_SESSION
    sub_functions: SubFunctions | None = None
    """The values of byte 1 without the suppress bit; None where byte 1 is no sub-function."""


def _fixed(*numbers: int) -> SubFunctions:
    return lambda core: numbers


_OF_A_MAKE = frozenset({0x1A, 0x20, 0x82})


def _of_a_make(core: Core, request: bytes) -> Answer:
    """Only ECUs of a kind of their own have it."""
    raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED)


SERVICES: dict[int, Service] = {
    0x10: Service(session_control.session_control, 2, sub_functions=session_control.session_numbers),
    0x11: Service(session_control.ecu_reset, 2, sub_functions=_fixed(0x01, 0x02, 0x03)),
    0x14: Service(dtc.clear_dtc, 4, APPLICATION),
    0x19: Service(dtc.read_dtc, 2, APPLICATION, sub_functions=_fixed(0x02, 0x0A)),
    0x1A: Service(_of_a_make, 2),
    0x20: Service(_of_a_make, 1),
    0x22: Service(data.read_data, 3),
    0x23: Service(data.read_memory, 2),
    0x27: Service(
        security.security_access, 2, sessions=NOT_DEFAULT, sub_functions=security.security_sub_functions
    ),
    0x28: Service(
        session_control.communication_control,
        2,
        APPLICATION,
        NOT_DEFAULT,
        _fixed(0x00, 0x01, 0x02, 0x03),
    ),
    0x29: Service(security.authentication, 2, sub_functions=_fixed(0x00, 0x01, 0x02, 0x08)),
    0x2E: Service(data.write_data, 4, sessions=NOT_DEFAULT),
    0x31: Service(routine.routine_control, 4, sessions=NOT_DEFAULT, sub_functions=_fixed(0x01, 0x02, 0x03)),
    0x34: Service(transfer.request_download, 5, sessions=PROGRAMMING),
    0x35: Service(transfer.request_upload, 5),
    0x36: Service(transfer.transfer_data, 2),
    0x37: Service(transfer.transfer_exit, 1),
    0x3D: Service(data.write_memory, 5, APPLICATION, NOT_DEFAULT),
    0x3E: Service(session_control.tester_present, 2, sub_functions=_fixed(0x00)),
    0x82: Service(_of_a_make, 1),
    0x87: Service(link_control.link_control, 2, sessions=NOT_DEFAULT, sub_functions=_fixed(0x01, 0x02, 0x03)),
    0x85: Service(session_control.control_dtc_setting, 2, APPLICATION, NOT_DEFAULT, _fixed(0x01, 0x02)),
    0x01: Service(obd.current_data, 2, APPLICATION),
    0x03: Service(obd.stored_codes, 1, APPLICATION),
    0x04: Service(obd.clear_codes, 1, APPLICATION),
    0x07: Service(obd.pending_codes, 1, APPLICATION),
    0x09: Service(obd.vehicle_information, 2, APPLICATION),
    0x0A: Service(obd.permanent_codes, 1, APPLICATION),
}


def dispatch(core: Core, request: bytes) -> Answer:
    """Answer a request, or start the work that will. Raises RefusedError."""
    service = SERVICES.get(request[0])
    if service is None or core.program not in service.programs or not _offered(core, request[0]):
        raise RefusedError(Nrc.SERVICE_NOT_SUPPORTED)
    certificate_missing = core.options.authentication_only and request[0] in LOCKED_BY_CERTIFICATE
    require(not certificate_missing, Nrc.AUTHENTICATION_REQUIRED)
    require(core.session.kind in service.sessions, Nrc.SERVICE_NOT_IN_SESSION)
    require(len(request) >= service.minimum_bytes, Nrc.INCORRECT_LENGTH)
    own = make_of(core).services.get(request[0])
    if service.sub_functions is None:
        return own(request) if own else service.handle(core, request)
    number = request[1] & 0x7F
    require(number in service.sub_functions(core), Nrc.SUB_FUNCTION_NOT_SUPPORTED)
    if own:
        return own(request)
    return service.handle(core, bytes((request[0], number)) + request[2:])


def wants_no_answer(request: bytes) -> bool:
    """True if the suppress bit of a sub-function is set (ISO 14229-1, 8.2.2)."""
    service = SERVICES.get(request[0])
    has_sub_function = service is not None and service.sub_functions is not None
    return has_sub_function and len(request) > 1 and request[1] > 0x7F


def _offered(core: Core, sid: int) -> bool:
    """Services that depend on the definition or on how the ECU is protected."""
    reading, sessions = core.access.reading, core.access.sessions
    if sid in (0x23, 0x35):
        right = reading.method in ("steps", "by_address" if sid == 0x23 else "upload")
        from_boot = reading.bootloader_reads or Kind(sessions.read_session) is Kind.PROGRAMMING
        return right and (from_boot or not core.in_bootloader)
    if sid in _OF_A_MAKE:
        return sid in make_of(core).services
    if sid == 0x87:
        return bool(link_control.rates_of(core))
    if sid == 0x27:
        return bool(core.levels()) or core.options.authentication_only
    return core.options.authentication_only if sid == 0x29 else True
