"""Negative response codes of KWP2000 where they mean something of their own (ISO 14230-3, 4.4)."""

from __future__ import annotations

from appliance.contract.phrases import phrase
from appliance.protocols.access import EcuRefusedError, Refusal
from appliance.protocols.nrc import classify, nrc_name
from appliance.protocols.nrc import service_name as uds_service_name

BUSY = 0x21
STILL_RUNNING = 0x23
CHECK_MISMATCH = 0x77
PENDING = 0x78

_OWN: dict[int, tuple[str, Refusal]] = {
    0x22: ("conditionsNotCorrectOrRequestSequenceError", Refusal.CONDITIONS),
    0x23: ("routineNotComplete", Refusal.BUSY),
    0x40: ("downloadNotAccepted", Refusal.CONDITIONS),
    0x41: ("improperDownloadType", Refusal.UNSUPPORTED),
    0x42: ("cannotDownloadToSpecifiedAddress", Refusal.UNSUPPORTED),
    0x43: ("cannotDownloadNumberOfBytesRequested", Refusal.UNSUPPORTED),
    0x50: ("uploadNotAccepted", Refusal.CONDITIONS),
    0x51: ("improperUploadType", Refusal.UNSUPPORTED),
    0x52: ("cannotUploadFromSpecifiedAddress", Refusal.UNSUPPORTED),
    0x53: ("cannotUploadNumberOfBytesRequested", Refusal.UNSUPPORTED),
    0x71: ("transferSuspended", Refusal.PROGRAMMING),
    0x72: ("transferAborted", Refusal.PROGRAMMING),
    0x74: ("illegalAddressInBlockTransfer", Refusal.PROGRAMMING),
    0x75: ("illegalByteCountInBlockTransfer", Refusal.PROGRAMMING),
    0x76: ("illegalBlockTransferType", Refusal.PROGRAMMING),
    0x77: ("blockTransferDataChecksumError", Refusal.PROGRAMMING),
    0x79: ("incorrectByteCountDuringBlockTransfer", Refusal.PROGRAMMING),
    0x80: ("serviceNotSupportedInActiveDiagnosticSession", Refusal.SESSION_LOST),
    0x90: ("noProgram", Refusal.CONDITIONS),
}
"""0x90 is VW's own (sources: kwp-routines); it is seen where the application is not there."""
_SERVICES = {
    0x10: "StartDiagnosticSession",
    0x18: "ReadDTCsByStatus",
    0x1A: "ReadECUIdentification",
    0x20: "StopDiagnosticSession",
    0x31: "StartRoutineByLocalIdentifier",
    0x32: "StopRoutineByLocalIdentifier",
    0x33: "RequestRoutineResultsByLocalIdentifier",
    0x82: "StopCommunication",
    0x83: "AccessTimingParameters",
}


def service_name(sid: int) -> str:
    """The standard's name of a service."""
    return _SERVICES.get(sid) or uds_service_name(sid)


def refused(sid: int, code: int) -> EcuRefusedError:
    """The exception for a `7F sid code` answer."""
    name, refusal = _OWN.get(code) or (nrc_name(code), classify(code))
    return EcuRefusedError(
        refusal, phrase("ecu.refused", service=service_name(sid), name=name, sid=sid, code=code), code
    )
