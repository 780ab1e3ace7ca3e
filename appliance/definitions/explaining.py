"""A definition in words: what a person should know of an ECU before connecting to it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.evidence import badge
from appliance.definitions.memory import Memory, Region
from appliance.definitions.schema import Definition

PROOFS = {
    "hash": "the ECU hashes each block, and the box compares",
    "crc16": "the ECU answers a CRC-16 of each block, and the box compares (weak)",
    "read_back": "each block is read back and compared",
    "status": "the ECU calls its memory good, and nobody has compared it (weak)",
    "none": "nothing proves what was written",
}
COMES_BACK = {
    "bootloader": "its boot loader answers over this access, so an interrupted write is finished here",
    "bench": "it may be silent after an interrupted write: the bench finishes it",
    "none": "nothing brings it back after an interrupted write",
}


def in_words(definition: Definition) -> Iterator[str]:
    """Lines on every memory, access and checksum."""
    yield f"{definition.id}: {definition.name}"
    yield f"{definition.kind} controller of {definition.maker}, {definition.cpu}"
    for memory in definition.memories:
        yield from _memory(memory)
    for access in definition.accesses:
        yield from _access(definition, access)
    for number, checksum in enumerate(definition.checksums, 1):
        yield f"checksum {number}: {checksum.module} over {checksum.region}"
    if not definition.checksums:
        yield "checksums: none known; the master must sign that a file's are right"
    for secret in definition.secrets:
        yield f"of the owner: {secret.name} ({secret.role}), {secret.about}"
    yield f"recommended: {definition.recommended.method}. {definition.recommended.reason}"
    yield "assumed, not known:" if definition.evidence.assumptions else "assumed: nothing"
    yield from (f"  {text}" for text in definition.evidence.assumptions)


def _memory(memory: Memory) -> Iterator[str]:
    size = sum(region.size_bytes for region in memory.regions)
    yield f"memory {memory.name}: {size >> 10} KiB, erased to 0x{memory.erased_byte:02X}"
    yield from (f"  {_region(region)}" for region in memory.regions)


def _region(region: Region) -> str:
    told = f"{region.name} ({region.tag}) at 0x{region.start:08X}, {region.size_bytes >> 10} KiB"
    told += f" in {sum(run.count for run in region.sectors)} sectors"
    if not region.readable:
        told += f", cannot be read: {region.unreadable_because or 'nobody says why'}"
    if not region.writable:
        told += ", is never written"
    if region.erases_with:
        told += f", erases {', '.join(region.erases_with)} with it"
    if region.depends_on:
        told += f", needs {', '.join(region.depends_on)} to be whole"
    return told


def _access(definition: Definition, access: AccessDefinition) -> Iterator[str]:
    way = access.in_words()
    yield f"access {access.name}: {access.method} over {access.protocol}, {badge(definition, access)}"
    yield f"  wire: {way.wire}"
    for wire in access.wiring:
        yield f"  pin {wire.pin} to {wire.to}" + (f" ({wire.note})" if wire.note else "")
    recognised = (f"{name} {' or '.join(one)}" for name, one in access.recognition.given().items())
    yield f"  recognised by: {', '.join(recognised) or 'its name alone, given by a person'}"
    yield f"  reads: {way.read}; writes: {way.write}, {way.delta}"
    yield from (f"  entry: {step.told}" for step in access.entry.steps)
    yield from (f"  afterwards: {step.told}" for step in access.entry.ending)
    yield from (f"  {line}" for line in access.more_in_words())
    yield f"  proof: {PROOFS[access.proof]}"
    supply = access.voltage
    yield f"  supply: {supply.min_v:g} to {supply.max_v:g} V, set to {supply.target_v:g} V"
    yield from (f"  {line}" for line in access.recovery.in_words())
    yield f"  interrupted: {COMES_BACK[access.recovery.recoverability]}"
    for ritual in access.rituals:
        yield f"  {ritual.when.replace('_', ' ')}: {ritual.text}"
