"""Who may ask the engine for what."""

from __future__ import annotations

from enum import StrEnum


class PeerRole(StrEnum):
    """What a user of the engine's socket is to it."""

    OPERATOR = "operator"
    """May ask for everything; on a master-role box that includes files in the clear."""
    WEB = "web"
    """The process that the network reaches: it drives the box, and no file in the clear ever comes or goes
    through it."""


EVERYBODY = frozenset(PeerRole)
OPERATOR_ONLY = frozenset({PeerRole.OPERATOR})
