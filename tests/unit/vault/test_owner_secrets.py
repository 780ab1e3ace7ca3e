"""The owner's keys and loaders on disk: sealed, twice, bound to their name, and never in the clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.vault import key_files as keyring
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing, Role
from appliance.vault.owner_secrets import FOLDER, Place, SecretStore

KEY = Place("pbx-v381", "payload_key")
VALUE = bytes(range(100, 116))


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return keyring.create(tmp_path / "keys", Role.SLAVE)


@pytest.fixture
def store(tmp_path: Path, keys: KeyRing) -> SecretStore:
    return SecretStore(tmp_path, keys)


def on_disk(state: Path) -> list[Path]:
    return sorted(path for path in (state / FOLDER).rglob("*") if path.is_file())


def laid_in_the_clear(state: Path, value: bytes = VALUE) -> Path:
    path = state / FOLDER / KEY.definition / KEY.name
    path.parent.mkdir(parents=True)
    path.write_bytes(value)
    return path


def test_a_secret_comes_back_whole_and_lies_nowhere_in_the_clear(
    tmp_path: Path, keys: KeyRing, store: SecretStore
) -> None:
    assert store.get(KEY) is None
    store.put(KEY, VALUE)
    assert SecretStore(tmp_path, keys).get(KEY) == VALUE
    assert store.places() == [KEY]
    assert len(on_disk(tmp_path)) == 2
    for path in on_disk(tmp_path):
        assert VALUE not in path.read_bytes() and VALUE.hex().encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
    store.put(KEY, b"another")
    assert store.get(KEY) == b"another"
    assert store.remove(KEY) and not store.remove(KEY)
    assert store.get(KEY) is None and on_disk(tmp_path) == []


def test_one_damaged_copy_is_enough_and_two_are_told(tmp_path: Path, store: SecretStore) -> None:
    store.put(KEY, VALUE)
    for path in on_disk(tmp_path):
        assert store.get(KEY) == VALUE
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(VaultError) as caught:
        store.get(KEY)
    assert caught.value.code == "VAULT_SECRET_DAMAGED"
    assert "pitbox secrets put payload_key FILE" in caught.value.do_now


def test_a_secret_under_another_name_or_of_another_box_is_none(tmp_path: Path, store: SecretStore) -> None:
    store.put(KEY, VALUE)
    for path in on_disk(tmp_path):
        path.with_name(path.name.replace("payload_key", "payload_iv")).write_bytes(path.read_bytes())
    with pytest.raises(VaultError) as caught:
        store.get(Place(KEY.definition, "payload_iv"))
    assert "another secret" in " ".join(caught.value.details)
    stranger = SecretStore(tmp_path, keyring.create(tmp_path / "other", Role.SLAVE))
    with pytest.raises(VaultError):
        stranger.get(KEY)


def test_a_file_in_the_clear_is_sealed_wiped_and_told(tmp_path: Path, store: SecretStore) -> None:
    path = laid_in_the_clear(tmp_path)
    with path.open("rb") as still_open:
        (done,) = store.take_over()
        assert done.sealed and done.place is not None and done.place.name == "payload_key"
        assert still_open.read() == bytes(len(VALUE)), "what lay on the disk is overwritten"
    assert not path.exists() and store.get(KEY) == VALUE
    assert store.take_over() == []


def test_a_full_disk_costs_no_recovery_its_secret(
    tmp_path: Path, store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = laid_in_the_clear(tmp_path)

    def full(*_: object) -> None:
        raise VaultError("VAULT_DISK_FULL", path="/state")

    with monkeypatch.context() as patch:
        patch.setattr("appliance.vault.durable.write_atomic", full)
        (done,) = store.take_over()
        assert not done.sealed and path.exists()
        assert store.get(KEY) == VALUE
    assert store.get(KEY) == VALUE and not path.exists()


@pytest.mark.parametrize("kind", ["link", "folder", "large"])
def test_what_is_no_small_file_is_told_and_left_alone(tmp_path: Path, store: SecretStore, kind: str) -> None:
    path = laid_in_the_clear(tmp_path, bytes((1 << 20) + 1))
    if kind != "large":
        path.unlink()
    if kind == "link":
        (tmp_path / "elsewhere").write_bytes(VALUE)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    (done,) = store.take_over()
    assert not done.sealed and path.exists()
    with pytest.raises(VaultError):
        store.get(KEY)
