"""Negative response codes (ISO 14229-1, Annex A.1): their names, and the class each belongs to."""

from __future__ import annotations

from appliance.contract.phrases import phrase
from appliance.protocols.access import EcuRefusedError, Refusal

SECURITY_ACCESS_DENIED = 0x33
INVALID_KEY = 0x35
RESPONSE_PENDING = 0x78

_NAMES = {
    0x10: "generalReject",
    0x11: "serviceNotSupported",
    0x12: "subFunctionNotSupported",
    0x13: "incorrectMessageLengthOrInvalidFormat",
    0x14: "responseTooLong",
    0x21: "busyRepeatRequest",
    0x22: "conditionsNotCorrect",
    0x24: "requestSequenceError",
    0x25: "noResponseFromSubnetComponent",
    0x26: "failurePreventsExecutionOfRequestedAction",
    0x31: "requestOutOfRange",
    0x33: "securityAccessDenied",
    0x34: "authenticationRequired",
    0x35: "invalidKey",
    0x36: "exceededNumberOfAttempts",
    0x37: "requiredTimeDelayNotExpired",
    0x38: "secureDataTransmissionRequired",
    0x39: "secureDataTransmissionNotAllowed",
    0x3A: "secureDataVerificationFailed",
    0x50: "certificateVerificationFailed: invalid time period",
    0x51: "certificateVerificationFailed: invalid signature",
    0x52: "certificateVerificationFailed: invalid chain of trust",
    0x53: "certificateVerificationFailed: invalid type",
    0x54: "certificateVerificationFailed: invalid format",
    0x55: "certificateVerificationFailed: invalid content",
    0x56: "certificateVerificationFailed: invalid scope",
    0x57: "certificateVerificationFailed: invalid certificate (revoked)",
    0x58: "ownershipVerificationFailed",
    0x59: "challengeCalculationFailed",
    0x5A: "settingAccessRightsFailed",
    0x5B: "sessionKeyCreationOrDerivationFailed",
    0x5C: "configurationDataUsageFailed",
    0x5D: "deAuthenticationFailed",
    0x70: "uploadDownloadNotAccepted",
    0x71: "transferDataSuspended",
    0x72: "generalProgrammingFailure",
    0x73: "wrongBlockSequenceCounter",
    0x78: "requestCorrectlyReceived-ResponsePending",
    0x7E: "subFunctionNotSupportedInActiveSession",
    0x7F: "serviceNotSupportedInActiveSession",
    0x81: "rpmTooHigh",
    0x82: "rpmTooLow",
    0x83: "engineIsRunning",
    0x84: "engineIsNotRunning",
    0x85: "engineRunTimeTooLow",
    0x86: "temperatureTooHigh",
    0x87: "temperatureTooLow",
    0x88: "vehicleSpeedTooHigh",
    0x89: "vehicleSpeedTooLow",
    0x8A: "throttle/PedalTooHigh",
    0x8B: "throttle/PedalTooLow",
    0x8C: "transmissionRangeNotInNeutral",
    0x8D: "transmissionRangeNotInGear",
    0x8F: "brakeSwitch(es)NotClosed",
    0x90: "shifterLeverNotInPark",
    0x91: "torqueConverterClutchLocked",
    0x92: "voltageTooHigh",
    0x93: "voltageTooLow",
    0x94: "resourceTemporarilyNotAvailable",
}

_CLASSES: dict[Refusal, tuple[int, ...]] = {
    Refusal.CONDITIONS: (0x22, 0x25, 0x26, *range(0x81, 0x92), 0x94, *range(0xF0, 0xFF)),
    Refusal.VOLTAGE: (0x92, 0x93),
    Refusal.SECURITY: (0x33, 0x35),
    Refusal.LOCKED_OUT: (0x36, 0x37),
    Refusal.SEQUENCE: (0x24, 0x73),
    Refusal.PROGRAMMING: (0x71, 0x72),
    Refusal.SESSION_LOST: (0x7E, 0x7F),
    Refusal.AUTHENTICATION: (0x34, 0x38, 0x39, 0x3A, *range(0x50, 0x5E)),
    Refusal.BUSY: (0x21,),
}
_REFUSAL_OF = {code: refusal for refusal, codes in _CLASSES.items() for code in codes}

_SERVICES = {
    0x01: "OBD current data",
    0x03: "OBD stored DTCs",
    0x04: "OBD clear DTCs",
    0x07: "OBD pending DTCs",
    0x09: "OBD vehicle information",
    0x0A: "OBD permanent DTCs",
    0x10: "DiagnosticSessionControl",
    0x11: "ECUReset",
    0x14: "ClearDiagnosticInformation",
    0x19: "ReadDTCInformation",
    0x22: "ReadDataByIdentifier",
    0x23: "ReadMemoryByAddress",
    0x27: "SecurityAccess",
    0x28: "CommunicationControl",
    0x29: "Authentication",
    0x2E: "WriteDataByIdentifier",
    0x31: "RoutineControl",
    0x34: "RequestDownload",
    0x35: "RequestUpload",
    0x36: "TransferData",
    0x37: "RequestTransferExit",
    0x3D: "WriteMemoryByAddress",
    0x3E: "TesterPresent",
    0x85: "ControlDTCSetting",
    0x87: "LinkControl",
}


def nrc_name(code: int) -> str:
    """The standard's name of a negative response code."""
    return _NAMES.get(code, "vehicleManufacturerSpecific" if 0xF0 <= code <= 0xFE else "unknown")


def service_name(sid: int) -> str:
    """The standard's name of a service."""
    return _SERVICES.get(sid, f"service 0x{sid:02X}")


def classify(code: int) -> Refusal:
    """The class of a negative response code; whatever asks for no policy of its own is UNSUPPORTED."""
    return _REFUSAL_OF.get(code, Refusal.UNSUPPORTED)


def refused(sid: int, code: int) -> EcuRefusedError:
    """The exception for a `7F sid code` answer."""
    said = phrase("ecu.refused", service=service_name(sid), name=nrc_name(code), sid=sid, code=code)
    return EcuRefusedError(classify(code), said, code)
