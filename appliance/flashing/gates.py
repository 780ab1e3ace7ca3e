"""The gates that need no wire: the file, its papers, and the original it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from appliance.checksums import ChecksumModule, Verdict
from appliance.contract.events import GateVerdict
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.flashing.changes import difference
from appliance.flashing.checksum_verdict import judged
from appliance.flashing.image import MemoryImage
from appliance.flashing.plausibility import implausible

_SAME_SHARE = 0.5
"""Of the content of a plain file that does not say what it was made from."""
USES = frozenset({"road_compliant", "motorsport_offroad", "bench_research"})


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What came with a tuned file, or what stands in for it when the ECU's own original goes back."""

    own_original: bool
    signatures: tuple[str, ...] = ()
    """Problems with manifest and grant signatures; empty when both hold."""
    definition: str | None = None
    """Id of the definition the file was made for."""
    method: str | None = None
    ecu_hw: str | None = None
    ecu_sw: str | None = None
    ecu_boot: str | None = None
    vin_matches: bool | None = None
    regions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name to (start, size)."""
    base_sha256: str | None = None
    """Hash of the read the file was made from, or the name of another one; None where nobody says."""
    plain: bool = False
    """A plain file that this box made a package of: what its maker knew of its base it cannot tell."""
    changed_ranges: tuple[tuple[int, int], ...] = ()
    checksum_by_master: bool = False
    """The master signed that the checksums are right, where the box cannot tell."""
    use: str | None = None
    consents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Everything a plan is made from."""

    job_id: str
    definition: Definition
    method: str
    original_file: str | None
    original: MemoryImage | None
    """The verified read of this car; None when there is none."""
    tuned: MemoryImage | None
    """New content of the regions to be written; None when the original goes back."""
    tuned_file: str | None
    papers: Authorisation
    checksum: ChecksumModule | None

    @property
    def restores(self) -> bool:
        """Whether the ECU's own original goes back: that needs nobody's papers."""
        return self.papers.own_original and self.tuned is None


def target_of(request: WriteRequest) -> MemoryImage | None:
    """The memory as it should be afterwards; None where the pieces do not fit together."""
    if request.original is None:
        return None
    if request.tuned is None:
        return request.original
    if not all(request.original.covers(start, len(data)) for start, data in request.tuned.spans.items()):
        return None
    return request.original.overlaid(request.tuned)


def check_request(request: WriteRequest) -> list[GateVerdict]:
    """Every gate that can be checked without the wire, in the order they are shown."""
    return [GateVerdict(name, *gate(request)) for name, gate in _GATES]


Outcome = tuple[str, str]
"""(verdict, detail)"""


def _signatures(request: WriteRequest) -> Outcome:
    if request.restores:
        return "pass", "the ECU's own original needs nobody's permission"
    if request.papers.own_original:
        return "fail", "these papers are for the ECU's own original, and this is another file"
    if request.papers.signatures:
        return "fail", "; ".join(request.papers.signatures)
    return "pass", "manifest and grant are signed by the paired master"


def _original_stored(request: WriteRequest) -> Outcome:
    if request.original is None or request.original_file is None:
        return "fail", "no verified read of this ECU is stored: read it first"
    lacking = [
        region.name
        for region in request.definition.regions
        if region.writable and not request.original.covers(region.start, region.size_bytes)
    ]
    if lacking:
        return "fail", f"the stored original lacks {', '.join(lacking)}"
    return "pass", f"sealed as {request.original_file}"


def _definition(request: WriteRequest) -> Outcome:
    wanted, own = request.papers.definition, request.definition.id
    if request.restores or wanted == own:
        return "pass", own
    return "fail", f"the file is for the definition {wanted}, this job is for {own}"


def _method(request: WriteRequest) -> Outcome:
    wanted = request.papers.method
    if request.restores or wanted == request.method:
        return "pass", request.method
    return "fail", f"the file is for {wanted}, this connection is {request.method}"


def _regions(request: WriteRequest) -> Outcome:
    if request.tuned is None:
        return "pass", "the regions of the original"
    known = {r.name: (r.start, r.size_bytes) for r in request.definition.regions if r.writable}
    strange = [name for name, span in request.papers.regions.items() if known.get(name) != tuple(span)]
    if strange or not request.papers.regions:
        return "fail", f"not writable in this definition: {', '.join(strange) or 'no region named'}"
    starts = {start for start, _ in request.papers.regions.values()}
    if starts != set(request.tuned.spans):
        return "fail", "the file's contents are not the regions its manifest names"
    return "pass", ", ".join(request.papers.regions)


def _length(request: WriteRequest) -> Outcome:
    if request.tuned is None:
        return "pass", "the length of the original"
    by_start = {r.start: r for r in request.definition.regions}
    wrong = [
        f"0x{start:08X}: {len(data)} bytes, wanted {by_start[start].size_bytes if start in by_start else 0}"
        for start, data in request.tuned.spans.items()
        if start not in by_start or by_start[start].size_bytes != len(data)
    ]
    return ("fail", "; ".join(wrong)) if wrong else ("pass", f"{request.tuned.size_bytes} bytes")


def _base(request: WriteRequest) -> Outcome:
    if request.restores:
        return "pass", "it is the read itself"
    if request.original is None:
        return "fail", "no read to compare with"
    if request.papers.plain and request.papers.base_sha256 is None:
        return _base_by_content(request, request.original)
    if request.papers.base_sha256 != request.original.sha256():
        return "fail", "the file was made from another read than the one stored for this car"
    return "pass", "made from this car's read"


def _base_by_content(request: WriteRequest, original: MemoryImage) -> Outcome:
    """A plain file that names no base has to show it: most of what it holds is this car's read."""
    pairs = list(_whole_regions(request, original))
    if not pairs:
        return "fail", "the file does not say what it was made from, and holds no whole region"
    found = [difference(old, new, region.erased_byte) for region, old, new in pairs]
    content, changed = sum(one.content_bytes for one in found), sum(one.changed_bytes for one in found)
    same = 1 - changed / content if content else 0.0
    told = f"the file does not say what it was made from; {same:.1%} of its content is this car's read"
    return ("pass" if same >= _SAME_SHARE else "fail"), told


def _whole_regions(request: WriteRequest, original: MemoryImage) -> Iterator[tuple[Region, bytes, bytes]]:
    """Each region the file holds as a whole, with what was read of it and what is to be written."""
    by_start = {region.start: region for region in request.definition.regions}
    for start, data in request.tuned.spans.items() if request.tuned else ():
        region = by_start.get(start)
        if region and region.size_bytes == len(data) and original.covers(start, len(data)):
            yield region, original.slice(start, len(data)), bytes(data)


def _plausibility(request: WriteRequest) -> Outcome:
    if request.restores:
        return "pass", "the original as it was read"
    if request.original is None or request.tuned is None or not request.tuned.spans:
        return "fail", "nothing to compare"
    pairs = list(_whole_regions(request, request.original))
    if len(pairs) < len(request.tuned.spans):
        return "fail", "the file holds something else than whole regions of the read"
    limits = request.definition.plausibility
    lowest = min(region.start for region in request.definition.regions)
    own = [text for text in (request.papers.ecu_hw, request.papers.ecu_sw) if text]
    problems = [
        problem
        for region, old, new in pairs
        for problem in implausible(region, old, new, limits, region.start == lowest, own)
    ]
    return (
        ("fail", "; ".join(problems)) if problems else ("pass", "a tune of this read, as far as can be seen")
    )


def _changed_ranges(request: WriteRequest) -> Outcome:
    target = target_of(request)
    if target is None or request.original is None:
        return "fail", "cannot be compared with the original"
    declared = _joined(request.papers.changed_ranges)
    changes = target.changed_ranges(request.original)
    outside = [
        f"0x{start:08X}-0x{end:08X}"
        for start, end in changes
        if not any(low <= start and end <= high for low, high in declared)
    ]
    if outside:
        return "fail", f"{len(outside)} changes outside the declared ranges: {', '.join(outside[:8])}"
    return "pass", f"{sum(end - start for start, end in changes)} bytes differ from the original"


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes in as few (start, end) ranges as possible: a change may cross from one into the next."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _checksum(request: WriteRequest) -> Outcome:
    target = target_of(request)
    if target is None or request.original is None:
        return "fail", "no complete image to check"
    if request.restores:
        return "pass", "the original as it was read"
    judgement = judged(request.definition, request.checksum, request.original, target)
    if judgement.verdict is Verdict.UNKNOWN and request.papers.checksum_by_master:
        return "pass", f"{judgement.why}; the master signed that it is right"
    return ("pass" if judgement.verdict is Verdict.OK else judgement.verdict.value), judgement.why


def _consents(request: WriteRequest) -> Outcome:
    if request.restores:
        return "pass", "not needed to put the original back"
    missing = [] if request.papers.use in USES else ["use declaration"]
    missing += [] if "technician" in request.papers.consents else ["consent of the technician"]
    return ("fail", f"missing: {', '.join(missing)}") if missing else ("pass", str(request.papers.use))


_GATES: tuple[tuple[str, Callable[[WriteRequest], Outcome]], ...] = (
    ("signatures", _signatures),
    ("original_stored", _original_stored),
    ("definition", _definition),
    ("method", _method),
    ("regions", _regions),
    ("length", _length),
    ("base_read", _base),
    ("changed_ranges", _changed_ranges),
    ("plausibility", _plausibility),
    ("checksum", _checksum),
    ("consents", _consents),
)
