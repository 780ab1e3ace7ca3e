"""Questions of the engine to the person at this terminal."""

from __future__ import annotations

from appliance.cli.client import EngineClient
from appliance.cli.screen import Screen
from appliance.cli.words import question_lines
from appliance.contract.errors import PitboxError
from appliance.contract.events_told import QuestionFields, QuestionTold


def open_questions(client: EngineClient) -> list[QuestionTold]:
    """Those that wait for an answer, oldest first. Raises PitboxError."""
    return client.get("/v1/questions", list[QuestionTold])


def answer(client: EngineClient, question_id: str, text: str, by: str | None = None) -> QuestionTold:
    """Answer one; how it stands now. Raises PitboxError."""
    given = {"answer": text} | ({"by": by} if by else {})
    return client.post(f"/v1/questions/{question_id}", QuestionTold, given)


def answer_at_terminal(client: EngineClient, screen: Screen, question: QuestionFields) -> None:
    """Show a question and, where somebody is at this terminal, send what is typed until it is answered."""

    def still_open() -> bool:
        return any(one["id"] == question["id"] for one in open_questions(client))

    if not still_open():  # told again of what is over
        return
    lines = list(question_lines(question))
    prompt = f"{'/'.join(question['choices']) or 'Your answer'}: "
    while (typed := screen.ask(lines, prompt, still_open)) is not None:
        try:
            answer(client, question["id"], typed)
        except PitboxError as error:
            lines = [f"✘ {error.what}"]
            if error.code == "ANSWER_INVALID":
                continue
            screen.alarm(lines[0])
        return
