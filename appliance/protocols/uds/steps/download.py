"""How a download goes that the short form cannot tell: what stands in each 36, and what 37 says of it."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from appliance.contract.phrases import phrase
from appliance.definitions.step_kinds import CloseProof, Download, Step
from appliance.protocols.access import EcuRefusedError, Refusal
from appliance.protocols.request import Request
from appliance.protocols.uds.services.transfer import send_block

_CRC_BYTES = 2


def around(kind: type[Step], steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
    """The steps before the first of that kind and those behind it."""
    for at, step in enumerate(steps):
        if isinstance(step, kind):
            return steps[:at], steps[at + 1 :]
    return (), ()


def trailer_of(step: Download | None, request: bytes) -> bytes:
    """What follows the data of a 36."""
    if step is None or step.trailer == "none":
        return b""
    return crc16_x25(request).to_bytes(2, "little")


def framed(step: Download | None, counter: int, data: bytes) -> Request[None]:
    """One 36, with its trailer and the record that takes it."""
    if step is None:
        return send_block(counter, data)
    trailer = trailer_of(step, bytes((0x36, counter)) + data)
    return send_block(counter, data + trailer, bytes.fromhex(step.taken))


class CloseCheck:
    """What the answer to 37 has to say of everything that was sent."""

    def __init__(self, proof: CloseProof) -> None:
        self.record_bytes = 0 if proof == "none" else _CRC_BYTES
        self._crc = 0xFFFF

    def sent(self, data: bytes) -> None:
        """A piece was taken."""
        if self.record_bytes:
            self._crc = binascii.crc_hqx(data, self._crc)

    def require(self, record: bytes) -> None:
        """Raises EcuRefusedError PROGRAMMING where the ECU took other bytes than were sent."""
        if self.record_bytes and record != self._crc.to_bytes(_CRC_BYTES):
            told = record.hex().upper()
            raise EcuRefusedError(Refusal.PROGRAMMING, phrase("ecu.other_crc", told=told))


def crc16_x25(data: bytes) -> int:
    """CRC-16/X-25, check value 906E (sources: `crc`): that of `crc_hqx` with all bits turned round."""
    register = binascii.crc_hqx(data.translate(_MIRRORED), 0xFFFF) ^ 0xFFFF
    return _MIRRORED[register & 0xFF] << 8 | _MIRRORED[register >> 8]


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
