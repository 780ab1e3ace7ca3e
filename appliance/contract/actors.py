"""Who asked for what happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from typing_extensions import TypedDict


class ActorTold(TypedDict):
    """Who asked; without a uid the box itself."""

    role: str
    uid: int | None


@dataclass(frozen=True, slots=True)
class Actor:
    """A user of the engine's socket in its role, or the box itself (no uid)."""

    role: str
    uid: int | None = None

    def __str__(self) -> str:
        return self.role if self.uid is None else f"{self.role}:{self.uid}"

    def as_dict(self) -> dict[str, object]:
        """JSON form."""
        return asdict(self)


BOX = Actor("box")
"""Nobody asked: a power cut was found, a stored file rots."""


def actor_of(text: str) -> Actor:
    """Inverse of str(actor). Raises ValueError."""
    role, _, uid = text.partition(":")
    return Actor(role, int(uid) if uid else None)
