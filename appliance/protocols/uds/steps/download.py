"""How a download goes that the short form cannot tell: what stands in each 36, and what 37 says of it."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from appliance.definitions.step_kinds import CloseProof, Download, Step
from appliance.protocols.access import EcuRefusedError, Refusal
from appliance.protocols.request import Request
from appliance.protocols.uds.services.transfer import send_block

_CRC_BYTES = 2
_X25 = 0x8408
"""CRC-16/X-25, reflected polynomial; check value 906E (sources: `crc`)."""


def around_download(steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
    """The steps before the download and those behind it."""
    for at, step in enumerate(steps):
        if isinstance(step, Download):
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
            message = f"the ECU answers 37 with {told}, which is not the CRC of what was sent"
            raise EcuRefusedError(Refusal.PROGRAMMING, message)


def crc16_x25(data: bytes) -> int:
    """The CRC of X.25 frames."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ _TABLE[(register ^ byte) & 0xFF]
    return register ^ 0xFFFF


def _entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (_X25 if index & 1 else 0)
    return index


_TABLE = tuple(map(_entry, range(256)))
