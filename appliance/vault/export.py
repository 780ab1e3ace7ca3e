"""Writing a stored image out as plaintext: a right of the master role alone."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise

from appliance.contract.places import Start
from appliance.contract.records import Region
from appliance.vault.contents import wipe
from appliance.vault.errors import VaultError
from appliance.vault.images import ImageStore, SealedImage
from appliance.vault.keys import KeyRing, Role

_RECORD_DATA_BYTES = 32
_ADDRESS_BITS = 32


class ExportFormat(StrEnum):
    """File formats an image can be exported in."""

    BIN = "bin"
    IHEX = "ihex"
    SREC = "srec"


def export_image(
    image: SealedImage,
    images: ImageStore,
    keys: KeyRing,
    export_format: ExportFormat,
    memory: str | None = None,
) -> bytes:
    """The image's content in `export_format`; the caller decides where plaintext may go.

    VAULT_SLAVE_NO_EXPORT in the slave role, before anything is decrypted; VAULT_EXPORT_GAPS for a `.bin` of
    regions that do not touch (bytes between them are not invented); VAULT_EXPORT_MEMORIES for an image of
    several memories, of which none is named, or one that it does not hold; else what `read_plaintext` raises.
    """
    _refuse_slave(keys)
    regions = _of_one_memory(image.regions, memory)
    if export_format is ExportFormat.BIN:
        _refuse_gaps(regions)
    contents = images.read_plaintext(image)
    try:
        chosen = {at: data for at, data in contents.items() if at in {one.place.at for one in regions}}
        return _encode(chosen, export_format)
    finally:
        wipe(*contents.values())


def _refuse_slave(keys: KeyRing) -> None:
    if keys.role is not Role.MASTER:
        raise VaultError("VAULT_SLAVE_NO_EXPORT")


def _of_one_memory(regions: tuple[Region, ...], memory: str | None) -> tuple[Region, ...]:
    memories = sorted({region.place.memory for region in regions})
    wanted = memories[0] if memory is None and len(memories) == 1 else memory
    if wanted not in memories:
        raise VaultError("VAULT_EXPORT_MEMORIES", memories=tuple(memories))
    return tuple(region for region in regions if region.place.memory == wanted)


def _refuse_gaps(regions: tuple[Region, ...]) -> None:
    ordered = sorted(regions, key=lambda region: region.place)
    for below, above in pairwise(ordered):
        if below.place.end != above.place.start:
            raise VaultError("VAULT_EXPORT_GAPS", below=below.name, above=above.name)


def _encode(contents: dict[Start, bytearray], export_format: ExportFormat) -> bytes:
    if export_format is ExportFormat.BIN:
        return b"".join(bytes(contents[at]) for at in sorted(contents))
    import bincopy  # noqa: PLC0415 - hardly ever needed, and several megabytes

    file = bincopy.BinFile()
    for (_, start), content in contents.items():
        file.add_binary(content, address=start)
    writer = file.as_ihex if export_format is ExportFormat.IHEX else file.as_srec
    text: str = writer(number_of_data_bytes=_RECORD_DATA_BYTES, address_length_bits=_ADDRESS_BITS)
    return text.encode("ascii")
