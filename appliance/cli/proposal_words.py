"""A proposal in a technician's words."""

from __future__ import annotations

import time
from collections.abc import Iterator

from appliance.contract.actors import ActorTold
from appliance.contract.proposals_told import ProposalTold


def proposal_lines(one: ProposalTold) -> Iterator[str]:
    """What it is, who proposed it and what it waits for."""
    about = " ".join(filter(None, (one["verb"], f"of job {one['job']}" if one["job"] else "")))
    yield f"{one['id']}  {one['state']}  {about}".rstrip()
    if one["proposer"]:
        yield f"  Proposed by {_who(one['proposer'], one['by'])}, until {_clock(one['expires_at'])}"
    for given in one["consents"]:
        taken = ", withdrawn" if given["withdrawn_at"] else ""
        yield f"  Consent ({given['need']}) of {_who(given['actor'], given['by'])}{taken}"
    if one["state"] == "open":
        yield f"  Waits for: {', '.join(one['waits_for'])}. `pitbox consent {one['id']}` gives one."
    if one["state"] == "ready":
        yield f"  Every consent is in. `pitbox consent {one['id']} --start` starts it."
    if one["operation"]:
        yield f"  Started as operation {one['operation']}"
    if one["why"]:
        yield f"  {one['why'][0].upper()}{one['why'][1:]}."


def _who(actor: ActorTold, by: str | None) -> str:
    user = actor["role"] if actor["uid"] is None else f"{actor['role']}, user {actor['uid']}"
    return f"{by} ({user})" if by else user


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
