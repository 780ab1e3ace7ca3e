"""Keeps a half-written ECU in its programming session between two operations.

Only one that a reset would silence for good: its session ends in one when tester present fails to come.
"""

from __future__ import annotations

import logging

from appliance.contract.errors import PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.protocols.ports import CarInterface
from appliance.protocols.registry import KeptSession, offer_of

log = logging.getLogger("pitbox.engine")


class Vigil:
    """At most one ECU at a time."""

    def __init__(self) -> None:
        self._kept: KeptSession | None = None

    def begin(self, car: CarInterface, access: AccessDefinition) -> None:
        """From now on. Never raises: what cannot be kept is told in the log."""
        try:
            self._kept = offer_of(access).keep(car, access)
        except PitboxError as error:
            log.warning("the half-written ECU is not kept in its session: %s", error.what)

    async def end(self) -> bool:
        """Hand over to whoever keeps the session from now on; whether there was one to keep."""
        kept, self._kept = self._kept, None
        if kept is None:
            return False
        await kept.release()
        return True
