"""Negative response codes (ISO 14229-1, annex A.1) and the exception a service refuses with."""

from __future__ import annotations

from enum import IntEnum


class Nrc(IntEnum):
    """Codes the simulated ECUs use."""

    GENERAL_REJECT = 0x10
    SERVICE_NOT_SUPPORTED = 0x11
    SUB_FUNCTION_NOT_SUPPORTED = 0x12
    INCORRECT_LENGTH = 0x13
    RESPONSE_TOO_LONG = 0x14
    BUSY_REPEAT_REQUEST = 0x21
    CONDITIONS_NOT_CORRECT = 0x22
    REQUEST_SEQUENCE_ERROR = 0x24
    REQUEST_OUT_OF_RANGE = 0x31
    SECURITY_ACCESS_DENIED = 0x33
    AUTHENTICATION_REQUIRED = 0x34
    INVALID_KEY = 0x35
    EXCEEDED_ATTEMPTS = 0x36
    TIME_DELAY_NOT_EXPIRED = 0x37
    CERTIFICATE_CHAIN_OF_TRUST = 0x52
    UPLOAD_DOWNLOAD_NOT_ACCEPTED = 0x70
    TRANSFER_SUSPENDED = 0x71
    PROGRAMMING_FAILURE = 0x72
    WRONG_BLOCK_SEQUENCE_COUNTER = 0x73
    RESPONSE_PENDING = 0x78
    SUB_FUNCTION_NOT_IN_SESSION = 0x7E
    SERVICE_NOT_IN_SESSION = 0x7F
    ENGINE_RUNNING = 0x83
    VOLTAGE_TOO_HIGH = 0x92
    VOLTAGE_TOO_LOW = 0x93


SILENT_WHEN_FUNCTIONAL = frozenset(
    {
        Nrc.SERVICE_NOT_SUPPORTED,
        Nrc.SUB_FUNCTION_NOT_SUPPORTED,
        Nrc.REQUEST_OUT_OF_RANGE,
        Nrc.SUB_FUNCTION_NOT_IN_SESSION,
        Nrc.SERVICE_NOT_IN_SESSION,
    }
)
"""Not sent in answer to a functional request (ISO 14229-1, 7.5; sources: uds-bytes)."""


class RefusedError(Exception):
    """A service says no with this code."""

    def __init__(self, nrc: int) -> None:
        """Any code, also one that the standard does not know."""
        name = Nrc(nrc).name if nrc in set(Nrc) else "unknown"
        super().__init__(f"NRC 0x{nrc:02X} {name}")
        self.nrc = nrc


def require(condition: bool, nrc: Nrc) -> None:
    """Refuse with nrc unless the condition holds. Raises RefusedError."""
    if not condition:
        raise RefusedError(nrc)
