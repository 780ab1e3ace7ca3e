from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.vault.agekey import AgeIdentity, _bech32
from appliance.vault.errors import VaultError

RAW_KEYS = st.binary(min_size=32, max_size=32)


@given(RAW_KEYS)
def test_the_recipient_is_the_public_key_of_the_raw_scalar(raw: bytes) -> None:
    public = X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    assert AgeIdentity.from_raw(raw).recipient == _bech32("age", public)


@given(st.binary(max_size=80).filter(lambda raw: len(raw) != 32))
def test_another_key_length_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AgeIdentity.from_raw(raw)


@given(RAW_KEYS, st.integers(min_value=16, max_value=73))
def test_a_mistyped_secret_is_refused_and_not_quoted(raw: bytes, position: int) -> None:
    secret = AgeIdentity.from_raw(raw).secret
    wrong = "Q" if secret[position] != "Q" else "P"
    mistyped = secret[:position] + wrong + secret[position + 1 :]
    with pytest.raises(VaultError) as caught:
        AgeIdentity(mistyped)
    assert caught.value.code == "VAULT_KEY_INVALID"
    assert mistyped[16:] not in str(caught.value)


def test_repr_does_not_show_the_secret() -> None:
    identity = AgeIdentity.generate()
    assert identity.secret not in repr(identity)
    assert identity.secret[16:40] not in str(identity)


def test_age_keygen_reads_a_key_made_from_raw_bytes(age_command: str, tmp_path: Path) -> None:
    identity = AgeIdentity.from_raw(bytes(range(32)))
    (tmp_path / "key").write_text(identity.secret + "\n")
    shown = subprocess.run(
        [f"{age_command}-keygen", "-y", tmp_path / "key"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == identity.recipient
