"""age X25519 identities made from raw 32-byte keys (C2SP age specification, "X25519 recipient stanza")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyrage

from appliance.vault.errors import VaultError

RAW_KEY_BYTES = 32
_HUMAN_PART = "age-secret-key-"
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass(frozen=True, slots=True)
class AgeIdentity:
    """A private age key in its `AGE-SECRET-KEY-1…` spelling, kept out of `repr` and so out of logs."""

    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        self.native()

    @classmethod
    def from_raw(cls, raw: bytes) -> AgeIdentity:
        """Identity whose X25519 scalar is `raw` (32 bytes); `ValueError` for another length."""
        if len(raw) != RAW_KEY_BYTES:
            raise ValueError(f"an X25519 key has {RAW_KEY_BYTES} bytes, not {len(raw)}")
        return cls(_bech32(_HUMAN_PART, raw).upper())

    @classmethod
    def generate(cls) -> AgeIdentity:
        """A fresh random identity."""
        return cls(str(pyrage.x25519.Identity.generate()))

    @property
    def recipient(self) -> str:
        """The public `age1…` spelling that others seal to."""
        return str(self.native().to_public())

    def native(self) -> pyrage.x25519.Identity:
        """The identity as pyrage wants it; `VaultError` VAULT_KEY_INVALID when the spelling is not one."""
        try:
            return pyrage.x25519.Identity.from_str(self.secret)
        except pyrage.IdentityError as error:
            raise VaultError("VAULT_KEY_INVALID") from error


def _bech32(human_part: str, data: bytes) -> str:
    """Bech32 (BIP 173, without its 90-character limit, as age uses it)."""
    values = list(_five_bit_groups(data))
    checksum = _checksum(human_part, values)
    return human_part + "1" + "".join(_CHARSET[value] for value in [*values, *checksum])


def _five_bit_groups(data: bytes) -> Iterable[int]:
    bits = len(data) * 8
    padding = -bits % 5
    number = int.from_bytes(data, "big") << padding
    return (number >> shift & 31 for shift in range(bits + padding - 5, -1, -5))


def _checksum(human_part: str, values: list[int]) -> list[int]:
    expanded = [ord(c) >> 5 for c in human_part] + [0] + [ord(c) & 31 for c in human_part]
    remainder = _polymod([*expanded, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    return [remainder >> shift & 31 for shift in range(25, -1, -5)]


def _polymod(values: Iterable[int]) -> int:
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                remainder ^= term
    return remainder
