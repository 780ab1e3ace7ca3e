from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.manifest import Manifest
from appliance.contract.places import FLASH, Range, Start
from appliance.contract.records import EcuIdentity, Region, Segment, gaps, parse_canonical
from appliance.vault import key_files as keyring
from appliance.vault.contents import assemble, content_sha256, new_file_id, split, wipe
from appliance.vault.errors import VaultError
from appliance.vault.grants import GrantUse
from appliance.vault.images import ImageStore, SealedImage
from appliance.vault.keys import KeyRing, Role
from appliance.vault.package import open_package
from appliance.vault.store import BlobStore
from tests.support.places import flash

NewImage = Callable[[BlobStore], SealedImage]
WINDOW_BYTES = 12


def segment(address: int, length: int) -> Segment:
    return Segment(flash(address, length), "0" * 64, "0" * 64, 300)


def test_an_image_reads_back_byte_for_byte(
    images: ImageStore, blobs: BlobStore, new_image: NewImage, original: dict[Start, bytes]
) -> None:
    image = new_image(blobs)
    images.save(image)
    assert images.file_ids() == (image.file_id,)
    assert images.load(image.file_id) == image
    contents = images.read_plaintext(images.load(image.file_id))
    assert contents == original
    assert content_sha256(contents) == content_sha256(original)


def test_any_changed_byte_of_a_record_is_refused(
    state: Path, images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    image = new_image(blobs)
    images.save(image)
    path = state / "images" / f"{image.file_id}.json"
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        refused(images, image.file_id, "VAULT_IMAGE_DAMAGED")
    for length in range(0, len(good), 97):
        path.write_bytes(good[:length])
        refused(images, image.file_id, "VAULT_IMAGE_DAMAGED")


def refused(images: ImageStore, file_id: str, code: str) -> None:
    with pytest.raises(VaultError) as caught:
        images.load(file_id)
    assert caught.value.code == code


def test_a_record_another_box_made_is_refused(
    tmp_path: Path, state: Path, images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    stranger = keyring.create(tmp_path / "stranger", Role.SLAVE)
    image = new_image(blobs)
    ImageStore(state, stranger, blobs).save(image)
    refused(images, image.file_id, "VAULT_IMAGE_DAMAGED")


def test_a_record_under_another_name_is_refused(
    state: Path, images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    image, other = new_image(blobs), new_file_id()
    images.save(image)
    (state / "images" / f"{image.file_id}.json").rename(state / "images" / f"{other}.json")
    refused(images, other, "VAULT_IMAGE_DAMAGED")


@pytest.mark.parametrize(
    "file_id", ["6f1c2d3e-0000-4000-8000-000000000001", "", "..", "../../etc/passwd", "x\ny"]
)
def test_an_unknown_file_is_said(images: ImageStore, file_id: str) -> None:
    refused(images, file_id, "VAULT_IMAGE_MISSING")


def test_an_incomplete_image_is_not_filled_up(
    images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    whole = new_image(blobs)
    image = whole.model_copy(update={"segments": whole.segments[1:]})
    images.save(image)
    assert images.load(image.file_id).missing() == (flash(0x80040000, 0x40000),)
    with pytest.raises(VaultError) as caught:
        images.read_plaintext(image)
    assert caught.value.code == "VAULT_IMAGE_INCOMPLETE"
    assert caught.value.details == ("missing flash 0x80040000+0x40000",)


def test_a_failed_read_leaves_no_plaintext_behind(regions: tuple[Region, ...]) -> None:
    def read(wanted: Segment) -> bytes:
        if wanted.place.at == regions[1].place.at:
            return b"\xc3" * 777
        raise VaultError("VAULT_BLOB_MISSING", place="0x0")

    segments = [segment(regions[1].place.start, 777), segment(regions[0].place.start, 256)]
    with pytest.raises(VaultError) as caught:
        assemble(regions, segments, read)
    frame = next(entry.frame for entry in caught.traceback if entry.name == "assemble")
    assert frame.f_locals["contents"] == {region.place.at: bytes(region.place.length) for region in regions}


def test_wipe_zeroes_in_place() -> None:
    buffers = [bytearray(b"secret"), bytearray(b"\xff" * 70_000)]
    wipe(*buffers)
    assert buffers == [bytearray(6), bytearray(70_000)]


@pytest.mark.parametrize(
    ("regions", "segments", "why"),
    [
        ([("A", 0, 8), ("A", 16, 8)], [], "one name"),
        ([("A", 0, 9), ("B", 8, 8)], [], "regions overlap at flash 0x00000008"),
        ([("A", 0, 32 << 20), ("B", 64 << 20, 1)], [], "exceed"),
        ([("A", 0, 8)], [(0, 5), (4, 4)], "segments overlap at flash 0x00000004"),
        ([("A", 0, 8)], [(0, 9)], r"flash 0x00000000\+0x9 is not inside"),
        ([("A", 0, 8), ("B", 8, 8)], [(4, 8)], r"flash 0x00000004\+0x8 is not inside"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(
    regions: list[tuple[str, int, int]], segments: list[tuple[int, int]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        SealedImage(
            file_id=new_file_id(),
            kind="original",  # type: ignore[arg-type]
            definition="d",
            identity=EcuIdentity(hw="h", sw="s"),
            method="obd",
            regions=tuple(Region(name=name, place=flash(start, size)) for name, start, size in regions),
            segments=tuple(segment(address, length) for address, length in segments),
        )


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 1 << 20))
def test_gaps_are_the_bytes_no_segment_holds(held: list[bool], start: int) -> None:
    regions = [Region(name="A", place=flash(start, len(held)))]
    segments = [segment(start + offset, 1) for offset, is_held in enumerate(held) if is_held]
    missing = chain.from_iterable(range(gap.start, gap.end) for gap in gaps(regions, segments[::-1]))
    assert list(missing) == [start + offset for offset, is_held in enumerate(held) if not is_held]


@given(st.integers(1, 600_000), st.integers(0, 1 << 31))
def test_split_covers_a_region_in_order(size: int, start: int) -> None:
    content = bytes(size)
    pieces = list(split((FLASH, start), content))
    assert b"".join(piece for _, piece in pieces) == content
    assert (
        gaps(
            [Region(name="A", place=flash(start, size))],
            [segment(place.start, len(piece)) for place, piece in pieces],
        )
        == ()
    )


@pytest.mark.parametrize(
    "data", [b'{"a":1,"a":1}', b'{"a": 1}', b'{"b":1,"a":1}', b"[" * 100_000, b"1.0", b"\xff"]
)
def test_json_in_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_canonical(data)


def test_no_window_of_plaintext_is_anywhere_on_disk(
    tmp_path: Path,
    images: ImageStore,
    blobs: BlobStore,
    new_image: NewImage,
    original: dict[Start, bytes],
    package: bytes,
    slave_keys: KeyRing,
    use: GrantUse,
) -> None:
    image = new_image(blobs)
    images.save(image)
    images.read_plaintext(images.load(image.file_id))
    (tmp_path / "file.pitbox").write_bytes(package)
    manifest, tuned = open_package(tmp_path / "file.pitbox", slave_keys, use)
    assert isinstance(manifest, Manifest)

    contents = [*original.values(), *map(bytes, tuned.values())]
    windows = {data[i : i + WINDOW_BYTES] for data in contents for i in range(0, len(data), WINDOW_BYTES)}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(image.segments) + 2
    for path in files:
        assert leaked(path.read_bytes(), windows) == [], path
    assert leaked(b"header" + original[FLASH, 0x80040000][:64], windows), (
        "the scan must see plaintext when it is there"
    )


def leaked(data: bytes, windows: set[bytes]) -> list[int]:
    return [i for i in range(len(data)) if data[i : i + WINDOW_BYTES] in windows]


def test_two_memories_may_have_the_same_addresses(
    images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    places = [Range("eeprom", 0, 4), Range("flash", 0, 4)]
    segments = tuple(blobs.put(place.memory[:4].encode(), place.at) for place in places)
    regions = tuple(Region(name=place.memory, place=place) for place in places)
    image = new_image(blobs).model_copy(update={"regions": regions, "segments": segments})
    images.save(image)
    loaded = images.load(image.file_id)
    assert images.read_plaintext(loaded) == {("eeprom", 0): b"eepr", ("flash", 0): b"flas"}
    blobs.path(segments[0].ct_sha256).unlink()
    salvaged = images.salvage(loaded)
    assert salvaged.contents == {("flash", 0): b"flas"}
    assert [one.place for one in salvaged.damaged] == [places[0]]
