"""Correction of a modified image, backed by the stock image it was made from (sources: checksum-rule)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from appliance.checksums.errors import ChecksumRefused
from appliance.checksums.judge import (
    Judgement,
    judge,
    other_length,
    settled,
    touched_unknown,
    unverified,
)
from appliance.checksums.report import ChecksumModule, ChecksumReport, Verdict
from appliance.checksums.words import Span
from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import named

_CHUNK_BYTES = 4096
_GAP_BYTES = 8
"""Changed bytes closer than this are reported as one region."""


def correct_like_stock(module: ChecksumModule, stock: bytes, modified: bytes) -> tuple[bytes, ChecksumReport]:
    """Correct `modified` and judge the result; the report's detail lists each region's old and new bytes.

    Raises ChecksumRefused with the judge's code unless the module verifies the stock image, nothing changed
    that cannot be checked and both images describe the same checksums, and ChecksumUnsupported where the
    family cannot make the image verify.
    """
    if len(stock) != len(modified):
        raise _refused(other_length(stock, modified))
    reading = settled(module, stock)
    before = reading.verify(stock)
    if before.verdict is not Verdict.OK:
        raise _refused(unverified(before))
    if touched := touched_unknown(before, stock, modified):
        raise _refused(touched)
    corrected = reading.correct(modified)
    judgement = judge(reading, stock, corrected)
    if judgement.verdict is not Verdict.OK:
        raise _refused(judgement)
    after = reading.verify(corrected)
    return corrected, replace(after, detail=_told(after, modified, corrected))


def _refused(judgement: Judgement) -> ChecksumRefused:
    problem = [Phrase(one.key, one.fields, one.text) for one in judgement.findings]
    return ChecksumRefused(judgement.code, problem=tuple(problem), points=named(judgement.blocks))


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
