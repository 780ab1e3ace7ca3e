"""What is asked of the gates: a file with its papers, and the original it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from appliance.contract.gates import Finding, Waiver
from appliance.contract.places import Range
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.flashing.image import Held, MemoryImage
from appliance.flashing.own_checksums import OwnChecksum

NOT_TOLD = "unknown"
"""In papers and sealed records, for a number that the ECU did not tell."""
_BACK_WITHOUT = frozenset({"engine_off", "no_update"})
"""Gates that are not in the way of the ECU's own original, where they may be waived at all."""
_BACK_ALL_THE_SAME = Waiver("the rule of the own original", "it goes back all the same")


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What came with a tuned file, or what stands in for it when the ECU's own original goes back."""

    own_original: bool
    signatures: tuple[Finding, ...] = ()
    """Problems with manifest and grant signatures; empty when both hold."""
    definition: str | None = None
    """Id of the definition the file was made for."""
    method: str | None = None
    ecu_hw: str | None = None
    ecu_sw: str | None = None
    ecu_boot: str | None = None
    vin_matches: bool | None = None
    regions: Mapping[str, Range] = field(default_factory=dict)
    """By name."""
    base_sha256: str | None = None
    """Hash of the read the file was made from, or the name of another one; None where nobody says."""
    plain: bool = False
    """A plain file that this box made a package of: what its maker knew of its base it cannot tell."""
    changed_ranges: tuple[Range, ...] = ()
    checksum_by_master: bool = False
    """The master signed that the checksums are right, where the box cannot tell."""
    use: str | None = None
    consents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Everything a plan is made from."""

    job_id: str
    definition: Definition
    access: AccessDefinition
    """The one of the definition's accesses that the write takes."""
    original_file: str | None
    original: MemoryImage | None
    """The verified read of this car; None when there is none."""
    tuned: MemoryImage | None
    """New content of the regions to be written; None when the original goes back."""
    tuned_file: str | None
    papers: Authorisation
    checksums: tuple[OwnChecksum, ...]
    engine_off_stated: bool = False
    """A person's word; what the ECU itself tells outranks it."""
    waivers: Mapping[str, Waiver] = field(default_factory=dict)
    """By the name of the gate; which verdicts may be waived, if any, is said by the gate alone."""
    last_proven: Callable[[], MemoryImage | None] = lambda: None
    """Memory as this job last wrote and proved it; opened when asked for. None where it never did."""

    @property
    def method(self) -> str:
        """Where the box is connected."""
        return self.access.method

    @property
    def regions(self) -> tuple[Region, ...]:
        """All that the access reaches."""
        return self.access.regions(self.definition.memories)

    @property
    def restores(self) -> bool:
        """Whether the ECU's own original goes back: that needs nobody's papers."""
        return self.papers.own_original and self.tuned is None

    def waiver_of(self, gate: str) -> Waiver | None:
        """Who sets the gate aside for this write."""
        rule = _BACK_ALL_THE_SAME if self.restores and gate in _BACK_WITHOUT else None
        return self.waivers.get(gate, rule)


def target_of(request: WriteRequest) -> MemoryImage | None:
    """The memory as it should be afterwards; None where the pieces do not fit together."""
    if request.original is None:
        return None
    if request.tuned is None:
        return request.original
    if not all(request.original.covers(place) for place, _ in request.tuned.pieces):
        return None
    return request.original.overlaid(request.tuned)


def whole_regions(request: WriteRequest, original: MemoryImage) -> Iterator[tuple[Region, Held, Held]]:
    """Each region the file holds as a whole, with what was read of it and what is to be written."""
    whole = {region.place: region for region in request.regions}
    for place, data in request.tuned.pieces if request.tuned else ():
        if place in whole and original.covers(place):
            yield whole[place], original.held(place), data
