"""The checksums that a definition names, with the modules that know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.checksums import ChecksumModule, Judgement, Verdict, correct_like_stock, judge, module_for
from appliance.contract.errors import EngineError
from appliance.contract.gates import found
from appliance.contract.places import Start
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.memory import Region
from appliance.definitions.schema import Definition
from appliance.flashing.image import Held, MemoryImage
from appliance.vault.contents import Content

_WORST_FIRST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.OK)


@dataclass(frozen=True, slots=True)
class OwnChecksum:
    """One checksum of a definition, in the definition's order."""

    region: Region
    name: str
    module: ChecksumModule


def own_checksums(definition: Definition, access: AccessDefinition | None = None) -> tuple[OwnChecksum, ...]:
    """Every checksum of the definition, or of the memories that an access reaches.

    Raises PitboxError for a module that does not exist.
    """
    reached = definition.regions if access is None else access.regions(definition.memories)
    names = {region.name for region in reached}
    found = []
    for spec in (one for one in definition.checksums if one.region in names):
        try:
            module = module_for(spec.module, spec.parameters)
        except ValueError as error:
            raise EngineError(
                "DEFINITION_CHECKSUM", definition=definition.id, technical_text=str(error)
            ) from error
        found.append(OwnChecksum(definition.region(spec.region), spec.module, module))
    return tuple(found)


def judged(checksums: Sequence[OwnChecksum], original: MemoryImage, target: MemoryImage) -> Judgement:
    """The worst judgement of all, told after the others' reasons; UNKNOWN where there is no checksum."""
    if not checksums:
        return Judgement(Verdict.UNKNOWN, "CHECKSUM_NO_MODULE", (found("checksum_no_module"),))
    each = [_judged(checksum, original, target) for checksum in checksums]
    worst = next(one for verdict in _WORST_FIRST for one in each if one.verdict is verdict)
    if worst.verdict is not Verdict.OK or len(each) == 1:
        return worst
    return Judgement(worst.verdict, worst.code, tuple(told for one in each for told in one.findings))


def _judged(checksum: OwnChecksum, original: MemoryImage, target: MemoryImage) -> Judgement:
    region = checksum.region
    if not all(image.covers(region.place) for image in (original, target)):
        what = found("checksum_not_read", region=region.name)
        return Judgement(Verdict.FAIL, "CHECKSUM_NOT_READ", (what,))
    stock, modified = (_bytes_of(image.held(region.place)) for image in (original, target))
    return judge(checksum.module, stock, modified)


def _bytes_of(held: Held) -> bytes:
    """Without a copy where it is that already."""
    return held if isinstance(held, bytes) else bytes(held)


def corrected(
    checksums: Sequence[OwnChecksum], original: MemoryImage, contents: Mapping[Start, Content]
) -> dict[Start, Content]:
    """The regions in `contents` with their checksums put right, one after the other in their order.

    Raises ChecksumRefused or ChecksumUnsupported where one cannot be.
    """
    put_right = dict(contents)
    for checksum in checksums:
        place = checksum.region.place
        if place.at in put_right:
            stock = _bytes_of(original.held(place))
            put_right[place.at], _ = correct_like_stock(checksum.module, stock, bytes(put_right[place.at]))
    return put_right
