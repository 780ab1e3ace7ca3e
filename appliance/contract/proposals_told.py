"""A proposed write in the JSON form that crosses the engine's socket."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from typing_extensions import TypedDict

from appliance.contract.actors import ActorTold
from appliance.contract.preview import Preview


class ProposalState(StrEnum):
    """How a proposal stands."""

    OPEN = "open"
    """Consents are missing."""
    READY = "ready"
    """Every consent is in, and it was not started yet."""
    STARTED = "started"
    """Once and never again; what became of it is told by its operation."""
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """Something else was proposed for the same ECU."""
    STALE = "stale"
    """What would be done is no longer what was shown."""
    DAMAGED = "damaged"
    """The record of it was changed on the disk: it is never started."""


WAITING = (ProposalState.OPEN, ProposalState.READY)
"""States in which something may still become of it."""


class ConsentTold(TypedDict):
    """One consent."""

    need: str
    actor: ActorTold
    by: str | None
    digest: str
    at: float
    """Seconds since 1970, as `withdrawn_at`."""
    withdrawn_at: float | None


class ProposalTold(TypedDict):
    """One proposal, with all that its consents are given to."""

    id: str
    verb: Literal["write", "restore", "recover", ""]
    """Empty where its record is damaged."""
    job: str | None
    state: ProposalState
    why: str | None
    """Of a state that ends it, or why a ready one was not started."""
    digest: str
    preview: Preview | None
    """As it was shown; None where its record is damaged."""
    proposer: ActorTold | None
    by: str | None
    needs: list[str]
    waits_for: list[str]
    """Of `needs`, those without a consent."""
    consents: list[ConsentTold]
    operation: str | None
    """Id of the operation that it was started as."""
    proposed_at: float
    """Seconds since 1970, as `expires_at`."""
    expires_at: float
