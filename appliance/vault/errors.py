"""The vault's one exception."""

from __future__ import annotations

from appliance.contract.errors import EngineError


class VaultError(EngineError):
    """A key, a sealed object, a package or the disk below them was refused; `code` says which."""
