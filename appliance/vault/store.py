"""The blob store: sealed segments on disk under the hash of their ciphertext."""

from __future__ import annotations

from pathlib import Path

from appliance.vault import durable
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from appliance.vault.records import Segment
from appliance.vault.sealing import open_segment, seal_segment


class BlobStore:
    """`<state>/blobs/ab/<ct_sha256>.age`; only ciphertext ever reaches the disk."""

    def __init__(self, state: Path, keys: KeyRing) -> None:
        """`VaultError` from the disk when the folder cannot be made."""
        self._root = state / "blobs"
        self._recipients = keys.recipients()
        self._identities = keys.identities()
        durable.make_directory(self._root)

    def put(self, plaintext: bytes | bytearray, address: int) -> Segment:
        """Seal what was read at `address` (1 byte to 256 KiB); it survives a power cut once this returns.

        `ValueError` for another length; VAULT_DISK_FULL, VAULT_DISK_READ_ONLY or VAULT_DISK_FAILED, and then
        nothing of it is visible.
        """
        segment, sealed = seal_segment(plaintext, address, self._recipients)
        path = self.path(segment.ct_sha256)
        durable.make_directory(path.parent)
        durable.write_atomic(path, sealed)
        return segment

    def get(self, segment: Segment) -> bytes:
        """Plaintext of a stored segment, every length and hash checked.

        VAULT_BLOB_MISSING, VAULT_BLOB_CHANGED, VAULT_CANNOT_OPEN or VAULT_DISK_FAILED.
        """
        return open_segment(segment, self.get_sealed(segment), self._identities)

    def get_sealed(self, segment: Segment) -> bytes:
        """Ciphertext as it lies on disk, never longer than a byte past what `segment` says."""
        path = self.path(segment.ct_sha256)
        sealed = durable.read(path, segment.ct_len + 1)
        if sealed is None:
            raise VaultError(
                "VAULT_BLOB_MISSING",
                f"the sealed segment for address 0x{segment.address:08X} is not in the store",
                do_now="Fetch the file from the file service again, or read the ECU again.",
            )
        return sealed

    def path(self, ct_sha256: str) -> Path:
        """Where the ciphertext with this hash lies."""
        return self._root / ct_sha256[:2] / f"{ct_sha256}.age"

    def remove_temporaries(self) -> int:
        """Delete what a power cut left half-written; how many files. Call once at start."""
        return durable.remove_temporaries(self._root)
