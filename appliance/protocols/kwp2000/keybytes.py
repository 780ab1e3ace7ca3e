"""The two key bytes of a woken ECU: what it speaks, and which headers it takes (ISO 14230-2, 5.2.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.protocols.kwp2000.framing import HeaderForm

_LENGTH_IN_FORMAT, _LENGTH_BYTE, _PLAIN_HEADER, _ADDRESSED_HEADER = 0x01, 0x02, 0x04, 0x08
_KWP1281 = 1281
_KWP2000 = range(2000, 2048)
"""Those whose second byte is 8F (sources: kline-wakeup): a first one that went wrong names nothing else."""
_ISO_9141_2 = ((0x08, 0x08), (0x94, 0x94))


class Spoken(StrEnum):
    """What an ECU speaks once it is awake."""

    KWP2000 = "KWP2000"
    KWP1281 = "KWP1281"
    ISO9141_2 = "ISO 9141-2"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KeyBytes:
    """As they came over the wire, bit 7 included."""

    first: int
    second: int

    @property
    def keyword(self) -> int:
        """Seven bits of each."""
        return (self.second & 0x7F) << 7 | self.first & 0x7F

    @property
    def spoken(self) -> Spoken:
        """The protocol that these name."""
        if (self.first, self.second) in _ISO_9141_2:
            return Spoken.ISO9141_2
        if self.keyword == _KWP1281:
            return Spoken.KWP1281
        return Spoken.KWP2000 if self.keyword in _KWP2000 else Spoken.UNKNOWN

    def takes(self, form: HeaderForm) -> bool:
        """Whether the ECU says that it understands such headers. One that says nothing of them takes any."""
        if not self.first & (_LENGTH_IN_FORMAT | _LENGTH_BYTE | _PLAIN_HEADER | _ADDRESSED_HEADER):
            return True
        header = _PLAIN_HEADER if form.target is None else _ADDRESSED_HEADER
        length = _LENGTH_BYTE if form.length_byte else _LENGTH_IN_FORMAT
        return bool(self.first & header and self.first & length)

    def limit(self, form: HeaderForm) -> HeaderForm:
        """The form without long messages, where the ECU takes no length byte."""
        says = self.first & (_LENGTH_IN_FORMAT | _LENGTH_BYTE)
        return replace(form, long_allowed=form.long_allowed and says != _LENGTH_IN_FORMAT)

    def __str__(self) -> str:
        return f"{self.first:02X} {self.second:02X} ({self.spoken})"
