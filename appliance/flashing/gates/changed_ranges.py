"""Gate: where the file differs from the original."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.contract.places import Range
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
        outside = [str(one) for one in changes if not any(known.contains(one) for known in declared)]
        if outside:
            return failed("changes_undeclared", count=len(outside), places=tuple(outside[:_MOST_TOLD]))
        return passed("changes_declared", bytes=sum(one.length for one in changes))


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes in as few ranges as possible: a change may cross from one into the next."""
    joined: list[Range] = []
    for one in sorted(ranges):
        last = joined[-1] if joined else None
        if last and one.memory == last.memory and one.start <= last.end:
            joined[-1] = Range.between(last.memory, last.start, max(last.end, one.end))
        else:
            joined.append(one)
    return joined
