"""How an ECU is reached and unlocked: wire, addresses, timing, identity fields, sessions and security."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from appliance.definitions.fields import (
    Byte,
    CanId,
    HexBytes,
    Strict,
    Word,
    refuse,
)


class Bus(Strict):
    """The wire and its bit rates; the data rate is given exactly for CAN FD."""

    kind: Literal["can", "can-fd"]
    bitrate_bps: int = Field(ge=33_300, le=1_000_000)
    data_bitrate_bps: int | None = Field(default=None, ge=500_000, le=8_000_000)

    @model_validator(mode="after")
    def _fd_has_data_rate(self) -> Bus:
        if (self.kind == "can-fd") != (self.data_bitrate_bps is not None):
            refuse(["data_bitrate_bps belongs to kind = 'can-fd', and to nothing else"])
        return self


class Addressing(Strict):
    """CAN identifiers and ISO-TP addressing (ISO 15765-2, 10.3)."""

    mode: Literal["normal", "extended", "mixed"] = "normal"
    request_id: CanId
    response_id: CanId
    functional_id: CanId
    extended_ids: bool = False
    request_extension: Byte | None = None
    response_extension: Byte | None = None
    padding: Byte | None = 0x55

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
    p2_star_ms: int = Field(default=5_000, ge=100, le=60_000)
    tester_present_ms: int = Field(default=2_000, ge=100, le=4_500)
    stmin_override_us: int | None = Field(default=None, ge=0, le=127_000)
    pending_ceiling_s: float = Field(default=90.0, gt=0, le=600)
    reset_wait_s: float = Field(default=2.0, ge=0, le=60)


class Identity(Strict):
    """Data identifiers (UDS 0x22) that answer each identity field; OBD asks mode 09 besides."""

    hw: Word
    sw: Word
    boot: Word | None = None
    serial: Word | None = None
    vin: Word | None = None
    bootloader_hw: Word | None = None
    """Asked instead of hw when only the bootloader answers, and of the application too: to know it again."""
    voltage: Word | None = None
    """Supply as the ECU measures it, one byte, 0.1 V per bit."""
    engine_speed: Word | None = None
    """Engine speed, two bytes, 0.25 rpm per bit; asked where OBD 01 0C is not answered."""
    obd_mode_09: bool = True


class SecurityLevel(Strict):
    """One unlock: the odd seed sub-function and the algorithm that answers it.

    The toys, for simulated ECUs only, work on 32 bits, big-endian: `toy-xor` is seed XOR constant, `toy-add`
    their sum, `toy-rotate` the seed rotated left by 7 bits, then XOR constant. `sa2` runs the script (sheet
    obd 4.1); `plugin:NAME` is the owner's own package.
    """

    level: int = Field(ge=1, le=0x7D)
    algorithm: str = Field(pattern=r"^(sa2|toy-xor|toy-add|toy-rotate|plugin:[a-z0-9_.-]+)$")
    script: HexBytes | None = None
    constant: int | None = Field(default=None, ge=0, le=0xFFFFFFFF)
    seed_bytes: int = Field(default=4, ge=1, le=32)

    @model_validator(mode="after")
    def _parameters(self) -> SecurityLevel:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.level % 2 == 0:
            yield "level is the odd seed sub-function (ISO 14229-1, 10.4)"
        if (self.algorithm == "sa2") != (self.script is not None):
            yield "script belongs to algorithm = 'sa2', and to nothing else"
        if self.algorithm.startswith("toy-") != (self.constant is not None):
            yield "constant belongs to the toy algorithms, and to nothing else"


class Sessions(Strict):
    """Sub-functions of DiagnosticSessionControl (0x10) and the unlocks each purpose needs."""

    extended: Byte = 0x03
    programming: Byte = 0x02
    precondition_routine: Word | None = None
    dtc_off: bool = True
    communication_off: bool = True
    read_session: Literal["default", "extended", "programming"] = "extended"
    read_security: SecurityLevel | None = None
    write_security: SecurityLevel
