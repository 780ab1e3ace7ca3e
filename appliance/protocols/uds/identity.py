"""Who answers, and with which program."""

from __future__ import annotations

from appliance.contract.phrases import phrase
from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.place_steps import IdentityField
from appliance.protocols.access import EcuIdentity, EcuRefusedError, EcuSilentError, EcuState, Refusal
from appliance.protocols.obd.services import (
    calibration_ids,
    calibration_numbers,
    engine_speed,
    module_voltage,
    vin,
)
from appliance.protocols.readable import text
from appliance.protocols.request import Request
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError, MisfitAnswerError
from appliance.protocols.uds.services.data import active_session, read_data
from appliance.protocols.uds.steps.fetching import field_in, told_by

_STATE_ATTEMPTS = 3
_VOLTAGE_BYTES = 1
_VOLT_PER_BIT = 0.1
_SPEED_BYTES = 2
_RPM_PER_BIT = 0.25


class Identification:
    """Asks for what a definition's identity table names."""

    def __init__(self, client: UdsClient, definition: UdsAccessDefinition) -> None:
        self._client = client
        self._dids = definition.identity
        self._programming = definition.sessions.programming
        self._tells = {step.tells: step for step in definition.steps.identify or ()}

    async def state(self) -> EcuState:
        """BOOTLOADER in the programming session, or if the software number cannot be told; else APPLICATION.

        The active session (F186) alone is not enough: some bootloaders report the default session after a
        reset. The software number lives in the application, so a bootloader has none. Frames that nobody
        acknowledges are silence too: the ECU may be the only other node.
        """
        try:
            if await self._answers_programming_session():
                return EcuState.BOOTLOADER
            return await self._state_by_software_number()
        except (EcuSilentError, BrokenTransferError):
            return EcuState.SILENT

    async def _answers_programming_session(self) -> bool:
        try:
            session = await self._client.ask(active_session(), attempts=_STATE_ATTEMPTS)
        except (EcuRefusedError, MisfitAnswerError):
            return False
        return session == bytes((self._programming,))

    async def _state_by_software_number(self) -> EcuState:
        try:
            await self._client.ask(self._asking_for("sw"), attempts=_STATE_ATTEMPTS)
        except EcuRefusedError as error:
            if error.refusal is Refusal.UNSUPPORTED:
                return EcuState.BOOTLOADER
        except MisfitAnswerError:
            return EcuState.BOOTLOADER
        return EcuState.APPLICATION

    async def identify(self) -> EcuIdentity:
        """Every field the present program answers. Raises EcuSilentError if none does."""
        state = await self.state()
        if state is EcuState.SILENT:
            raise EcuSilentError(phrase("ecu.answers_as_neither"))
        bootloader_hw = await self._field("bootloader_hw")
        if state is EcuState.BOOTLOADER:
            return EcuIdentity(
                hw=bootloader_hw if self._knows("bootloader_hw") else await self._field("hw"),
                boot=await self._field("boot"),
                serial=await self._field("serial"),
                bootloader_hw=bootloader_hw,
            )
        calid, cvn = await self._calibrations() if self._dids.obd_mode_09 else ((), ())
        return EcuIdentity(
            hw=await self._field("hw"),
            sw=await self._field("sw"),
            boot=await self._field("boot"),
            serial=await self._field("serial"),
            vin=await self._vin(),
            calid=calid,
            cvn=cvn,
            bootloader_hw=bootloader_hw,
        )

    async def measured_v(self) -> float | None:
        """The ECU's own supply reading (DID, else OBD 01 42); None if it has none."""
        did = self._dids.voltage
        record = None if did is None else await self._record(read_data(did, _VOLTAGE_BYTES))
        if record:
            return round(record[0] * _VOLT_PER_BIT, 1)
        return await self._client.attempt(module_voltage()) if self._dids.obd_mode_09 else None

    async def engine_speed_rpm(self) -> float | None:
        """By OBD 01 0C, or by the field that the definition names; None where the ECU does not tell."""
        rpm = await self._client.attempt(engine_speed())
        number = self._dids.engine_speed
        if rpm is None and number is not None:
            record = await self._client.attempt(read_data(number, _SPEED_BYTES))
            return None if record is None else int.from_bytes(record) * _RPM_PER_BIT
        return rpm

    async def _vin(self) -> str | None:
        found = await self._field("vin")
        if found is None and self._dids.obd_mode_09:
            return next(iter(await self._client.attempt(vin()) or ()), None)
        return found

    async def _calibrations(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        calid = await self._client.attempt(calibration_ids())
        cvn = await self._client.attempt(calibration_numbers())
        return calid or (), cvn or ()

    def _knows(self, name: IdentityField) -> bool:
        """Whether the definition says how that field is asked for."""
        return name in self._tells or getattr(self._dids, name) is not None

    def _asking_for(self, name: IdentityField) -> Request[bytes]:
        """Raises KeyError for a field that the definition has no request for."""
        step = self._tells.get(name)
        if step is not None:
            return told_by(step)
        did: int | None = getattr(self._dids, name)
        if did is None:
            raise KeyError(name)
        return read_data(did)

    async def _field(self, name: IdentityField) -> str | None:
        record = await self._record(self._asking_for(name)) if self._knows(name) else None
        step = self._tells.get(name)
        if record and step is not None:
            record = field_in(step, record)
        return text(record) or None if record else None

    async def _record(self, request: Request[bytes]) -> bytes | None:
        try:
            return await self._client.ask(request)
        except (EcuRefusedError, EcuSilentError, MisfitAnswerError):
            return None
