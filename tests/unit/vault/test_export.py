from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bincopy
import pytest

from appliance.contract.places import FLASH, Range, Start
from appliance.contract.records import Region
from appliance.vault.errors import VaultError
from appliance.vault.export import ExportFormat, export_image
from appliance.vault.images import ImageStore, SealedImage
from appliance.vault.keys import KeyRing
from appliance.vault.store import BlobStore
from tests.support.places import flash, in_flash

NewImage = Callable[[BlobStore], SealedImage]


@pytest.fixture
def master_blobs(state: Path, master_keys: KeyRing) -> BlobStore:
    return BlobStore(state, master_keys)


@pytest.fixture
def master_images(state: Path, master_keys: KeyRing, master_blobs: BlobStore) -> ImageStore:
    return ImageStore(state, master_keys, master_blobs)


@pytest.mark.parametrize(
    ("export_format", "add"),
    [(ExportFormat.IHEX, bincopy.BinFile.add_ihex), (ExportFormat.SREC, bincopy.BinFile.add_srec)],
)
def test_a_master_exports_records_with_their_addresses(
    master_images: ImageStore,
    master_blobs: BlobStore,
    master_keys: KeyRing,
    new_image: NewImage,
    original: dict[Start, bytes],
    export_format: ExportFormat,
    add: Callable[[bincopy.BinFile, str], None],
) -> None:
    exported = export_image(new_image(master_blobs), master_images, master_keys, export_format)
    file = bincopy.BinFile()
    add(file, exported.decode())
    assert in_flash({one.address: bytes(one.data) for one in file.segments}) == original


def test_a_master_exports_touching_regions_as_bin(
    master_images: ImageStore, master_blobs: BlobStore, master_keys: KeyRing, new_image: NewImage
) -> None:
    regions = (Region(name="B", place=flash(0x1004, 4)), Region(name="A", place=flash(0x1000, 4)))
    segments = (master_blobs.put(b"BBBB", (FLASH, 0x1004)), master_blobs.put(b"AAAA", (FLASH, 0x1000)))
    image = new_image(master_blobs).model_copy(update={"regions": regions, "segments": segments})
    assert export_image(image, master_images, master_keys, ExportFormat.BIN) == b"AAAABBBB"


def test_a_gap_is_not_filled_up_in_a_bin(
    master_images: ImageStore, master_blobs: BlobStore, master_keys: KeyRing, new_image: NewImage
) -> None:
    with pytest.raises(VaultError, match="between CAL and ASW") as caught:
        export_image(new_image(master_blobs), master_images, master_keys, ExportFormat.BIN)
    assert caught.value.code == "VAULT_EXPORT_GAPS"


@pytest.mark.parametrize("export_format", list(ExportFormat))
def test_a_slave_exports_nothing_and_decrypts_nothing(
    images: ImageStore,
    blobs: BlobStore,
    slave_keys: KeyRing,
    new_image: NewImage,
    monkeypatch: pytest.MonkeyPatch,
    export_format: ExportFormat,
) -> None:
    def fail(*_: object) -> bytes:
        raise AssertionError("a slave decrypted for an export")

    image = new_image(blobs)
    monkeypatch.setattr(BlobStore, "get", fail)
    with pytest.raises(VaultError) as caught:
        export_image(image, images, slave_keys, export_format)
    assert caught.value.code == "VAULT_SLAVE_NO_EXPORT"


@pytest.mark.parametrize("export_format", list(ExportFormat))
def test_several_memories_do_not_go_into_one_file_of_addresses(
    master_images: ImageStore,
    master_blobs: BlobStore,
    master_keys: KeyRing,
    new_image: NewImage,
    export_format: ExportFormat,
) -> None:
    places = [Range("eeprom", 0, 4), Range("flash", 4, 4)]
    update = {
        "regions": tuple(Region(name=place.memory, place=place) for place in places),
        "segments": tuple(master_blobs.put(b"1234", place.at) for place in places),
    }
    image = new_image(master_blobs).model_copy(update=update)
    with pytest.raises(VaultError) as caught:
        export_image(image, master_images, master_keys, export_format)
    assert caught.value.code == "VAULT_EXPORT_MEMORIES"
