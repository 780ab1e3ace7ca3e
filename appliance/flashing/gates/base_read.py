"""Gate: the read that the file was made from."""

from __future__ import annotations

from appliance.flashing.changes import difference
from appliance.flashing.gates.gate import Judgement, PaperGate, failed, passed, passed_if
from appliance.flashing.gates.request import WriteRequest, whole_regions
from appliance.flashing.image import MemoryImage

_SAME_SHARE = 0.5
"""Of the content of a plain file that does not say what it was made from."""


class BaseRead(PaperGate):
    """The file was made from the very read that is stored."""

    name = "base_read"
    question = "Was the file made from this car's read?"

    def judge(self, request: WriteRequest) -> Judgement:
        """By hash; a plain file that names no base has to show it."""
        if request.restores:
            return passed("base_is_itself")
        if request.original is None:
            return failed("base_no_read")
        if request.papers.plain and request.papers.base_sha256 is None:
            return _by_content(request, request.original)
        if request.papers.base_sha256 != request.original.sha256():
            return failed("base_other")
        return passed("base_same")


def _by_content(request: WriteRequest, original: MemoryImage) -> Judgement:
    """Most of what it holds must be this car's read."""
    pairs = list(whole_regions(request, original))
    if not pairs:
        return failed("base_untold_no_region")
    differences = [difference(old, new, region.erased_byte) for region, old, new in pairs]
    content = sum(one.content_bytes for one in differences)
    changed = sum(one.changed_bytes for one in differences)
    same = 1 - changed / content if content else 0.0
    return passed_if(same >= _SAME_SHARE, "base_by_content", share=same)
