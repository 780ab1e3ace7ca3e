"""The blob store: sealed segments on disk under the hash of their ciphertext, perhaps with a second place."""

from __future__ import annotations

import zlib
from pathlib import Path

from appliance.contract.places import Start
from appliance.contract.records import Segment
from appliance.vault import durable
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from appliance.vault.sealing import check_sealed, open_checked, seal_segment


class BlobStore:
    """`<state>/blobs/ab/<ct_sha256>.age`; only ciphertext ever reaches the disk.

    What is not whole there is taken from the second place, where there is one.
    """

    def __init__(self, state: Path, keys: KeyRing, second: Path | None = None) -> None:
        """`second` is a directory laid out like `state`. `VaultError` when the folder cannot be made."""
        self._root = state / "blobs"
        self._second = None if second is None else second / "blobs"
        self._recipients = keys.recipients()
        self._identities = keys.identities()
        self._opened: dict[str, int] = {}
        """CRC-32 of each ciphertext that was opened and proven, by its hash."""
        durable.make_directory(self._root)

    def put(self, plaintext: bytes | bytearray, at: Start) -> Segment:
        """Seal what was read at `at` (1 byte to 256 KiB); it survives a power cut once this returns.

        `ValueError` for another length; VAULT_DISK_FULL, VAULT_DISK_READ_ONLY or VAULT_DISK_FAILED, and then
        nothing of it is visible.
        """
        segment, sealed = seal_segment(plaintext, at, self._recipients)
        path = self.path(segment.ct_sha256)
        durable.make_directory(path.parent)
        durable.write_atomic(path, sealed)
        return segment

    def get(self, segment: Segment) -> bytes:
        """Plaintext of a stored segment, its length and hash checked.

        They speak for the ciphertext, whose own hash is asked only where they do not.
        VAULT_BLOB_MISSING, VAULT_BLOB_CHANGED, VAULT_CANNOT_OPEN or VAULT_DISK_FAILED, as it is in the first
        place, when neither place has it whole.
        """
        try:
            return self._open(segment, _sealed_bytes_in(self._root, segment))
        except VaultError:
            return self._open(segment, self.get_sealed(segment))

    def _open(self, segment: Segment, sealed: bytes) -> bytes:
        plaintext = open_checked(segment, sealed, self._identities)
        self._opened[segment.ct_sha256] = zlib.crc32(sealed)
        return plaintext

    def get_sealed(self, segment: Segment) -> bytes:
        """Ciphertext as it was sealed, from the first place that has it whole. Raises as `get`."""
        try:
            return _sealed_in(self._root, segment)
        except VaultError:
            sealed = self._from_second(segment)
            if sealed is None:
                raise
            return sealed

    def is_whole(self, segment: Segment) -> bool:
        """Whether some place holds the ciphertext as it was sealed, by what the disk itself gives now.

        What was opened already is looked over for rot by a sum that costs a tenth of its hash; whoever
        opens it has it proven.
        """
        places = [self._root] if self._second is None else [self._root, self._second]
        return any(self._is_whole_in(place, segment) for place in places)

    def _is_whole_in(self, root: Path, segment: Segment) -> bool:
        opened = self._opened.get(segment.ct_sha256)
        try:
            sealed = _sealed_bytes_in(root, segment, past_cache=True)
            if opened is None:
                check_sealed(segment, sealed)
        except VaultError:
            return False
        return opened is None or (len(sealed) == segment.ct_len and zlib.crc32(sealed) == opened)

    def second_is_missing(self) -> bool:
        """Whether there should be a second place and is none, such as a disk that is not plugged in."""
        return self._second is not None and not self._second.parent.is_dir()

    def mend(self, segment: Segment) -> tuple[VaultError, ...]:
        """Have both places hold the segment, the one that lacks it from the other; what is left wrong."""
        places = [self._root]
        if self._second is not None and not self.second_is_missing():
            places.append(self._second)
        wrong: list[tuple[Path, VaultError]] = []
        whole: bytes | None = None
        for place in places:
            try:
                whole = _sealed_in(place, segment)
            except VaultError as error:
                wrong.append((place, error))
        if whole is None:
            return tuple(error for _, error in wrong)
        return tuple(left for place, _ in wrong if (left := _copied(place, segment, whole)) is not None)

    def path(self, ct_sha256: str) -> Path:
        """Where the ciphertext with this hash lies."""
        return _path(self._root, ct_sha256)

    def remove_temporaries(self) -> int:
        """Delete what a power cut left half-written; how many files. Call once at start."""
        return durable.remove_temporaries(self._root)

    def _from_second(self, segment: Segment) -> bytes | None:
        if self._second is None:
            return None
        try:
            return _sealed_in(self._second, segment)
        except VaultError:
            return None


def _path(root: Path, ct_sha256: str) -> Path:
    return root / ct_sha256[:2] / f"{ct_sha256}.age"


def _sealed_in(root: Path, segment: Segment) -> bytes:
    """The whole ciphertext of a segment. Raises VaultError."""
    sealed = _sealed_bytes_in(root, segment)
    check_sealed(segment, sealed)
    return sealed


def _sealed_bytes_in(root: Path, segment: Segment, *, past_cache: bool = False) -> bytes:
    """What lies there as the ciphertext, never more than a byte past its length. Raises VaultError."""
    path = _path(root, segment.ct_sha256)
    sealed = durable.read(path, segment.ct_len + 1, past_cache=past_cache)
    if sealed is None:
        raise VaultError("VAULT_BLOB_MISSING", place=str(segment.place))
    return sealed


def _copied(root: Path, segment: Segment, sealed: bytes) -> VaultError | None:
    """Write a segment where it is missing or damaged, and read it back."""
    path = _path(root, segment.ct_sha256)
    try:
        durable.make_directory(path.parent)
        durable.write_atomic(path, sealed)
        _sealed_in(root, segment)
    except VaultError as error:
        return error
    return None
