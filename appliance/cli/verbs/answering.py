"""answer: what the box asks whoever is beside it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from appliance.cli.answer import Answer
from appliance.cli.asking import answer, open_questions
from appliance.cli.options import Verbs, add_verb
from appliance.cli.problems import LocalError
from appliance.cli.screen import Screen
from appliance.cli.verbs.session import client_of
from appliance.cli.words import question_lines
from appliance.contract.events_told import QuestionTold


def add(verbs: Verbs) -> None:
    """Declare the verb."""
    parser = add_verb(
        verbs,
        "answer",
        answer_question,
        "answer what the box asks, or show what it asks",
        "Some ways into an ECU need a hand: a strap, a wire, a look at a lamp. While the box waits for it,\n"
        "the question is open to every client, and the first answer that fits counts.",
    )
    parser.add_argument("text", nargs="?", metavar="ANSWER", help="one of the choices, or a text")
    parser.add_argument("--question", metavar="ID", help="which question (default: the only open one)")
    parser.add_argument("--by", metavar="NAME", help="who answers; it is recorded")


def answer_question(options: argparse.Namespace, screen: Screen) -> Answer:
    """Send the answer, or show the questions. Raises PitboxError."""
    client = client_of(options)
    if options.text is None:
        found = open_questions(client)
        lines = [line for one in found for line in question_lines(one)]
        return Answer(found, lines or ["Nothing is asked."])
    question_id = options.question or _only(open_questions(client))
    told = answer(client, question_id, options.text, options.by)
    return Answer(told, [f"✔ Answered: {told['answer']}"])


def _only(found: Sequence[QuestionTold]) -> str:
    if len(found) != 1:
        raise LocalError(
            "QUESTION_UNKNOWN",
            f"{len(found) or 'no'} questions are open",
            do_now="Name one with --question; `pitbox answer` lists them.",
            details=tuple(f"{one['id']}: {one['text']}" for one in found),
        )
    return found[0]["id"]
