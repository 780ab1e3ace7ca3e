"""Gate: where the file differs from the original."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed
from appliance.flashing.gates.request import WriteRequest, target_of

_MOST_TOLD = 8


class ChangedRanges(PaperGate):
    """Every byte that changes was declared."""

    name = "changed_ranges"
    question = "Does the file differ from the original only where its papers say so?"

    def judge(self, request: WriteRequest) -> Judgement:
        """To the byte."""
        target = target_of(request)
        if target is None or request.original is None:
            return failed("changes_not_comparable")
        declared = _joined(request.papers.changed_ranges)
        changes = target.changed_ranges(request.original)
        outside = [
            f"0x{start:08X}-0x{end:08X}"
            for start, end in changes
            if not any(low <= start and end <= high for low, high in declared)
        ]
        if outside:
            return failed("changes_undeclared", count=len(outside), places=tuple(outside[:_MOST_TOLD]))
        return passed("changes_declared", bytes=sum(end - start for start, end in changes))


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes in as few (start, end) ranges as possible: a change may cross from one into the next."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
