"""What another build wrote, with a key more or a key less than this one knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from appliance.contract.manifest import Grant, GrantTerms, Manifest
from appliance.contract.records import EcuIdentity
from appliance.vault.agekey import AgeIdentity
from appliance.vault.contents import new_file_id
from appliance.vault.errors import VaultError
from appliance.vault.grants import open_grant, seal_grant
from appliance.vault.images import ImageStore, SealedImage
from appliance.vault.keys import KeyRing
from appliance.vault.package import inspect_package
from appliance.vault.store import BlobStore

NewImage = Callable[[BlobStore], SealedImage]


def stored_by_another_build(
    state: Path, keys: KeyRing, image: SealedImage, change: Callable[[dict[str, Any]], None]
) -> None:
    """The record as a build with other keys writes it, and under the box's own hash."""
    stated = image.model_dump(mode="json")
    change(stated)
    mac = keys.record_mac(rfc8785.dumps(stated))
    (state / "images" / f"{image.file_id}.json").write_bytes(rfc8785.dumps({"image": stated, "mac": mac}))


@pytest.mark.parametrize("key", ["parent", "job", "definition_sha256"])
def test_a_record_from_before_a_key_was_added_is_ours(
    state: Path, slave_keys: KeyRing, images: ImageStore, blobs: BlobStore, new_image: NewImage, key: str
) -> None:
    image = new_image(blobs)
    stored_by_another_build(state, slave_keys, image, lambda stated: stated.pop(key))
    assert images.load(image.file_id) == image


def test_a_record_of_a_newer_version_is_refused_as_such(
    state: Path, slave_keys: KeyRing, images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    image = new_image(blobs)
    stored_by_another_build(state, slave_keys, image, lambda stated: stated.update(v=99, colour="red"))
    with pytest.raises(VaultError) as refusal:
        images.load(image.file_id)
    assert refusal.value.code == "VAULT_IMAGE_NEWER"


def test_a_grant_from_before_a_key_was_added_opens(
    slave_keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, secret = slave_keys.device_public(), AgeIdentity.generate()
    terms = GrantTerms(
        grant_id=new_file_id(),
        device_id=device.device_id,
        epoch=device.epoch,
        tier=device.tier,
        job_id="job",
        file_id=new_file_id(),
        manifest_sha256="0" * 64,
        op="write",
        ecu=EcuIdentity(hw="1", sw="2"),
        nbf=0,
        exp=1,
        max_starts=1,
    )
    sent = seal_grant(terms, secret, device).canonical()

    class NewerGrant(Grant):
        colour: str | None = None

    assert "colour" not in json.loads(sent)
    assert open_grant(NewerGrant.model_validate_json(sent), slave_keys).secret == secret.secret


def without_memories(stated: dict[str, Any]) -> None:
    """As the builds wrote it whose ECUs had one memory, by a start and a size, or two addresses."""
    for region in stated["regions"]:
        place = region.pop("place")
        region |= {"start": place["start"], "size": place["length"]}
    for segment in stated["segments"]:
        place = segment.pop("place")
        segment |= {"address": place["start"], "length": place["length"]}
    if "changed_ranges" in stated:
        stated["changed_ranges"] = [
            [one["start"], one["start"] + one["length"]] for one in stated["changed_ranges"]
        ]
    stated["v"] -= 1


def test_a_record_without_memories_is_of_the_one_that_there_was(
    state: Path, slave_keys: KeyRing, images: ImageStore, blobs: BlobStore, new_image: NewImage
) -> None:
    image = new_image(blobs)
    stored_by_another_build(state, slave_keys, image, without_memories)
    assert images.load(image.file_id) == image


def test_a_manifest_without_memories_is_of_the_one_that_there_was(
    package: bytes, slave_keys: KeyRing
) -> None:
    manifest = inspect_package(package, slave_keys).manifest
    stated = manifest.model_dump(mode="json")
    without_memories(stated)
    assert Manifest.read(rfc8785.dumps(stated)) == manifest


def mixed(stated: dict[str, Any]) -> None:
    stated["v"] -= 1


def no_memory(stated: dict[str, Any]) -> None:
    del stated["regions"][0]["place"]["memory"]


def nameless(stated: dict[str, Any]) -> None:
    stated["segments"][0]["place"]["memory"] = ""


def one_pair_short(stated: dict[str, Any]) -> None:
    without_memories(stated)
    stated["changed_ranges"][0] = [1]


def inverted(stated: dict[str, Any]) -> None:
    without_memories(stated)
    stated["changed_ranges"][0].reverse()


def beyond(stated: dict[str, Any]) -> None:
    stated["changed_ranges"][0]["memory"] = "eeprom"


@pytest.mark.parametrize("change", [mixed, no_memory, nameless, one_pair_short, inverted, beyond])
def test_a_manifest_of_mixed_forms_is_refused(
    package: bytes, slave_keys: KeyRing, change: Callable[[dict[str, Any]], None]
) -> None:
    stated = inspect_package(package, slave_keys).manifest.model_dump(mode="json")
    change(stated)
    with pytest.raises(ValueError, match="validation error"):
        Manifest.read(rfc8785.dumps(stated))
