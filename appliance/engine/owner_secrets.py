"""What the owner supplied for an ECU, by definition and name. A simulated car brings its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

from appliance.contract.errors import PitboxError
from appliance.definitions.schema import Definition
from appliance.definitions.secrets import Secret
from appliance.protocols.transforms import SecretNamed, none_supplied

FOLDER = "secrets"
"""In the state directory: `secrets/<definition id>/<name>`, readable by the engine alone."""


def secrets_of(definition: Definition, state: Path, *, simulated: bool) -> SecretNamed:
    """Gives a secret by its name; it raises PitboxError for one that is missing or not the right one."""
    known = {secret.name: secret for secret in definition.secrets}

    def named(name: str) -> bytes:
        if simulated and definition.simulation is not None:
            value = bytes.fromhex(definition.simulation.secrets[name])
        else:
            value = _stored(state / FOLDER / definition.id / name, known[name])
        _require_right(known[name], value)
        return value

    return named


def _stored(path: Path, secret: Secret) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(secret.most_bytes + 1)
    except FileNotFoundError:
        return none_supplied(secret.name)
    except OSError as error:
        raise _wrong(secret, f"cannot be read: {error.strerror}") from error


def _require_right(secret: Secret, value: bytes) -> None:
    if not secret.least_bytes <= len(value) <= secret.most_bytes:
        span = f"{secret.least_bytes} to {secret.most_bytes}"
        raise _wrong(secret, f"has {len(value)} bytes, and the definition says {span}")
    if secret.sha256 is not None and hashlib.sha256(value).hexdigest() != secret.sha256:
        raise _wrong(secret, "is not the file whose SHA-256 the definition names")


def _wrong(secret: Secret, why: str) -> PitboxError:
    return PitboxError(
        "SECRET_WRONG",
        f"the owner's {secret.name!r} {why}",
        do_now=f"Supply the right one: {secret.about}",
    )
