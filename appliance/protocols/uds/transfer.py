"""Begins and ends uploads and downloads so that neither a lost answer nor an earlier life leaves one open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from appliance.contract.phrases import phrase
from appliance.protocols.access import EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.nrc import service_name
from appliance.protocols.request import Request
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.services.transfer import exit_transfer

_CONDITIONS_NOT_CORRECT = 0x22
_IN_THE_WAY = frozenset({_CONDITIONS_NOT_CORRECT, 0x24, 0x70})
"""How ECUs refuse a second transfer; the last two may also say that the memory was not erased."""

End = Callable[[], Awaitable[None]]


class Transfers:
    """The one transfer an ECU can have under way.

    An ECU may refuse another while one is open, and makers differ in what ends it: 37, though it is refused
    for a transfer that is not complete; entering the session anew; for some a reset alone. They are tried in
    this order, and not again once they have all been in vain: what is in the way is then no transfer.
    """

    def __init__(self, client: UdsClient, reopen: End, restart: End | None = None) -> None:
        """`restart` resets the ECU and opens it again; None where that must not be done."""
        self._client = client
        self._reopen = reopen
        self._restart = restart
        self._open = False
        self._in_vain = False

    @property
    def in_vain(self) -> bool:
        """Whether everything that ends a transfer was tried, and none has begun since."""
        return self._in_vain

    async def begin(self, request: Request[int], *, may_restart: bool = False, erased: bool = False) -> int:
        """Send 34 or 35; maxNumberOfBlockLength.

        Of memory just `erased`, and not announced since, 24 and 70 speak of a transfer as 22 does.
        Raises EcuSilentError if the answer was lost and the ECU does not take the request a second time:
        cells that a download was announced for count as begun, and want another erase.
        """
        await self.drop()
        self._open = True
        try:
            limit = await self._begin(request, may_restart, erased)
        except EcuRefusedError:
            self._open = False
            raise
        self._in_vain = False
        return limit

    async def finish(self, record_bytes: int = 0) -> bytes | None:
        """Send 37: its record, None where the answer was lost.

        To a repeat, "wrong sequence" means that the first one was carried out.
        """
        record: bytes | None = None
        try:
            record = await self._client.ask(exit_transfer(record_bytes))
        except (EcuSilentError, BrokenTransferError):
            try:
                record = await self._client.ask(exit_transfer(record_bytes))
            except EcuRefusedError as error:
                if error.refusal is not Refusal.SEQUENCE:
                    raise
        self._open = False
        return record

    async def drop(self) -> None:
        """End what may be open. Whether that ended it is told by the answer to the next 34 or 35."""
        if self._open:
            await self._exit()
            self._open = False

    def suspect(self) -> None:
        """An earlier life of this box may have left one open."""
        self._open = True

    async def _begin(self, request: Request[int], may_restart: bool, erased: bool) -> int:
        try:
            return await self._client.ask(request)
        except (EcuSilentError, BrokenTransferError) as lost:
            return await self._begin_again(request, lost, may_restart)
        except EcuRefusedError as refusal:
            if refusal.code not in _IN_THE_WAY or self._in_vain:
                raise
            return await self._begin_after_ending(request, may_restart, erased)

    async def _begin_again(self, request: Request[int], lost: Exception, may_restart: bool) -> int:
        try:
            return await self._begin_after_ending(request, may_restart, erased=False)
        except EcuRefusedError as refusal:
            service = service_name(request.sid)
            raise EcuSilentError(phrase("ecu.answer_lost", service=service, why=refusal.said)) from lost

    async def _begin_after_ending(self, request: Request[int], may_restart: bool, erased: bool) -> int:
        """Raises the refusal where nothing that ends a transfer helps."""
        await self._exit()
        try:
            return await self._client.ask(request)
        except EcuRefusedError as refusal:
            _require_in_the_way(refusal)
        await self._reopen()
        try:
            return await self._client.ask(request)
        except EcuRefusedError as refusal:
            self._in_vain = refusal.code in (_IN_THE_WAY if erased else {_CONDITIONS_NOT_CORRECT})
            if not (may_restart and self._restart and self._in_vain):
                raise
        await self._restart()
        return await self._client.ask(request)

    async def _exit(self) -> None:
        await self._client.attempt(exit_transfer(None))


def _require_in_the_way(refusal: EcuRefusedError) -> None:
    if refusal.code not in _IN_THE_WAY:
        raise refusal
