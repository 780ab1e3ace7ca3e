"""How an ECU is reached and unlocked: wire, addresses, timing, identity fields, sessions and security."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from appliance.definitions.access.security import SecurityLevel
from appliance.definitions.fields import (
    Byte,
    CanId,
    Strict,
    Word,
    refuse,
)


class Bus(Strict):
    """The wire and its bit rates; the data rate is given exactly for CAN FD."""

    kind: Literal["can", "can-fd"]
    """Classic CAN or CAN FD."""
    bitrate_bps: int = Field(ge=33_300, le=1_000_000)
    """Nominal bit rate."""
    data_bitrate_bps: int | None = Field(default=None, ge=500_000, le=8_000_000)
    """Bit rate of the data phase of CAN FD."""

    @model_validator(mode="after")
    def _fd_has_data_rate(self) -> Bus:
        if (self.kind == "can-fd") != (self.data_bitrate_bps is not None):
            refuse(["data_bitrate_bps belongs to kind = 'can-fd', and to nothing else"])
        return self


class Addressing(Strict):
    """CAN identifiers and ISO-TP addressing (ISO 15765-2, 10.3)."""

    mode: Literal["normal", "extended", "mixed"] = "normal"
    """Addressing of ISO-TP."""
    request_id: CanId
    """Identifier of requests."""
    response_id: CanId
    """Identifier of answers."""
    functional_id: CanId
    """Identifier that addresses all ECUs."""
    extended_ids: bool = False
    """Whether identifiers have 29 bits."""
    request_extension: Byte | None = None
    """Address byte of requests, in extended and mixed addressing."""
    response_extension: Byte | None = None
    """Address byte of answers, in extended addressing."""
    padding: Byte | None = 0x55
    """Byte that fills short frames up."""

    @model_validator(mode="after")
    def _consistent(self) -> Addressing:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if not self.extended_ids and max(self.request_id, self.response_id, self.functional_id) > 0x7FF:
            yield "an identifier is above 0x7FF; set extended_ids for 29-bit identifiers"
        if self.request_id == self.response_id:
            yield "request_id and response_id are the same"
        if (self.mode != "normal") != (self.request_extension is not None):
            yield "request_extension belongs to mode 'extended' or 'mixed', and to nothing else"
        if (self.mode == "extended") != (self.response_extension is not None):
            yield "response_extension belongs to mode 'extended', and to nothing else"


class Timing(Strict):
    """Timing the host uses when the ECU does not say otherwise (ISO 14229-2)."""

    p2_ms: int = Field(default=50, ge=5, le=10_000)
    """Time for an answer."""
    p2_star_ms: int = Field(default=5_000, ge=100, le=60_000)
    """Time for an answer after 7F xx 78."""
    tester_present_ms: int = Field(default=2_000, ge=100, le=4_500)
    """Pause between two 3E 80."""
    stmin_override_us: int | None = Field(default=None, ge=0, le=127_000)
    """Separation time used in place of the one that the ECU asks for."""
    pending_ceiling_s: float = Field(default=90.0, gt=0, le=600)
    """So long 7F xx 78 is waited out."""
    reset_wait_s: float = Field(default=2.0, ge=0, le=60)
    """Time to boot after a reset."""


class Identity(Strict):
    """Data identifiers (UDS 0x22) that answer each identity field; OBD asks mode 09 besides."""

    hw: Word | None = None
    """Hardware number. Given unless the steps tell it."""
    sw: Word | None = None
    """Software number; the application alone tells it. Given unless the steps tell it."""
    boot: Word | None = None
    """Boot loader version."""
    serial: Word | None = None
    """Serial number of the ECU."""
    vin: Word | None = None
    """Vehicle identification number."""
    bootloader_hw: Word | None = None
    """Asked instead of hw when only the bootloader answers, and of the application too: to know it again."""
    voltage: Word | None = None
    """Supply as the ECU measures it, one byte, 0.1 V per bit."""
    engine_speed: Word | None = None
    """Engine speed, two bytes, 0.25 rpm per bit; asked where OBD 01 0C is not answered."""
    obd_mode_09: bool = True
    """Whether OBD mode 09 is asked too."""


class Sessions(Strict):
    """Sub-functions of DiagnosticSessionControl (0x10) and the unlocks each purpose needs."""

    extended: Byte = 0x03
    """Sub-function of the extended session."""
    programming: Byte = 0x02
    """Sub-function of the programming session."""
    precondition_routine: Word | None = None
    """Routine that says whether programming may begin."""
    dtc_off: bool = True
    """Whether fault codes are switched off while writing (85 02)."""
    communication_off: bool = True
    """Whether other traffic is switched off while writing (28 03)."""
    read_session: Literal["default", "extended", "programming"] = "extended"
    """Session in which memory is read."""
    read_security: SecurityLevel | None = None
    """Unlock before reading."""
    write_security: SecurityLevel
    """Unlock before writing."""

    @property
    def levels(self) -> dict[str, SecurityLevel]:
        """Its unlocks, by their keys."""
        found = {"read_security": self.read_security, "write_security": self.write_security}
        return {key: level for key, level in found.items() if level is not None}
