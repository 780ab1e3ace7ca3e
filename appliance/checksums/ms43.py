"""Siemens MS43: CRC-16/ARC over block lists, started from the image's ID text (sources: checksum-ms43)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.crc import crc16_arc
from appliance.checksums.params import Params
from appliance.checksums.report import ChecksumBlock
from appliance.checksums.words import Bytes, Span, affordable, read, u16le, u32le

_IMAGE_BYTES = 0x80000
_MOST_BLOCKS = 16


@dataclass(frozen=True)
class _Section:
    """Where a section keeps its CRC, its block list and its start value; `base` of its addresses."""

    name: str
    slot_at: int
    init_at: int
    base: int


_SECTIONS = (
    _Section("boot", 0x3C24, 0x3FE6, 0),
    _Section("program", 0x6FDE0, 0x3C34, 0x80000),
    _Section("calibration", 0x73FE0, 0x6FFBF, 0),
)
_MONITORS = (("program", 0x6FDAE), ("calibration", 0x72FFC))
"""Sums the running program makes over RAM pointers: no image shows whether they hold, or over what."""


@dataclass(frozen=True)
class Ms43(LayoutModule):
    """One 512 KiB MS43 image."""

    monitored: bool = True

    @classmethod
    def from_params(cls, params: Params) -> Ms43:
        """Read `monitors`: unknown (default), or off where this software's switch for them is off."""
        params.image_of(_IMAGE_BYTES)
        return cls(params.choice("monitors", ("unknown", "off"), "unknown") == "unknown")

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return "siemens-ms43"

    def layout(self, image: bytes) -> Layout:
        """Read the three block lists; once one is sound, an absurd one is damage and not absence."""
        if len(image) != _IMAGE_BYTES:
            return Layout(detail=f"an MS43 image is {_IMAGE_BYTES} bytes long")
        checks = [check for check in (_check(image, section) for section in _SECTIONS) if check]
        if not checks:
            return Layout(detail="no MS43 block list found")
        known = {check.name for check in checks}
        broken = [
            ChecksumBlock.broken(f"{section.name}: absurd block list")
            for section in _SECTIONS
            if f"{section.name} CRC" not in known
        ]
        if not self.monitored:
            return Layout(tuple(checks), tuple(broken))
        hulls = {check.name: check.span for check in checks}
        runtime = [
            _monitor(name, at, hulls.get(f"{name} CRC", Span(0, _IMAGE_BYTES))) for name, at in _MONITORS
        ]
        return Layout(tuple(checks), (*broken, *runtime), detail="two runtime sums cannot be checked")


def _monitor(section: str, at: int, covers: Span) -> ChecksumBlock:
    return ChecksumBlock.unknown(f"{section} monitor at {at:#x}", covers.start, covers.end)


def _check(image: bytes, section: _Section) -> StoredCheck | None:
    spans = _spans(image, section)
    if not spans or not affordable(spans, len(image)):
        return None
    hull = Span(min(span.start for span in spans), max(span.end for span in spans))
    compute = partial(_crc, spans=spans, init_at=section.init_at)
    return StoredCheck(f"{section.name} CRC", hull, Store(section.slot_at, 2, "little"), compute)


def _spans(image: bytes, section: _Section) -> tuple[Span, ...]:
    count = u16le(image, section.slot_at + 2)
    if count > _MOST_BLOCKS:
        return ()
    listed = [section.slot_at + 4 + 8 * index for index in range(count)]
    return tuple(
        Span(u32le(image, at) - section.base, u32le(image, at + 4) - section.base + 1) for at in listed
    )


def _crc(image: Bytes, spans: tuple[Span, ...], init_at: int) -> int:
    covered = b"".join(image[span.start : span.end] for span in spans)
    return crc16_arc(covered, read(image, init_at, 2, "big"))
