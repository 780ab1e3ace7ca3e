"""What is signed here is a compact JWS to an implementation that knows nothing of us, and the reverse."""

from __future__ import annotations

import base64

from joserfc import jws
from joserfc.jwk import OKPKey

from appliance.contract.manifest import Manifest
from appliance.vault.keys import MasterKeys
from appliance.vault.signing import ALGORITHM, Typ, sign, verify
from tests.unit.vault.test_package import members_of


def foreign_key(master: MasterKeys) -> OKPKey:
    raw = {"x": bytes.fromhex(master.public().verify_key), "d": master.signing_key.private_bytes_raw()}
    encoded = {name: base64.urlsafe_b64encode(key).rstrip(b"=").decode() for name, key in raw.items()}
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", **encoded})


def test_a_foreign_implementation_verifies_what_is_signed_here(master: MasterKeys, package: bytes) -> None:
    manifest = verify(members_of(package)["manifest.jws"], Typ.MANIFEST, master.public(), Manifest)
    token = sign(manifest, Typ.MANIFEST, master)
    found = jws.deserialize_compact(token, foreign_key(master), algorithms=[ALGORITHM])
    assert found.payload == manifest.canonical()
    assert found.headers() == {"alg": ALGORITHM, "kid": master.public().kid, "typ": Typ.MANIFEST.value}


def test_what_a_foreign_implementation_signed_is_verified_here(master: MasterKeys, package: bytes) -> None:
    manifest = verify(members_of(package)["manifest.jws"], Typ.MANIFEST, master.public(), Manifest)
    header = {"alg": ALGORITHM, "kid": master.public().kid, "typ": Typ.MANIFEST.value}
    token = jws.serialize_compact(header, manifest.canonical(), foreign_key(master), algorithms=[ALGORITHM])
    assert verify(token.encode(), Typ.MANIFEST, master.public(), Manifest) == manifest
