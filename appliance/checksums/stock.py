"""Correction of a modified image, backed by the stock image it was made from (sheet obd, 6.0)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from appliance.checksums.errors import ChecksumRefused
from appliance.checksums.report import ChecksumBlock, ChecksumModule, ChecksumReport, SettledByStock, Verdict
from appliance.checksums.words import Span

_CHUNK_BYTES = 4096
_GAP_BYTES = 8
"""Changed bytes closer than this are reported as one region."""


def correct_like_stock(module: ChecksumModule, stock: bytes, modified: bytes) -> tuple[bytes, ChecksumReport]:
    """Correct `modified` and verify it again; the report's detail lists each region's old and new bytes.

    Raises ChecksumRefused unless the module verifies the stock image and both images describe the
    same checksums, and ChecksumUnsupported where the family cannot make the image verify.
    """
    if len(stock) != len(modified):
        what = f"the modified image has {len(modified)} bytes, the stock image {len(stock)}"
        raise ChecksumRefused("CHECKSUM_LENGTH_DIFFERS", what)
    if isinstance(module, SettledByStock):
        module = module.settled_by(stock)
    before = module.verify(stock)
    _refuse_unverified(before)
    _refuse_unchecked_edits(before, stock, modified)
    corrected = module.correct(modified)
    after = module.verify(corrected)
    _refuse_other_layout(before, after)
    return corrected, replace(after, detail=_told(after, modified, corrected))


def _refuse_unverified(report: ChecksumReport) -> None:
    if report.verdict is Verdict.OK:
        return
    failing = tuple(block.name for block in report.blocks if block.verdict is Verdict.FAIL)
    why = ", ".join(failing) or report.detail or "nothing could be checked"
    what = f"{report.family} does not verify the stock image ({why}), so it may not correct a modified one"
    raise ChecksumRefused("CHECKSUM_STOCK_UNVERIFIED", what, failing)


def _refuse_unchecked_edits(report: ChecksumReport, stock: bytes, modified: bytes) -> None:
    """Refuse changes under a checksum that could not be checked: unknown is not a pass."""
    unknown = [block for block in report.blocks if block.verdict is Verdict.UNKNOWN]
    touched = tuple(
        block.name for block in unknown if stock[block.start : block.end] != modified[block.start : block.end]
    )
    if touched:
        what = f"{report.family} cannot check what covers the changed bytes: {', '.join(touched)}"
        raise ChecksumRefused("CHECKSUM_UNKNOWN_TOUCHED", what, touched)


def _refuse_other_layout(before: ChecksumReport, after: ChecksumReport) -> None:
    if [_place(block) for block in before.blocks] != [_place(block) for block in after.blocks]:
        what = f"the modified image describes other {before.family} checksums than the stock image"
        raise ChecksumRefused("CHECKSUM_LAYOUT_CHANGED", what)


def _place(block: ChecksumBlock) -> tuple[str, int, int, int | None]:
    return block.name, block.start, block.end, block.store_at


def _told(report: ChecksumReport, modified: bytes, corrected: bytes) -> str:
    changes = []
    for span in changed_regions(modified, corrected):
        old, new = (image[span.start : span.end].hex() for image in (modified, corrected))
        changes.append(f"{span.start:#x}: {old} -> {new}")
    told = f"corrected {', '.join(changes)}" if changes else "nothing to correct"
    return f"{told}; {report.detail}" if report.detail else told


def changed_regions(old: bytes, new: bytes) -> tuple[Span, ...]:
    """Return where two images of one length differ; bytes close together count as one region."""
    spans: list[Span] = []
    for at in _changed_offsets(old, new):
        if spans and at - spans[-1].end < _GAP_BYTES:
            spans[-1] = Span(spans[-1].start, at + 1)
        else:
            spans.append(Span(at, at + 1))
    return tuple(spans)


def _changed_offsets(old: bytes, new: bytes) -> Iterator[int]:
    for start in range(0, len(new), _CHUNK_BYTES):
        ours, theirs = old[start : start + _CHUNK_BYTES], new[start : start + _CHUNK_BYTES]
        if ours != theirs:
            yield from (
                start + i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]
            )
