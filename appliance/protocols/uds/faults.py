"""Fault codes over UDS, and over OBD where UDS is refused; the supply as the ECU measures it."""

from __future__ import annotations

from appliance.protocols.access import Dtc, EcuRefusedError, EcuSilentError
from appliance.protocols.obd.services import clear_emission_dtcs, pending_dtcs, permanent_dtcs, stored_dtcs
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.identity import Identification
from appliance.protocols.uds.services.faults import (
    CONFIRMED,
    PENDING,
    TEST_FAILED,
    clear_dtcs,
    dtcs_by_status,
)


class FaultMemory:
    """Implements DiagnosticsCapability."""

    def __init__(self, client: UdsClient, identification: Identification) -> None:
        self._client = client
        self._identification = identification

    async def read_dtcs(self) -> tuple[Dtc, ...]:
        """Failed, pending and confirmed codes. Raises what UDS answered if OBD does not answer either."""
        try:
            return await self._client.ask(dtcs_by_status(TEST_FAILED | PENDING | CONFIRMED))
        except (EcuRefusedError, EcuSilentError):
            found = await self._read_over_obd()
            if found is None:
                raise
            return found

    async def clear_dtcs(self) -> None:
        """Clear over UDS and OBD. Raises what UDS answered if neither worked."""
        try:
            await self._client.ask(clear_dtcs())
        except (EcuRefusedError, EcuSilentError):
            await self._client.ask(clear_emission_dtcs())
        else:
            await self._client.attempt(clear_emission_dtcs())

    async def measured_v(self) -> float | None:
        """The ECU's own supply reading in volts, where it offers one."""
        return await self._identification.measured_v()

    async def engine_speed_rpm(self) -> float | None:
        """By OBD, or by the field that the definition names; None where the ECU does not tell."""
        return await self._identification.engine_speed_rpm()

    async def _read_over_obd(self) -> tuple[Dtc, ...] | None:
        lists = [await self._client.attempt(ask()) for ask in (stored_dtcs, pending_dtcs, permanent_dtcs)]
        answered = [codes for codes in lists if codes is not None]
        if not answered:
            return None
        return tuple(dict.fromkeys(code for codes in answered for code in codes))
