"""proposals, consent and withdraw: a write that one proposes and another consents to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from appliance.cli.answer import Answer
from appliance.cli.client import EngineClient
from appliance.cli.confirming import summary_lines
from appliance.cli.operation_client import follow
from appliance.cli.options import Verbs, add_verb, add_yes
from appliance.cli.problems import JobChoiceError, UnusedOptionError
from appliance.cli.proposal_words import proposal_lines
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import client_of
from appliance.cli.verbs.writing import result_lines
from appliance.contract.proposals_told import WAITING, ProposalTold
from appliance.contract.results import Written


def add(verbs: Verbs) -> None:
    """Declare the verbs."""
    add_verb(
        verbs,
        "proposals",
        proposals,
        "list the writes that were proposed, newest first",
        "`pitbox write FILE --propose` makes one; it is started by the last consent that it waits for.",
    )
    parser = add_verb(
        verbs,
        "consent",
        consent,
        "consent to a proposed write; the last consent starts it",
        "What it would do is shown first, and nothing else is consented to.",
    )
    _add_proposal(parser)
    parser.add_argument("--digest", metavar="SHA256", help="what is consented to (default: what is shown)")
    parser.add_argument("--need", metavar="NEED", help="which consent this is, as `proposals` names them")
    parser.add_argument("--by", metavar="NAME", help="who consents; it is recorded")
    parser.add_argument("--start", action="store_true", help="start it: every consent is in already")
    add_yes(parser)
    parser = add_verb(
        verbs,
        "withdraw",
        withdraw,
        "withdraw a proposed write, or a consent to it",
        "What you proposed is over. What you consented to waits for that consent again.",
    )
    _add_proposal(parser)
    parser.add_argument("--by", metavar="NAME", help="who withdraws it; it is recorded")


def _add_proposal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("proposal", metavar="ID", help="the proposal's id or its beginning")


def proposals(options: argparse.Namespace, screen: Screen) -> Answer:
    """List them."""
    found = client_of(options).get("/v1/proposals", list[ProposalTold])
    lines = [line for one in found for line in proposal_lines(one)]
    return Answer(found, lines or ["Nothing is proposed. `pitbox write FILE --propose` proposes a write."])


def consent(options: argparse.Namespace, screen: Screen) -> Answer:
    """Consent, or start what has every consent. Raises PitboxError."""
    if options.start:
        for name in ("digest", "need", "by"):
            if getattr(options, name) is not None:
                raise UnusedOptionError(f"--{name}", "--start gives no consent")
    client = client_of(options)
    one = _chosen(client, options.proposal)
    question = "Erase and write now?" if options.start else f"Consent to {one['verb']}?"
    screen.confirm(_shown(one), question, yes=options.yes)
    if options.start:
        told = client.post(f"/v1/proposals/{one['id']}/start", ProposalTold)
    else:
        given = {"digest": options.digest or one["digest"], "need": options.need, "by": options.by}
        told = client.post(
            f"/v1/proposals/{one['id']}/consents", ProposalTold, {k: v for k, v in given.items() if v}
        )
    if told["operation"] is None:
        return Answer(told, list(proposal_lines(told)))
    result = follow(client, screen, told["operation"], Written)
    return Answer(result, list(result_lines(result)))


def withdraw(options: argparse.Namespace, screen: Screen) -> Answer:
    """Withdraw. Raises PitboxError."""
    client = client_of(options)
    one = _chosen(client, options.proposal)
    told = client.post(
        f"/v1/proposals/{one['id']}/withdraw", ProposalTold, {"by": options.by} if options.by else {}
    )
    return Answer(told, list(proposal_lines(told)))


def _shown(one: ProposalTold) -> Iterator[str]:
    yield from proposal_lines(one)
    if one["preview"]:
        yield from summary_lines(one["preview"])
        yield f"  Digest: {one['digest']}"


def _chosen(client: EngineClient, asked: str) -> ProposalTold:
    """Raises JobChoiceError."""
    found = client.get("/v1/proposals", list[ProposalTold])
    exact = [one for one in found if one["id"] == asked]
    fitting = exact or [one for one in found if one["id"].startswith(asked)]
    fitting = fitting if len(fitting) < 2 else [one for one in fitting if one["state"] in WAITING]
    if len(fitting) != 1:
        what = f"{len(fitting)} proposals begin with {asked}" if fitting else f"there is no proposal {asked}"
        code = "PROPOSAL_AMBIGUOUS" if fitting else "PROPOSAL_UNKNOWN"
        raise JobChoiceError(code, what, "Name one of `pitbox proposals`.")
    return fitting[0]
