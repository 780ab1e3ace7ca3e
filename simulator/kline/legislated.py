"""The OBD-II questions that a simulated engine controller answers on a K-line (SAE J1979)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from simulator.kline.ecu import KwpEcu
from simulator.kline.reply import Reply

_BITS = 32
_PIECE_BYTES = 4
_SUPPORTED_STEP = 0x20
_VALUE_BYTES = {0x04: 1, 0x05: 1, 0x0C: 2, 0x0D: 1}


@dataclass(slots=True)
class LegislatedTold:
    """What it says. No `information`: it knows no mode 09."""

    pids: frozenset[int] = frozenset((0x01, 0x04, 0x05, 0x0C, 0x0D, 0x1C, 0x21))
    information: dict[int, bytes] = field(default_factory=dict)
    """Records of mode 09 by type, padded in front to whole pieces of four bytes."""


class LegislatedServer:
    """On ISO 9141-2 it keeps silent where KWP2000 refuses."""

    def __init__(self, ecu: KwpEcu, told: LegislatedTold) -> None:
        self.told = told
        self._ecu = ecu
        ecu.server = self

    def answer(self, payload: bytes) -> Reply:
        """To one request."""
        if payload == b"\x3e" and not self._ecu.settings.iso_9141:
            return Reply(b"\x7e")
        if payload == b"\x82" and not self._ecu.settings.iso_9141:
            return Reply(b"\xc2", self._ecu.fall_asleep)
        answers = self._answers(payload)
        if answers:
            return Reply(answers[0], more=tuple(answers[1:]))
        return Reply(None if self._ecu.settings.iso_9141 else bytes((0x7F, payload[0], 0x11)))

    def line_lost(self) -> None:
        """There is no session to lose."""

    def power_lost(self) -> None:
        """There is nothing under way."""

    def _answers(self, payload: bytes) -> Sequence[bytes]:
        if len(payload) == 2 and payload[0] == 0x01:
            return self._current(payload[1])
        if len(payload) == 2 and payload[0] == 0x09:
            return self._information(payload[1])
        return ()

    def _current(self, pid: int) -> Sequence[bytes]:
        if pid % _SUPPORTED_STEP == 0:
            bits = _supported(pid, self.told.pids)
            return [bytes((0x41, pid)) + bits] if pid == 0 or any(bits) else []
        return [bytes((0x41, pid)) + bytes(_VALUE_BYTES.get(pid, 1))] if pid in self.told.pids else []

    def _information(self, kind: int) -> Sequence[bytes]:
        """Each piece has its number, from 1 on."""
        if not self.told.information:
            return []
        if kind == 0:
            return [b"\x49\x00\x01" + _supported(0, self.told.information)]
        record = self.told.information.get(kind, b"")
        pieces = [record[at : at + _PIECE_BYTES] for at in range(0, len(record), _PIECE_BYTES)]
        return [bytes((0x49, kind, number)) + piece for number, piece in enumerate(pieces, 1)]


def _supported(first: int, known: Collection[int]) -> bytes:
    """A bit for each of the 32 behind `first`, the last of which says that there are more."""
    bits = sum(1 << (_BITS - (one - first)) for one in known if first < one < first + _BITS)
    return (bits | int(any(one > first + _BITS for one in known))).to_bytes(_BITS // 8)
