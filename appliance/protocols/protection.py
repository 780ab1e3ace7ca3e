"""What a maker put between a tester and programming, as far as it was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProtectionKind(StrEnum):
    """What stands between the tester and programming."""

    NONE = "none"
    GATEWAY = "gateway"
    CERTIFICATE = "certificate"


_ADVICE = {
    ProtectionKind.NONE: "No protection by a gateway or by certificates was seen.",
    ProtectionKind.GATEWAY: "Protected by the maker's gateway: use authorised access or bench mode.",
    ProtectionKind.CERTIFICATE: "This ECU wants a certificate: use authorised access or bench mode.",
}


@dataclass(frozen=True, slots=True)
class Protection:
    """The verdict and what it rests on, one sentence per observation."""

    kind: ProtectionKind
    evidence: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What to tell the technician."""
        return _ADVICE[self.kind]
