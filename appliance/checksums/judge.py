"""The one judge of a modified image: what the box may say of it, given the stock image it was made from.

Corrector, gate and packaging all ask here, so that none of them can be weaker than another
(sources: checksum-rule).
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.checksums.report import ChecksumBlock, ChecksumModule, ChecksumReport, SettledByStock, Verdict
from appliance.contract.gates import Finding, found

_MOST_NAMED = 32
"""A hostile image may describe thousands of blocks."""


@dataclass(frozen=True)
class Judgement:
    """Verdict over a modified image, its reason and stable code, and the first blocks that decided it."""

    verdict: Verdict
    code: str
    findings: tuple[Finding, ...]
    blocks: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The reason in English."""
        return "; ".join(one.text for one in self.findings)


def settled(module: ChecksumModule, stock: bytes) -> ChecksumModule:
    """The module under the one reading that the stock image decides for."""
    return module.settled_by(stock) if isinstance(module, SettledByStock) else module


def judge(module: ChecksumModule, stock: bytes, target: bytes) -> Judgement:
    """Judge `target` as made from `stock`; any bytes give a judgement.

    FAIL where a checksum is wrong or the target describes other checksums than the stock; UNKNOWN where the
    module does not hold the stock itself for right, or where something changed that it cannot check.
    """
    if len(stock) != len(target):
        return other_length(stock, target)
    reading = settled(module, stock)
    before = reading.verify(stock)
    if before.verdict is not Verdict.OK:
        return unverified(before)
    after = reading.verify(target)
    return (
        _other_layout(before, after)
        or _wrong(after)
        or touched_unknown(before, stock, target)
        or Judgement(Verdict.OK, "CHECKSUM_OK", (_told(after),))
    )


def other_length(stock: bytes, target: bytes) -> Judgement:
    """The judgement over images that cannot be compared."""
    what = found("checksum_unlike_length", bytes=len(target), stock_bytes=len(stock))
    return Judgement(Verdict.FAIL, "CHECKSUM_LENGTH_DIFFERS", (what,))


def unverified(before: ChecksumReport) -> Judgement:
    """The judgement of a module that does not hold the stock image for right: it has no say."""
    failing = _names(before, Verdict.FAIL)
    why = _listed(failing) or before.detail
    what = (
        found("checksum_stock_unverified", family=before.family, why=why)
        if why
        else found("checksum_nothing_checked", family=before.family)
    )
    return Judgement(Verdict.UNKNOWN, "CHECKSUM_STOCK_UNVERIFIED", (what,), failing[:_MOST_NAMED])


def touched_unknown(before: ChecksumReport, stock: bytes, target: bytes) -> Judgement | None:
    """The judgement over changes under a checksum or signature nobody here can check; None without any."""
    touched = tuple(
        block.name
        for block in before.blocks
        if block.verdict is Verdict.UNKNOWN and _differs(block, stock, target)
    )
    if not touched:
        return None
    what = found("checksum_unknown_touched", family=before.family, blocks=_listed(touched))
    return Judgement(Verdict.UNKNOWN, "CHECKSUM_UNKNOWN_TOUCHED", (what,), touched[:_MOST_NAMED])


def _differs(block: ChecksumBlock, stock: bytes, target: bytes) -> bool:
    """A block without an extent may cover anything: every change touches it."""
    if not 0 <= block.start < block.end:
        return stock != target
    return stock[block.start : block.end] != target[block.start : block.end]


def _other_layout(before: ChecksumReport, after: ChecksumReport) -> Judgement | None:
    ours, theirs = ([_place(block) for block in report.blocks] for report in (before, after))
    if ours == theirs:
        return None
    described = set(theirs)
    missing = tuple(place[0] for place in ours if place not in described)
    what = found("checksum_layout_changed", family=before.family)
    return Judgement(Verdict.FAIL, "CHECKSUM_LAYOUT_CHANGED", (what,), missing[:_MOST_NAMED])


def _place(block: ChecksumBlock) -> tuple[str, int, int, int | None]:
    return block.name, block.start, block.end, block.store_at


def _wrong(after: ChecksumReport) -> Judgement | None:
    if after.verdict is Verdict.OK:
        return None
    failing = _names(after, Verdict.FAIL)
    what = found("checksum_wrong", family=after.family, failing=_listed(failing)) if failing else _told(after)
    return Judgement(after.verdict, "CHECKSUM_WRONG", (what,), failing[:_MOST_NAMED])


def _names(report: ChecksumReport, verdict: Verdict) -> tuple[str, ...]:
    return tuple(block.name for block in report.blocks if block.verdict is verdict)


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _told(report: ChecksumReport) -> Finding:
    checked = sum(block.verdict is Verdict.OK for block in report.blocks)
    if report.detail:
        return found(
            "checksum_ok_but",
            family=report.family,
            checked=checked,
            blocks=len(report.blocks),
            detail=report.detail,
        )
    return found("checksum_ok", family=report.family, checked=checked, blocks=len(report.blocks))
