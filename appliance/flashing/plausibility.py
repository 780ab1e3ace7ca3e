"""Whether a file can be a tune of the read at all: right papers do not make a picture a calibration.

Everything here is linear in the size of the regions, and nothing needs the wire.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from appliance.contract.gates import Finding, found
from appliance.definitions.memory import Region
from appliance.definitions.plausible import Plausibility
from appliance.flashing.changes import changed_bytes, difference
from appliance.flashing.image import Held

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
    region: Region,
    old: Held,
    new: Held,
    limits: Plausibility,
    lowest: bool,
    own_texts: Sequence[str] = (),
) -> Iterator[Finding]:
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
        yield found("implausible_noise", region=region.name, bits=bits, most_bits=limits.entropy_bits)


def _too_much_changed(region: Region, old: Held, new: Held, limits: Plausibility) -> Iterator[Finding]:
    code = region.tag in ("code", "boot")
    most = limits.code_changed_share if code else limits.calibration_changed_share
    share = difference(old, new, region.erased_byte).share
    if share > most:
        yield found("implausible_share", region=region.name, share=share, most_share=most)


def _vectors_changed(
    region: Region, old: Held, new: Held, limits: Plausibility, lowest: bool
) -> Iterator[Finding]:
    size = limits.reset_area_bytes
    if lowest and region.tag in ("code", "boot") and old[:size] != new[:size]:
        yield found("implausible_vectors", region=region.name, bytes=size)


def _other_contents(region: Region, old: Held, new: Held, own_texts: Sequence[str]) -> Iterator[Finding]:
    for header, kind in _HEADERS.items():
        if new.startswith(header) and not old.startswith(header):
            yield found("implausible_header", region=region.name, kind=kind)
    for mark, family in _FAMILY_MARKS.items():
        if mark in new and mark not in old:
            yield found("implausible_family", region=region.name, family=family)
    for text in own_texts:
        written = text.encode()
        if len(written) >= _SHORTEST_TEXT and written in old and written not in new:
            yield found("implausible_number", region=region.name, number=text)


def _new_bits(old: Held, new: Held) -> float | None:
    """Bits per byte of the new bytes where they hold more than those they replace; None for too few."""
    pair = changed_bytes(old, new)
    if len(pair[0]) < _ENOUGH_FOR_ENTROPY_BYTES:
        return None
    before, after = map(_entropy_bits, pair)
    return after if after > before + _NOISE_BITS else None


def _entropy_bits(data: Held) -> float:
    """Shannon entropy in bits per byte."""
    return -sum(n / len(data) * math.log2(n / len(data)) for n in Counter(data).values())
