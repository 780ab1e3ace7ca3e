"""Files that were handed in with a proposal: sealed to this box until it is started or over."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from appliance.vault import durable
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from appliance.vault.sealing import open_sealed, seal

_MAX_BYTES = 80 << 20
"""Of a sealed file; what is handed in has at most 64 MiB."""
log = logging.getLogger("pitbox.engine")


class HeldFiles:
    """`<state>/proposed/<id>.age`; only ciphertext ever reaches the disk."""

    def __init__(self, state: Path, keys: KeyRing) -> None:
        """Nothing is made before it is needed: a disk that is full keeps no box from starting."""
        self._root = state / "proposed"
        self._recipients = keys.recipients()
        self._identities = keys.identities()

    def put(self, proposal_id: str, data: bytes) -> None:
        """It survives a power cut once this returns. Raises VaultError."""
        durable.make_directory(self._root)
        durable.write_atomic(self._path(proposal_id), seal(data, self._recipients))

    def get(self, proposal_id: str) -> bytes:
        """Raises VaultError for one that is not there, or not whole."""
        sealed = durable.read(self._path(proposal_id), _MAX_BYTES)
        if sealed is None:
            raise VaultError("VAULT_FILE_MISSING", proposal=proposal_id)
        return open_sealed(sealed, self._identities)

    def keep_only(self, proposal_ids: Collection[str]) -> None:
        """Delete every other one; what cannot be deleted is tried again the next time."""
        kept = {self._path(one) for one in proposal_ids}
        for path in self._root.glob("*.age*"):
            if path in kept:
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s cannot be deleted: %s", path, error.strerror)

    def _path(self, proposal_id: str) -> Path:
        return self._root / f"{Path(proposal_id).name}.age"
