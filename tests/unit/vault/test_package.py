from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from appliance.contract.manifest import Grant, GrantOp, Manifest, Verdict
from appliance.contract.places import FLASH
from appliance.contract.records import EcuIdentity
from appliance.contract.uses import Use
from appliance.vault import key_files as keyring
from appliance.vault import package as packages
from appliance.vault.agekey import AgeIdentity
from appliance.vault.contents import sha256_hex
from appliance.vault.errors import VaultError
from appliance.vault.grants import GrantUse, seal_grant
from appliance.vault.keys import KeyRing, MasterKeys, Role
from appliance.vault.package import (
    PACKAGE_MAX_BYTES,
    GrantLimits,
    TunedFile,
    changed_ranges,
    inspect_package,
    open_package,
)
from appliance.vault.sealing import open_sealed
from appliance.vault.signing import Typ, decode, encode, sign, verify
from tests.support.packages import contained, packed
from tests.support.places import flash, in_flash

Members = dict[str, bytes]


def members_of(package: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repack(members: Members) -> bytes:
    return contained(members.items())


def refusal(package: bytes | Path, keys: KeyRing, use: GrantUse) -> VaultError:
    with pytest.raises(VaultError) as caught:
        open_package(package, keys, use)
    assert caught.value.do_now
    return caught.value


def regrant(package: bytes, master: MasterKeys, change: Callable[[Grant], Grant]) -> bytes:
    """The package with its grant changed and signed again by the master."""
    members = members_of(package)
    grant = verify(members["grant.jws"], Typ.GRANT, master.public(), Grant)
    return repack(members | {"grant.jws": sign(change(grant), Typ.GRANT, master).encode()})


# The way a good package goes


def test_a_package_opens_on_its_box_for_its_job(
    tmp_path: Path, package: bytes, slave_keys: KeyRing, use: GrantUse, tuned: TunedFile
) -> None:
    (tmp_path / "a.pitbox").write_bytes(package)
    for source in (package, tmp_path / "a.pitbox"):
        manifest, contents = open_package(source, slave_keys, use)
        assert contents == tuned.contents
        assert manifest.job_id == tuned.job_id
        assert manifest.regions == tuned.regions
        assert manifest.base_sha256 == tuned.base_sha256
        assert manifest.changed_ranges == (flash(0x80040000, 0x1000),)
        assert (manifest.checksum, manifest.use) == (Verdict.OK, Use.BENCH_RESEARCH)
        assert (manifest.version, manifest.consents) == (1, ("original_stored",))


def test_a_package_can_be_inspected_before_a_grant_is_used(
    package: bytes, slave_keys: KeyRing, tuned: TunedFile, limits: GrantLimits
) -> None:
    inspected = inspect_package(package, slave_keys)
    assert inspected.manifest.file_id == inspected.grant.file_id == tuned.file_id
    assert inspected.manifest_sha256 == sha256_hex(members_of(package)["manifest.jws"])
    assert (inspected.grant.exp, inspected.grant.max_starts) == (limits.exp_s, 2)


def test_a_master_flashes_its_own_file(
    master: MasterKeys, master_keys: KeyRing, tuned: TunedFile, limits: GrantLimits, use: GrantUse
) -> None:
    own = packed(master, master_keys.device_public(), tuned, limits, use.now_s)
    assert open_package(own, master_keys, use)[1] == tuned.contents


def test_only_the_per_file_key_opens_the_segments(
    package: bytes, master_keys: KeyRing, slave_keys: KeyRing
) -> None:
    sealed = next(data for name, data in members_of(package).items() if name.startswith("segments/"))
    for keys in (master_keys, slave_keys):
        with pytest.raises(VaultError, match="could not be opened"):
            open_sealed(sealed, keys.identities())


# Grants


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"device_id": "another-box"}, "VAULT_GRANT_DEVICE"),
        ({"epoch": 0}, "VAULT_GRANT_EPOCH"),
        ({"epoch": 2}, "VAULT_GRANT_EPOCH"),
        ({"tier": 1}, "VAULT_GRANT_TIER"),
        ({"file_id": "00000000-0000-4000-8000-000000000000"}, "VAULT_GRANT_FILE"),
        ({"manifest_sha256": "0" * 64}, "VAULT_GRANT_MANIFEST"),
        ({"job_id": "job-8"}, "VAULT_GRANT_JOB"),
        ({"ecu": EcuIdentity(hw="8K5906259B", sw="0005")}, "VAULT_GRANT_ECU"),
        ({"op": GrantOp.VERIFY}, "VAULT_GRANT_OP"),
        ({"nbf": 1_790_000_001}, "VAULT_GRANT_NOT_YET"),
        ({"exp": 1_790_000_000}, "VAULT_GRANT_EXPIRED"),
        ({"max_starts": 1}, "VAULT_GRANT_STARTS"),
    ],
)
def test_a_grant_for_something_else_is_refused(
    package: bytes,
    master: MasterKeys,
    slave_keys: KeyRing,
    use: GrantUse,
    changes: dict[str, object],
    code: str,
) -> None:
    """The grant is properly sealed and signed with the wrong term, as a master could issue it by mistake."""

    def change(grant: Grant) -> Grant:
        terms = grant.terms().model_copy(update=changes)
        return seal_grant(terms, AgeIdentity.generate(), slave_keys.device_public())

    assert refusal(regrant(package, master, change), slave_keys, replace(use, starts=1)).code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"job_id": "job-8"}, "VAULT_GRANT_JOB"),
        ({"ecu": EcuIdentity(hw="8K5906259B", sw="0004", boot="B1", vin_hmac="cd" * 32)}, "VAULT_GRANT_ECU"),
        ({"op": GrantOp.VERIFY}, "VAULT_GRANT_OP"),
        ({"now_s": 1_789_999_939}, "VAULT_GRANT_NOT_YET"),
        ({"now_s": 1_790_001_800}, "VAULT_GRANT_EXPIRED"),
        ({"starts": 2}, "VAULT_GRANT_STARTS"),
        ({"newest_version": 2}, "VAULT_GRANT_VERSION"),
    ],
)
def test_a_use_the_grant_does_not_cover_is_refused(
    package: bytes, slave_keys: KeyRing, use: GrantUse, changes: dict[str, object], code: str
) -> None:
    assert refusal(package, slave_keys, replace(use, **changes)).code == code  # type: ignore[arg-type]


def test_all_misfits_are_listed(package: bytes, slave_keys: KeyRing, use: GrantUse) -> None:
    error = refusal(package, slave_keys, replace(use, job_id="x", now_s=1_800_000_000, starts=9))
    assert [word for word in ("job", "expired", "starts") if word in " ".join(error.details)] == [
        "job",
        "expired",
        "starts",
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("exp", 1_900_000_000), ("max_starts", 99), ("op", GrantOp.WRITE), ("nbf", 0)]
)
def test_the_sealed_key_is_bound_to_every_term(
    package: bytes,
    master: MasterKeys,
    slave_keys: KeyRing,
    use: GrantUse,
    field: str,
    value: int | GrantOp,
) -> None:
    """Even the signing key alone cannot stretch a grant: the HPKE info holds the terms it was sealed with."""
    start = {"op": GrantOp.VERIFY} if field == "op" else {}

    def stretch(grant: Grant) -> Grant:
        narrow = seal_grant(
            grant.terms().model_copy(update=start), AgeIdentity.generate(), slave_keys.device_public()
        )
        return narrow.model_copy(update={field: value})

    assert refusal(regrant(package, master, stretch), slave_keys, use).code == "VAULT_GRANT_SEALED"


def test_a_tampered_expiry_breaks_the_signature(package: bytes, slave_keys: KeyRing, use: GrantUse) -> None:
    members = members_of(package)
    header, payload, signature = members["grant.jws"].decode().split(".")
    stretched = decode(payload).replace(b'"exp":1790001800', b'"exp":1890001800')
    assert stretched != decode(payload)
    members["grant.jws"] = f"{header}.{encode(stretched)}.{signature}".encode()
    assert refusal(repack(members), slave_keys, use).code == "VAULT_SIGNATURE_INVALID"


def test_recovery_is_not_blocked_by_expiry_starts_or_a_new_pairing(
    tmp_path: Path, master: MasterKeys, tuned: TunedFile, limits: GrantLimits, use: GrantUse
) -> None:
    keyring.create(tmp_path / "keys", Role.SLAVE)
    paired = keyring.pair(tmp_path / "keys", master.public())
    package = packed(master, paired.device_public(), tuned, limits, use.now_s)
    repaired = keyring.pair(tmp_path / "keys", master.public())
    late = replace(use, now_s=2_000_000_000, starts=50)
    assert refusal(package, repaired, late).code == "VAULT_GRANT_EPOCH"
    recovering = replace(late, recovering=True)
    assert open_package(package, repaired, recovering)[1] == tuned.contents
    other = replace(recovering, ecu=EcuIdentity(hw="another", sw="ECU"))
    assert refusal(package, repaired, other).code == "VAULT_GRANT_ECU"


def test_a_grant_of_a_coming_pairing_is_refused_in_recovery_too(
    package: bytes, master: MasterKeys, slave_keys: KeyRing, use: GrantUse
) -> None:
    future = regrant(package, master, lambda grant: grant.model_copy(update={"epoch": 9}))
    assert refusal(future, slave_keys, replace(use, recovering=True)).code == "VAULT_GRANT_EPOCH"


def test_a_refused_grant_is_never_opened(
    package: bytes, slave_keys: KeyRing, use: GrantUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the grant was opened before it was checked")

    monkeypatch.setattr(packages, "open_grant", fail)
    assert refusal(package, slave_keys, replace(use, job_id="other")).code == "VAULT_GRANT_JOB"


# Signatures


def test_another_masters_package_is_refused(
    slave_keys: KeyRing, tuned: TunedFile, limits: GrantLimits, use: GrantUse
) -> None:
    foreign = packed(MasterKeys.generate(), slave_keys.device_public(), tuned, limits, use.now_s)
    assert refusal(foreign, slave_keys, use).code == "VAULT_SIGNER_UNKNOWN"


def test_an_unpaired_box_believes_nobody(tmp_path: Path, package: bytes, use: GrantUse) -> None:
    unpaired = keyring.create(tmp_path / "keys", Role.SLAVE)
    assert refusal(package, unpaired, use).code == "VAULT_NOT_PAIRED"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b'{"alg":"none","kid":"%s","typ":"ecu-manifest+jwt"}', "allow-list"),
        (b'{"alg":"HS256","kid":"%s","typ":"ecu-manifest+jwt"}', "allow-list"),
        (b'{"alg":"EdDSA","kid":"%s","typ":"ecu-manifest+jwt"}', "allow-list"),
        (b'{"alg":"Ed25519","kid":"%s","typ":"ecu-grant+jwt"}', "allow-list"),
        (b'{"alg":"Ed25519","kid":"%s","typ":"ecu-manifest+jwt","crit":["x"]}', "exactly"),
        (b'{"alg":"Ed25519","kid":"%s"}', "exactly"),
        (b"[]", "exactly"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_header_off_the_allow_list_is_refused(
    package: bytes, slave_keys: KeyRing, master: MasterKeys, use: GrantUse, header: bytes, why: str
) -> None:
    members = members_of(package)
    _, payload, signature = members["manifest.jws"].decode().split(".")
    spelled = header % master.public().kid.encode() if b"%s" in header else header
    members["manifest.jws"] = f"{encode(spelled)}.{payload}.{signature}".encode()
    error = refusal(repack(members), slave_keys, use)
    assert error.code == "VAULT_SIGNATURE_INVALID"
    assert why in error.what


def test_a_grant_is_no_manifest(package: bytes, slave_keys: KeyRing, use: GrantUse) -> None:
    members = members_of(package)
    swapped = members | {"manifest.jws": members["grant.jws"], "grant.jws": members["manifest.jws"]}
    assert refusal(repack(swapped), slave_keys, use).code == "VAULT_SIGNATURE_INVALID"


@pytest.mark.parametrize(
    "respell",
    [
        pytest.param(lambda payload: b" " + payload, id="space"),
        pytest.param(lambda payload: payload.replace(b'"epoch":1', b'"epoch":7,"epoch":1'), id="doubled key"),
    ],
)
def test_a_signed_payload_in_another_spelling_is_refused(
    package: bytes, master: MasterKeys, respell: Callable[[bytes], bytes]
) -> None:
    header, payload, _ = members_of(package)["grant.jws"].decode().split(".")
    signed = f"{header}.{encode(respell(decode(payload)))}"
    token = f"{signed}.{encode(master.signing_key.sign(signed.encode()))}"
    with pytest.raises(VaultError) as caught:
        verify(token.encode(), Typ.GRANT, master.public(), Grant)
    assert caught.value.code == "VAULT_SCHEMA_INVALID"
    assert "canonical" in caught.value.details[0]


@given(st.binary(min_size=1, max_size=50))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = encode(data)
    assert decode(text) == data
    others = {text + "=", text + "\n", "+" + text[1:], text[:-1] + chr(ord(text[-1]) + 1)} - {text}
    for other in others:
        try:
            assert decode(other) != data
        except ValueError:
            continue


@pytest.mark.parametrize("text", ["AB", "AAB", "A", "AA==", "A A", "A+/A", "é"])
def test_base64url_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64url|ASCII"):
        decode(text)


@given(st.binary(max_size=200))
def test_no_bytes_pass_for_a_signature(master: MasterKeys, token: bytes) -> None:
    for text in (token, b".".join([token] * 3), b"e30." + token + b".e30"):
        with pytest.raises(VaultError) as caught:
            verify(text, Typ.GRANT, master.public(), Grant)
        assert caught.value.code == "VAULT_SIGNATURE_INVALID"


def test_a_signed_record_of_another_form_is_refused(master: MasterKeys, package: bytes) -> None:
    class Wider(Grant):
        note: str = "not in version 1"

    grant = verify(members_of(package)["grant.jws"], Typ.GRANT, master.public(), Grant)
    token = sign(Wider(**dict(grant)), Typ.GRANT, master)
    with pytest.raises(VaultError) as caught:
        verify(token.encode(), Typ.GRANT, master.public(), Grant)
    assert caught.value.code == "VAULT_SCHEMA_INVALID"
    assert caught.value.details == ("note: Extra inputs are not permitted",)


# Manifests


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"changed_ranges": (flash(0x80040010, 0),)}, "is empty"),
        ({"changed_ranges": (flash(0x80040010, 0xFFBFFF0),)}, "not inside one region"),
        ({"changed_ranges": (flash(0x80040010, 0x10), flash(0x80040000, 4))}, "not sorted"),
        ({"changed_ranges": (flash(0x80040010, 0x10), flash(0x8004001F, 5))}, "overlap"),
        ({"contents": in_flash({0x80100000: bytes(777)})}, "do not fill"),
        (
            {"contents": in_flash({0x80040000: bytes(0x48001), 0x80100000: bytes(777)})},
            "not inside one region",
        ),
        ({"base_sha256": "ABC"}, "base_sha256"),
        ({"version": 0}, "version"),
        ({"file_id": "7"}, "file_id"),
        ({"regions": ()}, "regions"),
    ],
)
def test_statements_that_do_not_fit_are_not_signed(
    master: MasterKeys,
    slave_keys: KeyRing,
    tuned: TunedFile,
    limits: GrantLimits,
    changes: dict[str, object],
    why: str,
) -> None:
    with pytest.raises(ValidationError, match=why):
        packed(
            master,
            slave_keys.device_public(),
            replace(tuned, **changes),  # type: ignore[arg-type]
            limits,
            0,
        )


@given(
    st.binary(min_size=1, max_size=20_000),
    st.lists(st.integers(0, 19_999), max_size=4),
    st.integers(0, 1 << 31),
)
def test_changed_ranges_hold_every_difference_and_nothing_far(
    base: bytes, flips: list[int], start: int
) -> None:
    tuned = bytearray(base)
    for position in flips:
        tuned[position % len(base)] ^= 0xFF
    ranges = changed_ranges({(FLASH, start): base}, {(FLASH, start): tuned})
    different = {i for i in range(len(base)) if base[i] != tuned[i]}
    covered = {i - start for one in ranges for i in range(one.start, one.end)}
    assert different <= covered
    assert {i // 4096 for i in covered} == {i // 4096 for i in different}
    assert all(low.end < high.start for low, high in pairwise(ranges))


def test_a_base_of_another_shape_has_no_changed_ranges() -> None:
    with pytest.raises(ValueError, match="same regions"):
        changed_ranges({(FLASH, 0): b"ab"}, {(FLASH, 0): b"abc"})


# Hostile containers


def test_any_flipped_bit_of_a_package_is_refused(package: bytes, slave_keys: KeyRing, use: GrantUse) -> None:
    @settings(max_examples=200)
    @given(st.integers(0, len(package) * 8 - 1))
    def flip(bit: int) -> None:
        damaged = bytearray(package)
        damaged[bit // 8] ^= 1 << bit % 8
        refusal(bytes(damaged), slave_keys, use)

    flip()


def test_any_flipped_bit_of_the_framing_is_refused(package: bytes, slave_keys: KeyRing) -> None:
    """Every bit outside the big sealed bodies: headers, both signatures and the directory."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        segments = [item for item in archive.infolist() if item.filename.startswith("segments/")]
    bodies = [(item.header_offset + 30 + len(item.filename), item.file_size) for item in segments]
    framing = [i for i in range(len(package)) if not any(at <= i < at + size for at, size in bodies)]
    for position in framing[::3]:
        damaged = bytearray(package)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(VaultError):
            inspect_package(bytes(damaged), slave_keys)


@given(st.data())
def test_any_truncation_or_tail_is_refused(
    package: bytes, slave_keys: KeyRing, use: GrantUse, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(package) - 1))
    assert refusal(package[:length], slave_keys, use).code == "VAULT_PACKAGE_INVALID"
    tail = data.draw(st.binary(min_size=1, max_size=64))
    assert refusal(package + tail, slave_keys, use).code == "VAULT_PACKAGE_INVALID"


@given(st.binary(max_size=300))
def test_no_bytes_pass_for_a_package(slave_keys: KeyRing, use: GrantUse, data: bytes) -> None:
    assert refusal(data, slave_keys, use).code == "VAULT_PACKAGE_INVALID"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(data) % 3, len(data) % 3, len(data), 0, 0)
    assert refusal(data + end, slave_keys, use).code == "VAULT_PACKAGE_INVALID"


def zipped(members: Members, **options: object) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=options.get("compression"))
    return file.getvalue()


def test_a_compressed_bomb_is_refused_without_growing(
    package: bytes, slave_keys: KeyRing, use: GrantUse
) -> None:
    bomb = zipped(members_of(package) | {"manifest.jws": bytes(1 << 28)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    assert refusal(bomb, slave_keys, use).code == "VAULT_PACKAGE_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda m: {"../../etc/cron.d/x": b"", **m}, id="path out of the package"),
        pytest.param(lambda m: {"/etc/passwd": b"", **m}, id="absolute path"),
        pytest.param(lambda m: {"segments/" + "0" * 64 + ".age": b"x", **m}, id="a segment too many"),
        pytest.param(lambda m: dict(list(m.items())[:-1]), id="a segment too few"),
        pytest.param(lambda m: {k: v for k, v in m.items() if k != "grant.jws"}, id="no grant"),
        pytest.param(lambda m: {k: v for k, v in m.items() if k != "manifest.jws"}, id="no manifest"),
        pytest.param(lambda m: m | {"manifest.jws": b"a" * 200_000}, id="manifest of 200 kB"),
        pytest.param(lambda m: {}, id="empty"),
        pytest.param(lambda m: {f"{i}": b"" for i in range(1025)}, id="too many members"),
        pytest.param(lambda m: {"n" * 300: b"", **m}, id="overlong name"),
    ],
)
def test_a_package_with_other_members_is_refused(
    package: bytes, slave_keys: KeyRing, use: GrantUse, change: Callable[[Members], Members]
) -> None:
    hostile = repack(change(members_of(package)))
    assert refusal(hostile, slave_keys, use).code == "VAULT_PACKAGE_INVALID"


def test_doubled_overlapping_and_lying_members_are_refused(
    package: bytes, slave_keys: KeyRing, use: GrantUse
) -> None:
    members = list(members_of(package).items())
    doubled = contained([*members, members[-1]])
    comment = bytearray(package + b"hello")
    comment[-7:-5] = struct.pack("<H", 5)
    shifted = b"#!/bin/sh\n" + package
    last = package.rindex(b"PK\1\2")
    size_lie = bytearray(package)
    size_lie[last + 20 : last + 28] = struct.pack("<2I", 0xFFFFFFFF, 0xFFFFFFFF)
    overlap = bytearray(package)
    overlap[last + 42 : last + 46] = bytes(4)
    for hostile in (doubled, bytes(comment), shifted, bytes(size_lie), bytes(overlap)):
        assert refusal(hostile, slave_keys, use).code == "VAULT_PACKAGE_INVALID"


def test_a_file_of_one_gibibyte_is_refused_unread(tmp_path: Path, slave_keys: KeyRing, use: GrantUse) -> None:
    huge = tmp_path / "huge.pitbox"
    huge.touch()
    os.truncate(huge, 1 << 30)
    error = refusal(huge, slave_keys, use)
    assert (error.code, str(PACKAGE_MAX_BYTES) in error.what) == ("VAULT_PACKAGE_INVALID", True)


def test_what_is_not_a_plain_file_is_refused(tmp_path: Path, slave_keys: KeyRing, use: GrantUse) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "missing"):
        assert refusal(path, slave_keys, use).code == "VAULT_PACKAGE_MISSING"


def test_a_swapped_segment_is_refused_before_anything_is_decrypted(
    package: bytes, slave_keys: KeyRing, use: GrantUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("decrypted before all ciphertext hashes were checked")

    monkeypatch.setattr(packages, "open_segment", fail)
    members = members_of(package)
    first, second = [name for name in members if name.startswith("segments/")][:2]
    members[first], members[second] = members[second], members[first]
    assert refusal(repack(members), slave_keys, use).code == "VAULT_BLOB_CHANGED"


# Witness


def test_the_container_is_byte_for_byte_what_zipfile_writes(package: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members_of(package).items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o600 << 16
            archive.writestr(info, data)
    assert file.getvalue() == package == repack(members_of(package))


def test_manifest_is_the_schema_of_its_token(package: bytes, master: MasterKeys) -> None:
    manifest = verify(members_of(package)["manifest.jws"], Typ.MANIFEST, master.public(), Manifest)
    assert Manifest.model_validate_json(manifest.canonical()) == manifest
