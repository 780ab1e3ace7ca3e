from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from appliance.vault import durable
from appliance.vault import key_files as keyring
from appliance.vault.agekey import AgeIdentity
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing, MasterKeys, Role
from appliance.vault.sealing import open_sealed, seal

MASTER_FILES = {"seed", "box.json", "master-age.key", "master-sign.key"}


def code_of(caught: pytest.ExceptionInfo[VaultError]) -> str:
    return caught.value.code


@pytest.mark.parametrize(("role", "files"), [(Role.MASTER, MASTER_FILES), (Role.SLAVE, {"seed", "box.json"})])
def test_new_keys_are_private_and_load_as_they_were_made(tmp_path: Path, role: Role, files: set[str]) -> None:
    directory = tmp_path / "state" / "keys"
    made = keyring.create(directory, role, "pi-42")
    loaded = keyring.load(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    twice = files | {f"{name}.copy" for name in files}
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == dict.fromkeys(
        twice, 0o600
    )
    assert (loaded.role, loaded.device_id, loaded.seed) == (role, "pi-42", made.seed)
    assert (loaded.known_master(), loaded.recipients()) == (made.known_master(), made.recipients())


def test_an_empty_directory_that_systemd_made_is_filled(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    assert keyring.create(tmp_path / "keys", Role.SLAVE) == keyring.load(tmp_path / "keys")


def test_existing_keys_are_never_overwritten(tmp_path: Path) -> None:
    seed = keyring.create(tmp_path / "keys", Role.SLAVE).seed
    with pytest.raises(VaultError) as caught:
        keyring.create(tmp_path / "keys", Role.SLAVE)
    assert code_of(caught) == "VAULT_KEYS_EXIST"
    assert keyring.load(tmp_path / "keys").seed == seed
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


@pytest.mark.parametrize("failing_write", [1, 2, 3, 4])
def test_a_failing_disk_leaves_no_half_made_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_write: int
) -> None:
    written: list[str] = []

    def fail_later(path: Path, data: bytes) -> None:
        written.append(path.name)
        if len(written) == failing_write:
            raise OSError(28, "No space left on device")
        write_new(path, data)

    write_new = durable.write_new
    monkeypatch.setattr(durable, "write_new", fail_later)
    with pytest.raises(VaultError) as caught:
        keyring.create(tmp_path / "keys", Role.MASTER)
    assert code_of(caught) == "VAULT_DISK_FULL"
    assert list(tmp_path.iterdir()) == []


def test_load_or_create_makes_once_and_keeps_the_role(tmp_path: Path) -> None:
    first = keyring.load_or_create(tmp_path / "keys", Role.SLAVE)
    assert keyring.load_or_create(tmp_path / "keys", Role.SLAVE) == first
    with pytest.raises(VaultError) as caught:
        keyring.load_or_create(tmp_path / "keys", Role.MASTER)
    assert code_of(caught) == "VAULT_ROLE_MISMATCH"


@pytest.mark.parametrize("name", sorted(MASTER_FILES))
def test_a_missing_key_file_is_said(tmp_path: Path, name: str) -> None:
    made = keyring.create(tmp_path / "keys", Role.MASTER)
    (tmp_path / "keys" / name).unlink()
    assert keyring.load_or_create(tmp_path / "keys", Role.MASTER).seed == made.seed
    assert (tmp_path / "keys" / name).exists()
    for path in (tmp_path / "keys").glob(f"{name}*"):
        path.unlink()
    with pytest.raises(VaultError, match=name) as caught:
        keyring.load(tmp_path / "keys")
    assert code_of(caught) == "VAULT_KEYS_MISSING"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("seed", b"short", "VAULT_KEYS_DAMAGED"),
        ("box.json", b'{"role":"owner","device_id":"x"}', "VAULT_KEYS_DAMAGED"),
        ("box.json", b'{"role":"slave","device_id":"x","debug":true}', "VAULT_KEYS_DAMAGED"),
        ("box.json", b"\xff", "VAULT_KEYS_DAMAGED"),
        ("master-sign.key", b"", "VAULT_KEYS_DAMAGED"),
        ("master-age.key", b"\xff\xff", "VAULT_KEYS_DAMAGED"),
        ("master-age.key", b"AGE-SECRET-KEY-1QQQ", "VAULT_KEYS_DAMAGED"),
        ("master.json", b"{}", "VAULT_KEYS_DAMAGED"),
    ],
)
def test_a_damaged_key_file_is_refused(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    made = keyring.create(tmp_path / "keys", Role.MASTER)
    for path in (tmp_path / "keys" / name, tmp_path / "keys" / f"{name}.copy"):
        if path.exists():
            assert keyring.load(tmp_path / "keys").known_master() == made.known_master()
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(VaultError) as caught:
        keyring.load(tmp_path / "keys")
    assert code_of(caught) == code


@pytest.mark.parametrize(("name", "mode"), [(".", 0o755), ("seed", 0o640), ("master-age.key", 0o604)])
def test_keys_others_can_read_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    keyring.create(tmp_path / "keys", Role.MASTER)
    (tmp_path / "keys" / name).chmod(mode)
    with pytest.raises(VaultError) as caught:
        keyring.load(tmp_path / "keys")
    assert code_of(caught) == "VAULT_KEYS_EXPOSED"


def test_pairing_starts_a_new_epoch_and_old_originals_still_open(
    tmp_path: Path, master_keys: KeyRing
) -> None:
    master = master_keys.known_master()
    assert master is not None
    unpaired = keyring.create(tmp_path / "keys", Role.SLAVE)
    original = seal(b"read before pairing", unpaired.recipients())
    first = keyring.pair(tmp_path / "keys", master)
    second = keyring.pair(tmp_path / "keys", master)
    assert (unpaired.epoch, first.epoch, second.epoch) == (0, 1, 2)
    assert unpaired.known_master() is None
    assert second.recipients() == (second.recovery_identity(2).recipient, master.age_recipient)
    assert open_sealed(original, second.identities()) == b"read before pairing"
    hpke_keys = {keys.device_public().hpke_public for keys in (unpaired, first, second)}
    assert len(hpke_keys) == 3


def test_a_master_opens_what_its_slaves_read(master_keys: KeyRing, slave_keys: KeyRing) -> None:
    assert open_sealed(seal(b"read", slave_keys.recipients()), master_keys.identities()) == b"read"
    with pytest.raises(VaultError):
        open_sealed(seal(b"read", master_keys.recipients()), slave_keys.identities())


def test_a_master_is_not_paired(tmp_path: Path, master_keys: KeyRing) -> None:
    keyring.create(tmp_path / "keys", Role.MASTER)
    master = master_keys.known_master()
    assert master is not None
    with pytest.raises(VaultError) as caught:
        keyring.pair(tmp_path / "keys", master)
    assert code_of(caught) == "VAULT_MASTER_NOT_PAIRED"


def test_a_vin_is_recognised_by_its_own_box_only(master_keys: KeyRing, slave_keys: KeyRing) -> None:
    vin = "WAUZZZ8K9BA123456"
    assert slave_keys.vin_hmac(f" {vin.lower()} ") == slave_keys.vin_hmac(vin)
    assert slave_keys.vin_hmac(vin) != master_keys.vin_hmac(vin)
    assert slave_keys.vin_hmac(vin) != slave_keys.record_mac(vin.encode())


def test_a_serial_number_is_recognised_by_its_own_box_only(master_keys: KeyRing, slave_keys: KeyRing) -> None:
    assert slave_keys.serial_hmac(" 4711a\n") == slave_keys.serial_hmac("4711a")
    assert slave_keys.serial_hmac("4711a") != slave_keys.serial_hmac("4711A")
    assert slave_keys.serial_hmac("4711a") != master_keys.serial_hmac("4711a")
    assert slave_keys.serial_hmac("4711A") != slave_keys.vin_hmac("4711A")


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_copy_of_the_pairing_is_made_again(tmp_path: Path, master: MasterKeys, lost: int) -> None:
    directory = tmp_path / "keys"
    keyring.create(directory, Role.SLAVE)
    paired = keyring.pair(directory, master.public())
    copies = [path for path in directory.rglob("*") if path.name.startswith(keyring.PAIRING_FILE)]
    assert len(copies) == 2
    whole = copies[0].read_bytes()
    copies[lost].unlink()
    assert keyring.load_or_create(directory, Role.SLAVE).pairing == paired.pairing
    assert [path.read_bytes() for path in copies] == [whole, whole]


def test_repr_of_a_key_ring_shows_no_key(master_keys: KeyRing) -> None:
    shown = repr(master_keys) + str(master_keys)
    assert master_keys.master_keys is not None
    assert repr(master_keys.seed)[2:-1] not in shown
    assert "AGE-SECRET-KEY" not in shown
    assert "Ed25519PrivateKey" not in shown


def test_keys_are_derived_as_rfc_5869_says() -> None:
    """A change of a label or of the derivation would lock every box out of its own originals."""
    keys = KeyRing(Role.SLAVE, "pi", bytes(range(32)))
    extracted = hmac.digest(bytes(32), bytes(range(32)), "sha256")

    def expanded(label: bytes) -> bytes:
        return hmac.digest(extracted, label + b"\1", "sha256")

    assert keys.recovery_identity(3) == AgeIdentity.from_raw(expanded(b"pitbox/v1/recovery/3"))
    assert keys.grant_key(0).private_bytes_raw() == expanded(b"pitbox/v1/hpke/0")
    assert keys.serial_hmac("4711a") == hmac.digest(expanded(b"pitbox/v1/serial"), b"4711a", "sha256").hex()
    assert keys.vin_hmac("VIN") == hmac.digest(expanded(b"pitbox/v1/local"), b"VIN", "sha256").hex()


@pytest.mark.parametrize("name", sorted(MASTER_FILES))
def test_every_flipped_bit_of_a_key_file_is_found_and_mended(tmp_path: Path, name: str) -> None:
    made = keyring.create(tmp_path / "keys", Role.MASTER)
    path = tmp_path / "keys" / name
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        loaded = keyring.load_or_create(tmp_path / "keys", Role.MASTER)
        assert (loaded.seed, loaded.known_master()) == (made.seed, made.known_master())
        assert path.read_bytes() == whole


def test_a_key_directory_of_version_1_is_kept_twice_from_now_on(tmp_path: Path) -> None:
    made = keyring.create(tmp_path / "keys", Role.SLAVE, "pi-1")
    for path in (tmp_path / "keys").glob("*.copy"):
        path.unlink()
    (tmp_path / "keys" / "box.json").write_bytes(b'{"role":"slave","device_id":"pi-1"}')
    assert keyring.load_or_create(tmp_path / "keys", Role.SLAVE).seed == made.seed
    (tmp_path / "keys" / "seed").write_bytes(bytes(32))
    loaded = keyring.load_or_create(tmp_path / "keys", Role.SLAVE)
    assert (loaded.seed, loaded.device_id) == (made.seed, "pi-1")


def test_a_full_disk_does_not_stop_a_box_with_one_whole_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keyring.create(tmp_path / "keys", Role.SLAVE)
    (tmp_path / "keys" / "seed").unlink()

    def full(path: Path, data: bytes) -> None:
        raise VaultError("VAULT_DISK_FULL", path="/state")

    monkeypatch.setattr(keyring.durable, "write_atomic", full)
    assert keyring.load_or_create(tmp_path / "keys", Role.SLAVE).seed == made.seed
