"""A tuned file as one `*.pitbox` package: manifest, grant and sealed segments in a plain container."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import BinaryIO, TypeAlias

from appliance.contract.catalogue import Field
from appliance.contract.manifest import Grant, GrantOp, GrantTerms, Manifest, Verdict
from appliance.contract.phrases import phrase
from appliance.contract.places import Range, Start
from appliance.contract.records import (
    IMAGE_MAX_BYTES,
    SEAL_OVERHEAD_MAX_BYTES,
    SEGMENT_MAX_BYTES,
    EcuIdentity,
    Region,
    Segment,
)
from appliance.contract.uses import Use
from appliance.vault import container, durable
from appliance.vault.agekey import AgeIdentity
from appliance.vault.container import Member
from appliance.vault.contents import Content, assemble, new_file_id, sha256_hex, split
from appliance.vault.errors import VaultError
from appliance.vault.grants import GrantUse, check_grant, open_grant, seal_grant
from appliance.vault.keys import DevicePublic, KeyRing, MasterKeys, MasterPublic
from appliance.vault.sealing import check_sealed, open_segment, seal_segment
from appliance.vault.signing import JWS_MAX_BYTES, Typ, sign, verify

MANIFEST_MEMBER = "manifest.jws"
GRANT_MEMBER = "grant.jws"
PACKAGE_MAX_BYTES = IMAGE_MAX_BYTES + 4 * 1024 * 1024
DIFF_CHUNK_BYTES = 4096

Source: TypeAlias = Path | bytes | BinaryIO
"""A package by its name, in memory, or open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedFile:
    """What the maker of a tuned file states about it; `contents` is the plaintext by where it begins."""

    job_id: str
    definition: str
    ecu: EcuIdentity
    method: str
    regions: tuple[Region, ...]
    contents: Mapping[Start, Content] = field(repr=False)
    base_sha256: str
    changed_ranges: tuple[Range, ...]
    checksum: Verdict
    use: Use
    version: int = 1
    consents: tuple[str, ...] = ()
    parent: str | None = None
    file_id: str = field(default_factory=new_file_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLimits:
    """How long and for what a grant is given; times in Unix seconds, `exp_s` excluded."""

    nbf_s: int
    exp_s: int
    op: GrantOp = GrantOp.WRITE
    max_starts: int = 3


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose signatures and ciphertext hashes are proven; nothing of it is decrypted."""

    manifest: Manifest
    grant: Grant
    manifest_sha256: str


def build_package(
    folder: Path, master: MasterKeys, device: DevicePublic, tuned: TunedFile, limits: GrantLimits, now_s: int
) -> BinaryIO:
    """Seal, sign and pack a tuned file for one box, segment by segment, into a file of `folder`.

    It has no name and is gone once it is closed.

    `ValueError` when the statements do not fit together, `VaultError` from the disk.
    """
    file_identity = AgeIdentity.generate()
    with durable.disk_errors(folder), tempfile.TemporaryFile(dir=folder) as aside:
        segments = tuple(_sealed_into(aside, tuned, file_identity))
        manifest = _manifest(tuned, device, segments, now_s)
        manifest_jws = sign(manifest, Typ.MANIFEST, master).encode()
        terms = _terms(manifest, manifest_jws, device, limits)
        grant_jws = sign(seal_grant(terms, file_identity, device), Typ.GRANT, master).encode()
        signed = ((MANIFEST_MEMBER, manifest_jws), (GRANT_MEMBER, grant_jws))
        with contextlib.ExitStack() as unfinished:
            package = unfinished.enter_context(tempfile.TemporaryFile(dir=folder))
            container.pack(package, chain(signed, _members(aside, segments)))
            package.flush()
            unfinished.pop_all()
        return package


def _sealed_into(aside: BinaryIO, tuned: TunedFile, identity: AgeIdentity) -> Iterator[Segment]:
    """Each segment, its ciphertext behind those before it."""
    for at, content in sorted(tuned.contents.items()):
        for place, piece in split(at, content):
            segment, sealed = seal_segment(piece, place.at, [identity.recipient])
            aside.write(sealed)
            yield segment


def _members(aside: BinaryIO, segments: Sequence[Segment]) -> Iterator[tuple[str, bytes]]:
    """The segments in the order of their members' names."""
    begins = accumulate((segment.ct_len for segment in segments), initial=0)
    placed = zip(map(_member_name, segments), begins, (segment.ct_len for segment in segments), strict=False)
    for name, begin, length in sorted(placed):
        aside.seek(begin)
        yield name, aside.read(length)


def inspect_package(source: Source, keys: KeyRing) -> Package:
    """What a package says, once its container, both signatures, schemas and ciphertext hashes are proven.

    `VaultError` VAULT_PACKAGE_INVALID, VAULT_NOT_PAIRED, VAULT_SIGNATURE_INVALID, VAULT_SIGNER_UNKNOWN,
    VAULT_SCHEMA_INVALID, VAULT_BLOB_CHANGED, or from the disk.
    """
    with _opened(source) as reader:
        return _inspect(reader, keys)


def open_package(source: Source, keys: KeyRing, use: GrantUse) -> tuple[Manifest, dict[Start, bytearray]]:
    """The manifest and the plaintext by region of a package, in memory only; `wipe` it after use.

    Raises what `inspect_package` and `check_grant` raise, and VAULT_GRANT_SEALED or VAULT_CANNOT_OPEN.
    """
    with _opened(source) as reader:
        package = _inspect(reader, keys)
        manifest = package.manifest
        check_grant(package.grant, manifest, package.manifest_sha256, keys, use)
        identity = open_grant(package.grant, keys)
        return manifest, assemble(
            manifest.regions, manifest.segments, lambda s: open_segment(s, reader.segment(s), [identity])
        )


def changed_ranges(
    base: Mapping[Start, bytes | bytearray], tuned: Mapping[Start, bytes | bytearray]
) -> tuple[Range, ...]:
    """Where `tuned` differs from `base`, in whole chunks of DIFF_CHUNK_BYTES.

    `ValueError` when the two do not have the same regions.
    """
    if {s: len(data) for s, data in base.items()} != {s: len(data) for s, data in tuned.items()}:
        raise ValueError("the tuned file and its base do not have the same regions")
    return tuple(place for at in sorted(base) for place in _changed_in(at, base[at], tuned[at]))


def _changed_in(at: Start, base: bytes | bytearray, tuned: bytes | bytearray) -> Iterator[Range]:
    whole = Range(*at, len(base))
    opened: int | None = None
    for offset in range(0, len(base), DIFF_CHUNK_BYTES):
        chunk = slice(offset, offset + DIFF_CHUNK_BYTES)
        if base[chunk] != tuned[chunk]:
            opened = offset if opened is None else opened
        elif opened is not None:
            yield whole.part(opened, offset - opened)
            opened = None
    if opened is not None:
        yield whole.part(opened, len(base))


def _manifest(tuned: TunedFile, device: DevicePublic, segments: tuple[Segment, ...], now_s: int) -> Manifest:
    return Manifest(
        file_id=tuned.file_id,
        job_id=tuned.job_id,
        device_id=device.device_id,
        definition=tuned.definition,
        ecu=tuned.ecu,
        method=tuned.method,
        regions=tuned.regions,
        segments=segments,
        base_sha256=tuned.base_sha256,
        changed_ranges=tuned.changed_ranges,
        checksum=tuned.checksum,
        use=tuned.use,
        version=tuned.version,
        consents=tuned.consents,
        parent=tuned.parent,
        iat=now_s,
    )


def _terms(manifest: Manifest, manifest_jws: bytes, device: DevicePublic, limits: GrantLimits) -> GrantTerms:
    return GrantTerms(
        grant_id=new_file_id(),
        device_id=device.device_id,
        epoch=device.epoch,
        tier=device.tier,
        job_id=manifest.job_id,
        file_id=manifest.file_id,
        manifest_sha256=sha256_hex(manifest_jws),
        op=limits.op,
        ecu=manifest.ecu,
        nbf=limits.nbf_s,
        exp=limits.exp_s,
        max_starts=limits.max_starts,
    )


def _member_name(segment: Segment) -> str:
    return f"segments/{segment.ct_sha256}.age"


class _Reader:
    """Members of an open package, each held to its size limit before it is read."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        if size_bytes > PACKAGE_MAX_BYTES:
            raise _invalid("package.too_long", bytes=size_bytes, most_bytes=PACKAGE_MAX_BYTES)
        self._file = file
        with _as_invalid():
            self._members = container.list_members(file, size_bytes)

    def names(self) -> set[str]:
        return set(self._members)

    def token(self, name: str) -> bytes:
        return self._read(name, JWS_MAX_BYTES)

    def segment(self, segment: Segment) -> bytes:
        return self._read(_member_name(segment), SEGMENT_MAX_BYTES + SEAL_OVERHEAD_MAX_BYTES)

    def _read(self, name: str, limit_bytes: int) -> bytes:
        member = self._find(name)
        if member.size > limit_bytes:
            raise _invalid("package.member_too_long", member=name, bytes=member.size, most_bytes=limit_bytes)
        with _as_invalid():
            return container.read_member(self._file, member)

    def _find(self, name: str) -> Member:
        if name not in self._members:
            raise _invalid("package.member_missing", member=name)
        return self._members[name]


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[_Reader]:
    if isinstance(source, bytes):
        yield _Reader(io.BytesIO(source), len(source))
        return
    if not isinstance(source, Path):
        with durable.disk_errors(Path("package")):
            yield _Reader(source, source.seek(0, os.SEEK_END))
        return
    with durable.disk_errors(source):
        if not source.is_file():
            raise VaultError("VAULT_PACKAGE_MISSING", source=str(source))
        with source.open("rb") as file:
            yield _Reader(file, os.fstat(file.fileno()).st_size)


def _inspect(reader: _Reader, keys: KeyRing) -> Package:
    master = _trusted_master(keys)
    manifest_jws = reader.token(MANIFEST_MEMBER)
    manifest = verify(manifest_jws, Typ.MANIFEST, master, Manifest)
    grant = verify(reader.token(GRANT_MEMBER), Typ.GRANT, master, Grant)
    expected = {MANIFEST_MEMBER, GRANT_MEMBER, *map(_member_name, manifest.segments)}
    if reader.names() != expected:
        raise _invalid("package.other_members")
    for segment in manifest.segments:
        check_sealed(segment, reader.segment(segment))
    return Package(manifest, grant, sha256_hex(manifest_jws))


def _trusted_master(keys: KeyRing) -> MasterPublic:
    master = keys.known_master()
    if master is None:
        raise VaultError("VAULT_NOT_PAIRED")
    return master


@contextlib.contextmanager
def _as_invalid() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise _invalid("malformed", technical_text=str(error)) from error


def _invalid(why: str, **fields: Field) -> VaultError:
    return VaultError("VAULT_PACKAGE_INVALID", why=phrase(why, **fields))
