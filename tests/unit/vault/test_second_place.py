"""Two places for what must not be lost: either gives what the other lacks; neither is trusted unchecked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.contract.places import FLASH, Start
from appliance.vault.errors import VaultError
from appliance.vault.images import ImageStore, SealedImage
from appliance.vault.keys import KeyRing
from appliance.vault.store import BlobStore

READ = b"\x5a" * 4096
ADDRESS = 0x80012000
Damage = Callable[[Path], object]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = pytest.mark.parametrize(
    ("damage", "code"), [(Path.unlink, "MISSING"), (flip, "CHANGED")], ids=["missing", "flipped"]
)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    place = tmp_path / "second"
    place.mkdir()
    return place


@pytest.fixture
def twofold(state: Path, second: Path, slave_keys: KeyRing) -> BlobStore:
    return BlobStore(state, slave_keys, second)


def in_second(second: Path, blobs: BlobStore, ct_sha256: str) -> Path:
    return second / "blobs" / blobs.path(ct_sha256).parent.name / blobs.path(ct_sha256).name


@DAMAGES
def test_what_the_first_place_lacks_is_read_from_the_second(
    state: Path, second: Path, twofold: BlobStore, damage: Damage, code: str
) -> None:
    segment = twofold.put(READ, (FLASH, ADDRESS))
    sealed = twofold.get_sealed(segment)
    shutil.copytree(state / "blobs", second / "blobs")
    damage(twofold.path(segment.ct_sha256))
    assert twofold.get(segment) == READ
    assert twofold.get_sealed(segment) == sealed


@DAMAGES
def test_the_error_is_the_first_places_where_neither_has_it(
    state: Path, second: Path, twofold: BlobStore, damage: Damage, code: str
) -> None:
    segment = twofold.put(READ, (FLASH, ADDRESS))
    shutil.copytree(state / "blobs", second / "blobs")
    flip(in_second(second, twofold, segment.ct_sha256))
    damage(twofold.path(segment.ct_sha256))
    with pytest.raises(VaultError, match=f"VAULT_BLOB_{code}"):
        twofold.get(segment)


@DAMAGES
@pytest.mark.parametrize("damaged", ["first", "second"])
def test_a_place_is_mended_from_the_other(
    state: Path, second: Path, twofold: BlobStore, damage: Damage, code: str, damaged: str
) -> None:
    segment = twofold.put(READ, (FLASH, ADDRESS))
    sealed = twofold.get_sealed(segment)
    shutil.copytree(state / "blobs", second / "blobs")
    first_path, second_path = (
        twofold.path(segment.ct_sha256),
        in_second(second, twofold, segment.ct_sha256),
    )
    damage(first_path if damaged == "first" else second_path)
    assert twofold.mend(segment) == ()
    assert first_path.read_bytes() == second_path.read_bytes() == sealed


def test_an_empty_second_place_is_filled(second: Path, twofold: BlobStore) -> None:
    segment = twofold.put(READ, (FLASH, ADDRESS))
    assert twofold.mend(segment) == ()
    assert in_second(second, twofold, segment.ct_sha256).read_bytes() == twofold.get_sealed(segment)


def test_nothing_mends_what_is_whole_nowhere(state: Path, second: Path, twofold: BlobStore) -> None:
    segment = twofold.put(READ, (FLASH, ADDRESS))
    shutil.copytree(state / "blobs", second / "blobs")
    lost, changed = in_second(second, twofold, segment.ct_sha256), twofold.path(segment.ct_sha256)
    lost.unlink()
    flip(changed)
    before = changed.read_bytes()
    assert [error.code for error in twofold.mend(segment)] == ["VAULT_BLOB_CHANGED", "VAULT_BLOB_MISSING"]
    assert changed.read_bytes() == before
    assert not lost.exists()


def test_a_place_that_does_not_take_the_copy_is_told(
    twofold: BlobStore, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = twofold.put(READ, (FLASH, ADDRESS))
    (second / "blobs").write_text("no folder")
    assert [error.code for error in twofold.mend(segment)] == ["VAULT_DISK_FAILED"]


def test_a_second_place_that_is_not_plugged_in(
    state: Path, tmp_path: Path, slave_keys: KeyRing, blobs: BlobStore
) -> None:
    gone = tmp_path / "unplugged"
    store = BlobStore(state, slave_keys, gone)
    segment = store.put(READ, (FLASH, ADDRESS))
    assert store.second_is_missing()
    assert store.mend(segment) == ()
    assert not gone.exists(), "no folder is made where a disk should be"
    gone.mkdir()
    assert not store.second_is_missing()
    assert not blobs.second_is_missing(), "none is wanted"
    assert blobs.mend(segment) == ()


@pytest.fixture
def twofold_images(state: Path, second: Path, slave_keys: KeyRing, twofold: BlobStore) -> ImageStore:
    return ImageStore(state, slave_keys, twofold, second)


@pytest.fixture
def image(
    twofold_images: ImageStore, twofold: BlobStore, new_image: Callable[[BlobStore], SealedImage]
) -> SealedImage:
    """A stored file; its record lies in the first place alone."""
    image = new_image(twofold)
    twofold_images.save(image)
    return image


def records(state: Path, second: Path, image: SealedImage) -> tuple[Path, Path]:
    name = f"{image.file_id}.json"
    return state / "images" / name, second / "images" / name


RECORD_DAMAGES = pytest.mark.parametrize(
    ("damage", "code"), [(Path.unlink, "MISSING"), (flip, "DAMAGED")], ids=["missing", "flipped"]
)


@RECORD_DAMAGES
def test_a_record_is_read_from_the_second_place(
    state: Path, second: Path, twofold_images: ImageStore, image: SealedImage, damage: Damage, code: str
) -> None:
    shutil.copytree(state / "images", second / "images")
    damage(records(state, second, image)[0])
    assert twofold_images.load(image.file_id) == image
    assert twofold_images.file_ids() == (image.file_id,)
    flip(records(state, second, image)[1])
    with pytest.raises(VaultError, match=f"VAULT_IMAGE_{code}"):
        twofold_images.load(image.file_id)


@RECORD_DAMAGES
@pytest.mark.parametrize("damaged", [0, 1])
def test_a_record_is_mended_from_the_other_place(
    state: Path,
    second: Path,
    twofold_images: ImageStore,
    image: SealedImage,
    damage: Damage,
    code: str,
    damaged: int,
) -> None:
    shutil.copytree(state / "images", second / "images")
    both = records(state, second, image)
    whole = both[0].read_bytes()
    damage(both[damaged])
    assert twofold_images.mend(image.file_id) == ()
    assert [path.read_bytes() for path in both] == [whole, whole]


def test_a_record_is_copied_to_an_empty_second_place(
    state: Path, second: Path, twofold_images: ImageStore, image: SealedImage
) -> None:
    first, copy = records(state, second, image)
    assert twofold_images.mend(image.file_id) == ()
    assert copy.read_bytes() == first.read_bytes()


def test_a_record_that_is_whole_nowhere_is_told_of_both_places(
    state: Path, second: Path, twofold_images: ImageStore, image: SealedImage
) -> None:
    first, copy = records(state, second, image)
    flip(first)
    codes = [error.code for error in twofold_images.mend(image.file_id)]
    assert codes == ["VAULT_IMAGE_DAMAGED", "VAULT_IMAGE_MISSING"]
    assert not copy.exists()


def test_a_record_waits_for_a_place_that_is_not_plugged_in(
    state: Path, second: Path, twofold_images: ImageStore, image: SealedImage
) -> None:
    second.rmdir()
    assert twofold_images.mend(image.file_id) == ()
    assert not second.exists()


def test_a_record_that_the_place_does_not_take_is_told(
    second: Path, twofold_images: ImageStore, image: SealedImage
) -> None:
    (second / "images").write_text("no folder")
    assert [error.code for error in twofold_images.mend(image.file_id)] == ["VAULT_DISK_FAILED"]


def test_a_whole_image_is_salvaged_whole(
    twofold_images: ImageStore, image: SealedImage, original: dict[Start, bytes]
) -> None:
    salvaged = twofold_images.salvage(image)
    assert salvaged.contents == original
    assert salvaged.damaged == ()


def test_what_is_whole_is_salvaged_and_the_rest_is_named(
    twofold: BlobStore, twofold_images: ImageStore, image: SealedImage, original: dict[Start, bytes]
) -> None:
    """The last read segment is damaged, the first was never read, and they are sealed in any order."""
    first, *_, last = sorted(image.segments, key=lambda one: one.place)
    left = tuple(segment for segment in reversed(image.segments) if segment != first)
    flip(twofold.path(last.ct_sha256))
    salvaged = twofold_images.salvage(image.model_copy(update={"segments": left}))
    whole, end = image.regions[0].place, first.place.end
    assert end < whole.end, "the region has segments behind its first"
    assert salvaged.contents == {(FLASH, end): original[whole.at][end - whole.start :]}
    assert [one.place for one in salvaged.damaged] == [first.place, last.place]
    assert salvaged.damaged[0].why.text == "it was never read"
    assert salvaged.damaged[1].why, "the store says what is wrong with it"


def test_runs_are_joined_only_where_they_meet(
    twofold: BlobStore, twofold_images: ImageStore, image: SealedImage, original: dict[Start, bytes]
) -> None:
    whole = image.regions[0].place
    middle = sorted(image.segments, key=lambda one: one.place)[1]
    twofold.path(middle.ct_sha256).unlink()
    salvaged = twofold_images.salvage(image)
    lost = middle.place
    expected = {whole.at: original[whole.at][: lost.start - whole.start]}
    rest = original[whole.at][lost.end - whole.start :]
    expected |= {(FLASH, lost.end): rest} if rest else {}
    expected |= {at: data for at, data in original.items() if at != whole.at}
    assert salvaged.contents == expected
    assert [one.place for one in salvaged.damaged] == [lost]
