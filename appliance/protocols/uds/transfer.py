"""Begins and ends uploads and downloads so that a lost answer never leaves one hanging in the ECU."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from appliance.protocols.access import EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.nrc import service_name
from appliance.protocols.uds.request import Request
from appliance.protocols.uds.services.transfer import exit_transfer


class Transfers:
    """The one transfer an ECU can have under way.

    An ECU refuses to end a transfer that is not complete (0x24), and to begin another while one is open
    (0x22); entering the session anew is what drops it, so that is what `reopen` has to do.
    """

    def __init__(self, client: UdsClient, reopen: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._reopen = reopen
        self._open = False

    async def begin(self, request: Request[int]) -> int:
        """Send 34 or 35; maxNumberOfBlockLength.

        Raises EcuSilentError if the answer was lost and the ECU does not take the request a second time:
        cells that a download was announced for count as begun, and want another erase.
        """
        await self.drop()
        self._open = True
        try:
            return await self._client.ask(request)
        except (EcuSilentError, BrokenTransferError) as lost:
            return await self._begin_again(request, lost)
        except EcuRefusedError:
            self._open = False
            raise

    async def finish(self) -> None:
        """Send 37. To a repeat, "wrong sequence" means that the first one was carried out."""
        try:
            await self._client.ask(exit_transfer())
        except (EcuSilentError, BrokenTransferError):
            try:
                await self._client.ask(exit_transfer())
            except EcuRefusedError as error:
                if error.refusal is not Refusal.SEQUENCE:
                    raise
        self._open = False

    async def drop(self) -> None:
        """Make sure that none is open, whatever became of the last one."""
        if self._open:
            await self._reopen()
            self._open = False

    def forget(self) -> None:
        """The session was changed or the ECU was reset: nothing is open."""
        self._open = False

    async def _begin_again(self, request: Request[int], lost: Exception) -> int:
        await self._reopen()
        try:
            return await self._client.ask(request)
        except EcuRefusedError as refusal:
            self._open = False
            service = service_name(request.sid)
            raise EcuSilentError(f"the answer to {service} was lost, and then: {refusal}") from lost
