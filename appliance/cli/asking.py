"""Questions of the engine to the person at this terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.cli.client import EngineClient
from appliance.cli.screen import Screen
from appliance.cli.words import question_lines
from appliance.contract.errors import PitboxError


def open_questions(client: EngineClient) -> list[dict[str, Any]]:
    """Those that wait for an answer, oldest first. Raises PitboxError."""
    found: list[dict[str, Any]] = client.get("/v1/questions")
    return found


def answer(client: EngineClient, question_id: str, text: str, by: str | None = None) -> dict[str, Any]:
    """Answer one; how it stands now. Raises PitboxError."""
    given = {"answer": text} | ({"by": by} if by else {})
    told: dict[str, Any] = client.post(f"/v1/questions/{question_id}", given)
    return told


def answer_at_terminal(client: EngineClient, screen: Screen, question: Mapping[str, Any]) -> None:
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
