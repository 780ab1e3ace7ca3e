"""Whether a file can be a tune of the read at all: right papers do not make a picture a calibration.

Everything here is linear in the size of the regions, and nothing needs the wire.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from appliance.definitions.memory import Region
from appliance.definitions.plausible import Plausibility
from appliance.flashing.changes import changed_bytes, difference

_ENOUGH_FOR_ENTROPY_BYTES = 4096
_NOISE_BITS = 0.1
"""Two samples of one source differ by less."""
_SHORTEST_TEXT = 5
_HEADERS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG\r\n\x1a\n": "a PNG picture",
    b"GIF8": "a GIF picture",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b\x08": "a gzip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\x7fELF": "an ELF program",
    b"MZ\x90\x00": "a Windows program",
    b"%PDF": "a PDF document",
    b"age-encryption.org/": "a sealed file",
}
_FAMILY_MARKS = {
    b"EDC15": "Bosch EDC15",
    b"EDC16": "Bosch EDC16",
    b"EDC17": "Bosch EDC17",
    b"MED17": "Bosch MED17",
    b"/ME7.": "Bosch ME7",
    b"SIMOS": "Continental Simos",
    bytes.fromhex("fecadefafeaffeca"): "Bosch MED17 or EDC17",
}
"""Texts and records by which an image names its family."""


def implausible(
    region: Region, old: bytes, new: bytes, limits: Plausibility, lowest: bool, own_texts: Sequence[str] = ()
) -> Iterator[str]:
    """What speaks against `new` as a tune of `old`, two contents of the same whole region.

    `lowest` is whether it is the definition's lowest region, which starts with vectors where it is code.
    `own_texts` are the ECU's own numbers: where the read holds one, so must the file.
    """
    if old == new:
        return
    yield from _too_much_changed(region, old, new, limits)
    yield from _vectors_changed(region, old, new, limits, lowest)
    yield from _other_contents(region, old, new, own_texts)
    bits = _new_bits(old, new)
    if bits is not None and bits > limits.entropy_bits:
        yield f"{region.name}: {bits:.2f} bits in every new byte, at most {limits.entropy_bits:g}: not tables"


def _too_much_changed(region: Region, old: bytes, new: bytes, limits: Plausibility) -> Iterator[str]:
    code = region.tag in ("code", "boot")
    most = limits.code_changed_share if code else limits.calibration_changed_share
    found = difference(old, new, region.erased_byte)
    if found.share > most:
        yield f"{region.name}: {found.share:.1%} of its content differs from the read, at most {most:.1%}"


def _vectors_changed(
    region: Region, old: bytes, new: bytes, limits: Plausibility, lowest: bool
) -> Iterator[str]:
    size = limits.reset_area_bytes
    if lowest and region.tag in ("code", "boot") and old[:size] != new[:size]:
        yield f"{region.name}: the vectors in its first {size} bytes differ from the read"


def _other_contents(region: Region, old: bytes, new: bytes, own_texts: Sequence[str]) -> Iterator[str]:
    for header, kind in _HEADERS.items():
        if new.startswith(header) and not old.startswith(header):
            yield f"{region.name}: begins as {kind} does"
    for mark, family in _FAMILY_MARKS.items():
        if mark in new and mark not in old:
            yield f"{region.name}: names {family}, which the read does not"
    for text in own_texts:
        written = text.encode()
        if len(written) >= _SHORTEST_TEXT and written in old and written not in new:
            yield f"{region.name}: lacks this ECU's number {text}, which the read holds"


def _new_bits(old: bytes, new: bytes) -> float | None:
    """Bits per byte of the new bytes where they hold more than those they replace; None for too few."""
    pair = changed_bytes(old, new)
    if len(pair[0]) < _ENOUGH_FOR_ENTROPY_BYTES:
        return None
    before, after = map(_entropy_bits, pair)
    return after if after > before + _NOISE_BITS else None


def _entropy_bits(data: bytes) -> float:
    """Shannon entropy in bits per byte."""
    return -sum(n / len(data) * math.log2(n / len(data)) for n in Counter(data).values())
