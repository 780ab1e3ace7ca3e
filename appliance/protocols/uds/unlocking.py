"""Seed and key over the wire (ISO 14229-1, 10.4)."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.definitions.access.security import SecurityLevel
from appliance.protocols.access import EcuRefusedError, EcuSilentError
from appliance.protocols.nrc import INVALID_KEY
from appliance.protocols.security.algorithms import Context, KeyAlgorithm, algorithm_for
from appliance.protocols.transforms import SecretNamed
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import BrokenTransferError
from appliance.protocols.uds.services.unlock import request_seed, send_key


@dataclass(frozen=True, slots=True)
class Unlock:
    """One level and the algorithm that opens it."""

    level: int
    seed_bytes: int
    algorithm: KeyAlgorithm
    context: Context

    @classmethod
    def of(cls, level: SecurityLevel | None, definition_id: str, secret: SecretNamed) -> Unlock | None:
        """From a definition; None where it needs none. Raises PitboxError if a plugin is missing."""
        if level is None:
            return None
        algorithm = algorithm_for(level, secret)
        return cls(level.level, level.seed_bytes, algorithm, {"definition": definition_id})

    async def perform(self, client: UdsClient) -> None:
        """Unlock, with one more try after a refused key or a lost answer, and never a third.

        A refused key costs one of the ECU's attempts. After a lost answer the new seed tells: all zeroes if
        the key had arrived.
        """
        try:
            await self._try(client)
        except (EcuSilentError, BrokenTransferError):
            await self._try(client)
        except EcuRefusedError as error:
            if error.code != INVALID_KEY:
                raise
            await self._try(client)

    async def _try(self, client: UdsClient) -> None:
        seed = await client.ask(request_seed(self.level, self.seed_bytes))
        if any(seed):
            await client.ask(send_key(self.level, self.algorithm(self.level, seed, self.context)))
