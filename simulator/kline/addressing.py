"""Whether a message on a K-line is for this ECU, and in a form that its key bytes allow."""

from __future__ import annotations

from simulator.kline.framing import Heard
from simulator.kline.settings import KwpEcuSettings

START = 0x81
_OBD_FUNCTIONAL = 0x33


def is_for(settings: KwpEcuSettings, message: Heard, violations: list[str], *, in_boot: bool) -> bool:
    """A form that is not allowed is noted in `violations`."""
    if settings.iso_9141:
        return True
    if settings.application_refuses:
        return _is_for_application(settings, message, violations, in_boot=in_boot)
    forms = settings.key_bytes[0]
    addressed, length = (0x08, 0x04)[message.target is None], (0x01, 0x02)[message.length_byte]
    if message.target is not None:
        wanted = _OBD_FUNCTIONAL if message.functional else settings.address
        if message.target != wanted:
            return False
    if forms & 0x0F and not (forms & addressed and forms & length):
        violations.append("a header that the key bytes do not allow")
        return False
    return True


def _is_for_application(
    settings: KwpEcuSettings, message: Heard, violations: list[str], *, in_boot: bool
) -> bool:
    """Its boot loader takes headers without addresses alone, but for the one that wakes."""
    wakes = message.payload == bytes((START,)) or not in_boot
    if (message.target is not None) is not wakes:
        violations.append("addresses where there are none, or none where there are")
    return (message.target is not None) is wakes and message.target in (None, settings.address)
