"""How long a UDS host waits (ISO 14229-2, 7.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.definitions.access.uds_link import Timing
from appliance.protocols.uds.services.control import SessionTiming

TRANSPORT_ALLOWANCE_S = 0.1
"""Delta P2: what frames and the scheduler may add to the server's own time."""


@dataclass(frozen=True, slots=True)
class UdsTiming:
    """`p2_s` to the first answer, `p2_star_s` after each 0x78; both as the server promises them."""

    p2_s: float = 0.05
    p2_star_s: float = 5.0
    tester_present_s: float = 2.0
    pending_ceiling_s: float = 90.0

    @classmethod
    def of(cls, timing: Timing) -> UdsTiming:
        """The timing a definition gives."""
        return cls(
            timing.p2_ms / 1000,
            timing.p2_star_ms / 1000,
            timing.tester_present_ms / 1000,
            timing.pending_ceiling_s,
        )

    def adopting(self, promised: SessionTiming) -> UdsTiming:
        """Take longer promises over; shorter ones are not trusted (some ECUs answer later than they say).

        A promise beyond the definition's own patience (65 s to a first answer, 655 s after a 0x78) is none.
        """
        return replace(
            self,
            p2_s=max(self.p2_s, min(promised.p2_s, self.p2_star_s)),
            p2_star_s=max(self.p2_star_s, min(promised.p2_star_s, self.pending_ceiling_s)),
        )

    @property
    def first_answer_s(self) -> float:
        """How long this side waits for the first answer to a request."""
        return self.p2_s + TRANSPORT_ALLOWANCE_S

    @property
    def pending_answer_s(self) -> float:
        """How long this side waits after a 0x78."""
        return self.p2_star_s + TRANSPORT_ALLOWANCE_S
