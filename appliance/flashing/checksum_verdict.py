"""What the definition's checksum module says of memory as it should be, given the original."""

from __future__ import annotations

from appliance.checksums import ChecksumModule, Judgement, Verdict, judge
from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage


def judged(
    definition: Definition, module: ChecksumModule | None, original: MemoryImage, target: MemoryImage
) -> Judgement:
    """The judgement over the region that the checksum is over; UNKNOWN where there is no module for it."""
    spec = definition.checksum
    if spec is None or module is None:
        return Judgement(Verdict.UNKNOWN, "CHECKSUM_NO_MODULE", "no checksum module for this ECU")
    region = definition.region(spec.region)
    if not all(image.covers(region.place) for image in (original, target)):
        what = f"the stored original lacks {region.name}, which the checksum is over"
        return Judgement(Verdict.FAIL, "CHECKSUM_NOT_READ", what)
    stock, modified = (image.slice(region.place) for image in (original, target))
    return judge(module, stock, modified)
