"""Writes that one proposes and another consents to: what is sent, what is told, and how a proposal stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from appliance.contract.events import Event
from appliance.contract.operations import Recover, Restore, Sha256, Word, Write

SHORTEST_S, LONGEST_S, USUAL_S = 60, 7 * 86_400, 3_600
"""How long a proposal may wait for its consents."""

OTHER_OR_OPERATOR = "other_or_operator"
"""Somebody else than its proposer, or an operator: one of them may write without asking anybody."""
OTHER = "other"
"""Somebody else than its proposer."""
OPERATOR = "operator"
WEB = "web"
KIND = "kind:"
"""Before a kind of consent by its name, as `kind:owner`: an operator states which named person gave it."""
Need: TypeAlias = Annotated[str, Field(pattern=r"^(other_or_operator|other|operator|web|kind:[a-z_]{2,32})$")]
"""One consent that is wanted."""

Proposed: TypeAlias = Write | Restore | Recover
"""Verbs whose effect can be shown before; `confirmed` is the digest of what was shown."""


class Sent(BaseModel):
    """Nothing that is not known."""

    model_config = ConfigDict(extra="forbid")


class Propose(Sent):
    """An operation with the digest of the preview that its proposer saw."""

    operation: Proposed
    needs: Annotated[list[Need], Field(min_length=1, max_length=8)] = [OTHER_OR_OPERATOR]
    by: Word | None = None
    """Who proposes it, as a person's name."""
    expires_s: Annotated[int, Field(ge=SHORTEST_S, le=LONGEST_S)] = USUAL_S

    @model_validator(mode="after")
    def _shown(self) -> Self:
        if self.operation.confirmed is None:
            raise ValueError("operation.confirmed is wanted: the digest of the preview that was shown")
        return self


class Consent(Sent):
    """To exactly what this digest stands for."""

    digest: Sha256
    need: Need | None = None
    """Which consent it is meant as; by default the first that is missing and that this user may give."""
    by: Word | None = None
    """Who consents, as a person's name; needed for a consent of a kind."""


class Withdraw(Sent):
    """Taking back a proposal, or a consent."""

    by: Word | None = None


@dataclass(frozen=True, slots=True)
class ProposalEvent(Event):
    """Something became of a proposal."""

    id: str
    verb: str
    what: str
    """proposed, consented, consent_withdrawn, or the state that it entered."""
    state: str
    digest: str
    waits_for: tuple[str, ...]
    by: str | None = None
    """The person who was named."""
    operation: str | None = None
    why: str | None = None
