"""Continental Simos 8 to 18 blocks: area CRC and calibration monitor sum (sources: checksum-simos).

Newer blocks carry an RSA signature besides; it is reported, never made.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.crc import crc32_unreflected
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock
from appliance.checksums.words import Bytes, Span, affordable, sum_words, u32le

_SEGMENT = 0x0FFFFFFF
_MONITOR_AT = 0x400
_MONITOR_AREAS_AT = 0x418
_SIGNED = "signed: an ECU that checks the signature refuses modified data over OBD"


@dataclass(frozen=True)
class Simos(LayoutModule):
    """One Simos block (CBOOT, ASWx or CAL) whose first byte stands at address `base`."""

    base: int
    header_at: int = 0x300
    monitor: bool = False
    monitor_areas: tuple[Span, ...] = ()
    signed: bool = True

    @classmethod
    def from_params(cls, params: Params) -> Simos:
        """Read `base` (address), `header_at` (300h; 0 for ASW2/3; 340h CBOOT_temp), `monitor`,
        `monitor_areas` (addresses, end exclusive, where ASW1 holds them) and `signed`.
        """
        module = cls(
            params.number("base"),
            params.offset("header_at", 0x300, of_bytes=12),
            params.flag("monitor", False),
            params.ranges("monitor_areas"),
            params.flag("signed", True),
        )
        params.inside("monitor_areas", *map(module.placed, module.monitor_areas))
        return module

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "simos"

    def layout(self, image: bytes) -> Layout:
        """Read the area table; the monitor sum lies inside the areas, so it settles first.

        Once one of the two is found, an unreadable table of the other is damage and not absence.
        """
        found = {"area CRC": self._areas(image)}
        if self.monitor:
            found = {"calibration monitor": self._monitor(image), **found}
        checks = tuple(check for check in found.values() if check)
        missing = ChecksumBlock.broken if checks else ChecksumBlock.unknown
        others = [
            missing(f"{name}: absurd areas", 0, len(image)) for name, check in found.items() if not check
        ]
        if not self.signed:
            return Layout(checks, tuple(others))
        areas = found["area CRC"]
        signature = areas.span if areas else Span(0, len(image))
        others.append(ChecksumBlock.unknown("signature", signature.start, signature.end))
        return Layout(checks, tuple(others), True, _SIGNED)

    def _areas(self, image: bytes) -> StoredCheck | None:
        at = self.header_at
        count = image[at + 8] if at + 12 <= len(image) else 0
        spans = self._table(image, at + 12, count)
        if not spans or not affordable(spans, len(image)):
            return None
        return StoredCheck(
            "area CRC", _hull(spans), Store(at + 4, 4, "little"), lambda data: _crc(data, spans)
        )

    def _monitor(self, image: bytes) -> StoredCheck | None:
        spans = tuple(map(self.placed, self.monitor_areas))
        if not spans and len(image) >= _MONITOR_AREAS_AT:
            spans = self._table(image, _MONITOR_AREAS_AT, u32le(image, _MONITOR_AT + 0x10))
        if not spans or len(image) < _MONITOR_AREAS_AT or not affordable(spans, len(image)):
            return None
        store = _HighFirst(_MONITOR_AT, 8, "little")
        return StoredCheck("calibration monitor", _hull(spans), store, lambda data: _monitor_sum(data, spans))

    def _table(self, image: bytes, at: int, count: int) -> tuple[Span, ...]:
        """Return `count` (start, last) address pairs as spans; empty when the table runs off the image."""
        if not 0 < count <= 0xFF or at + 8 * count > len(image):
            return ()
        pairs = [(u32le(image, at + 8 * i), u32le(image, at + 8 * i + 4)) for i in range(count)]
        return tuple(Span(self._offset(start), self._offset(last) + 1) for start, last in pairs)

    def placed(self, area: Span) -> Span:
        """Return an area of addresses as offsets into the image."""
        return Span(self._offset(area.start), self._offset(area.end))

    def _offset(self, address: int) -> int:
        """Return the image offset of an address in either the cached or the uncached view."""
        return (address & _SEGMENT) - (self.base & _SEGMENT)


class _HighFirst(Store):
    """64 bits as two little-endian dwords, the high one first."""

    def value(self, image: Bytes) -> int:
        """Return the stored value."""
        return u32le(image, self.offset) << 32 | u32le(image, self.offset + 4)

    def encoded(self, value: int) -> bytes:
        """Return the bytes that store `value`."""
        plain = super().encoded(value)
        return plain[4:] + plain[:4]


def _hull(spans: tuple[Span, ...]) -> Span:
    return Span(min(span.start for span in spans), max(span.end for span in spans))


def _crc(image: Bytes, spans: tuple[Span, ...]) -> int:
    return crc32_unreflected(b"".join(image[span.start : span.end] for span in spans))


def _monitor_sum(image: Bytes, spans: tuple[Span, ...]) -> int:
    init = u32le(image, _MONITOR_AT + 8) << 32 | u32le(image, _MONITOR_AT + 12)
    return init + sum(sum_words(image, span, 4, "little") for span in spans)
