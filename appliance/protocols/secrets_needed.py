"""What the owner must have supplied before an access is opened for a purpose, whatever its protocol."""

from __future__ import annotations

from appliance.definitions.access.base import AccessDefinition
from appliance.protocols.access import Purpose
from appliance.protocols.transforms import SecretNamed


def require_secrets(access: AccessDefinition, purpose: Purpose, secret: SecretNamed) -> None:
    """Look each of them up. Raises PitboxError for one that is missing or wrong; nothing was sent then."""
    needed = access.reading_secrets if purpose is Purpose.READ else access.secret_names
    for name in sorted(needed):
        secret(name)
