"""Proposals and consents as the journal keeps them, and who may give which consent."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from appliance.contract.actors import Actor, ActorTold, actor_of
from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.contract.preview import FORM, Preview
from appliance.contract.proposals import KIND, OPERATOR, OTHER, WEB
from appliance.contract.proposals_told import WAITING, ConsentTold, ProposalState, ProposalTold
from appliance.flashing.earlier_previews import preview_of

SHOWN_OTHERWISE = "an update shows otherwise what would be done"


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One consent; a withdrawn one is kept and does not count."""

    need: str
    actor: Actor
    by: str | None
    digest: str
    at: float
    withdrawn_at: float | None


@dataclass(frozen=True, slots=True)
class ProposalRecord:
    """A proposal as it stands."""

    id: str
    verb: str
    request: dict[str, Any]
    """The verb's parameters."""
    preview: Preview
    """As it was shown to its proposer; its digest is what is consented to."""
    proposer: Actor
    by: str | None
    needs: tuple[str, ...]
    state: ProposalState
    why: str | None
    operation_id: str | None
    proposed_at: float
    expires_at: float
    consents: tuple[ConsentRecord, ...]

    @property
    def digest(self) -> str:
        """Of what was shown."""
        return self.preview["digest"]

    @property
    def counting(self) -> tuple[ConsentRecord, ...]:
        """Consents that were not withdrawn."""
        return tuple(one for one in self.consents if one.withdrawn_at is None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is wanted and not given."""
        left = Counter(self.needs) - Counter(one.need for one in self.counting)
        return tuple(left.elements())

    def state_at(self, now: float) -> ProposalState:
        """How it stands, whether or not the disk took that it is over.

        What a release showed otherwise than this one would is over: nobody here has seen what it would do.
        """
        if self.state not in WAITING:
            return self.state
        if now >= self.expires_at:
            return ProposalState.EXPIRED
        return self.state if self.preview["form"] == FORM else ProposalState.STALE

    def why_at(self, now: float) -> str | None:
        """Why it is over or was not started, whether or not the disk took it."""
        if self.state in WAITING and self.state_at(now) is ProposalState.STALE:
            return SHOWN_OTHERWISE
        return self.why

    def as_told(self, now: float) -> ProposalTold:
        """JSON form."""
        return ProposalTold(
            id=self.id,
            verb=cast(Any, self.verb),
            job=self.preview["job"],
            state=self.state_at(now),
            why=self.why_at(now),
            digest=self.digest,
            preview=self.preview,
            proposer=_told(self.proposer),
            by=self.by,
            needs=list(self.needs),
            waits_for=list(self.missing),
            consents=[
                ConsentTold(
                    need=one.need,
                    actor=_told(one.actor),
                    by=one.by,
                    digest=one.digest,
                    at=one.at,
                    withdrawn_at=one.withdrawn_at,
                )
                for one in self.consents
            ],
            operation=self.operation_id,
            proposed_at=self.proposed_at,
            expires_at=self.expires_at,
        )


def proposal_of(row: sqlite3.Row, consents: Sequence[ConsentRecord]) -> ProposalRecord:
    """A row of `proposal`. Raises ValueError, LookupError or TypeError for what makes no sense."""
    return ProposalRecord(
        row["id"],
        row["verb"],
        json.loads(row["request"]),
        preview_of(json.loads(row["preview"])),
        actor_of(row["proposer"]),
        row["by_name"],
        tuple(json.loads(row["needs"])),
        ProposalState(row["state"]),
        row["why"],
        row["operation_id"],
        row["proposed_at"],
        row["expires_at"],
        tuple(one for one in consents if one.digest == json.loads(row["preview"])["digest"]),
    )


def consent_of(row: sqlite3.Row) -> ConsentRecord:
    """A row of `consent`. Raises ValueError."""
    actor = actor_of(row["actor"])
    return ConsentRecord(row["need"], actor, row["by_name"], row["digest"], row["at"], row["withdrawn_at"])


def damaged_told(row: sqlite3.Row) -> ProposalTold:
    """A proposal of which nothing is believed but that it was there."""
    return ProposalTold(
        id=row["id"],
        verb="",
        job=None,
        state=ProposalState.DAMAGED,
        why="its record was changed on the disk",
        digest="",
        preview=None,
        proposer=None,
        by=None,
        needs=[],
        waits_for=[],
        consents=[],
        operation=None,
        proposed_at=row["proposed_at"],
        expires_at=row["expires_at"],
    )


def unfit(proposal: ProposalRecord, need: str, actor: Actor, by: str | None) -> Phrase | None:
    """Why this user cannot give this consent; None where it can.

    The web never consents to what came through the web: the kernel knows all of its people as one user.
    """
    if proposal.proposer.role == WEB and actor.role == WEB:
        return phrase("consent.at_the_box")
    if need.startswith(KIND):
        if actor.role != OPERATOR:
            return phrase("consent.by_operator")
        return None if by else phrase("consent.names_person")
    if any(one.actor.uid == actor.uid and not one.need.startswith(KIND) for one in proposal.counting):
        return phrase("consent.given_already")
    other, operator = actor.uid != proposal.proposer.uid, actor.role == OPERATOR
    fits = {OPERATOR: operator, WEB: actor.role == WEB, OTHER: other}.get(need, other or operator)
    return None if fits else phrase("consent.by_another", need=need.replace("_", " "))


def same_ecu(one: Preview, other: Preview) -> bool:
    """The same job; a car that came twice has two, and what one was shown ends with a write of the other.

    Rescues, which have no job yet, are told apart by their definition.
    """
    if one["job"] and one["job"] == other["job"]:
        return True
    if one["definition"] != other["definition"]:
        return False
    vin = one.get("vin")
    return (one["job"] is None and other["job"] is None) or (vin is not None and vin == other.get("vin"))


def _told(actor: Actor) -> ActorTold:
    return ActorTold(role=actor.role, uid=actor.uid)
