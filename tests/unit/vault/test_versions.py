"""What another build wrote, with a key more or a key less than this one knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from appliance.vault.agekey import AgeIdentity
from appliance.vault.errors import VaultError
from appliance.vault.grants import open_grant, seal_grant
from appliance.vault.images import ImageStore, SealedImage
from appliance.vault.keys import KeyRing
from appliance.vault.manifest import Grant, GrantTerms
from appliance.vault.records import EcuIdentity, new_file_id
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
