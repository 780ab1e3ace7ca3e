"""The memories of an ECU as its wire shows them: one space of addresses, in which each has its place."""

from __future__ import annotations

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.checksum import Checksum
from appliance.definitions.memory import Memory
from appliance.definitions.schema import Definition


def on_wire(definition: Definition) -> Definition:
    """The definition with the addresses that requests name; memories that no request reaches are left out.

    What an address stands for is decided here alone: the services of the ECU know one space.
    """
    access = next((one for one in definition.accesses if isinstance(one, UdsAccessDefinition)), None)
    if access is None:
        return definition
    memories = access.reached(definition.memories)
    if not access.address_spaces and memories == definition.memories:
        return definition
    offsets = {one.memory: one.offset for one in access.address_spaces}
    names = {memory.name for memory in memories}
    kept = [one for one in definition.checksums if definition.region(one.region).memory in names]
    return definition.model_copy(
        update={
            "memories": tuple(_moved(memory, offsets.get(memory.name, 0)) for memory in memories),
            "accesses": (_moved_access(definition, access, offsets),),
            "checksums": tuple(_based(definition, one) for one in kept),
        }
    )


def _moved(memory: Memory, offset: int) -> Memory:
    regions = (region.model_copy(update={"start": region.start + offset}) for region in memory.regions)
    return memory.model_copy(update={"regions": tuple(regions)})


def _moved_access(
    definition: Definition, access: UdsAccessDefinition, offsets: dict[str, int]
) -> UdsAccessDefinition:
    """Its payloads name blocks by their first address, too."""
    payloads = tuple(
        one
        if one.start is None
        else one.model_copy(
            update={"start": one.start + offsets.get(definition.region(one.region).memory, 0)}
        )
        for one in access.checking.payloads
    )
    checking = access.checking.model_copy(update={"payloads": payloads})
    return access.model_copy(update={"address_spaces": (), "memories": (), "checking": checking})


def _based(definition: Definition, checksum: Checksum) -> Checksum:
    """Its ranges stay in the addresses of the memory, and say so."""
    start = definition.region(checksum.region).start
    return checksum.model_copy(update={"parameters": {"base": start, **checksum.parameters}})
