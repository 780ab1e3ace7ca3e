"""What only the owner has and an access needs, by name: keys, what unlocks, loaders. Never its value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from appliance.definitions.fields import Strict


class Secret(Strict):
    """One thing that the owner supplies."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")
    """Name by which an access asks for it."""
    role: Literal["key", "iv", "loader", "unlock"]
    """What it is used for: a payload cipher, a loader in RAM, or the answer to a seed."""
    form: Literal["plain", "vbf"] = "plain"
    """How a loader comes: its bytes, or a VBF container with its own addresses and sums."""
    about: str = Field(min_length=1, max_length=300)
    """What it is, and where an owner has it from."""
    least_bytes: int = Field(default=1, ge=1, le=1 << 20)
    """Shortest that is right."""
    most_bytes: int = Field(ge=1, le=1 << 20)
    """Longest that is right."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Where one file alone is right."""
