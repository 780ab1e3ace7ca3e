"""Having the engine do something, and following it until it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from appliance.cli.asking import answer_at_terminal
from appliance.cli.client import EngineClient
from appliance.cli.problems import (
    CancelledError,
    EngineLostError,
    EngineUnreachableError,
    LeftRunningError,
)
from appliance.cli.screen import Screen
from appliance.contract.errors import PitboxError
from appliance.contract.jobs import ECU_IN_DANGER

_SECOND_THOUGHTS_S = 3.0
_LAST_WORD_S = 10
_WRITING = frozenset({"write", "restore", "recover"})
"""A lost engine may have begun to erase before we heard of it."""

Pause = Callable[[float], object]


def _pause(seconds: float) -> None:
    """Wait; Ctrl-C ends it with KeyboardInterrupt."""
    threading.Event().wait(seconds)


def perform(
    client: EngineClient, screen: Screen, verb: str, *, pause: Pause | None = _pause, **parameters: Any
) -> dict[str, Any]:
    """Start an operation and show it until it is over; its result. Raises PitboxError for any other end.

    Ctrl-C leaves it running (LeftRunningError); a second one during `pause` cancels what is not yet writing
    (CancelledError). Without a pause it is KeyboardInterrupt.
    """
    asked = {key: value for key, value in parameters.items() if value not in (None, [], False)}
    operation = client.post("/v1/operations", {"verb": verb, **asked})
    return _Following(client, screen, operation, pause).until_over()


class _Following:
    def __init__(
        self, client: EngineClient, screen: Screen, operation: dict[str, Any], pause: Pause | None
    ) -> None:
        self._client = client
        self._screen = screen
        self._id, self._verb = operation["id"], operation["verb"]
        self._pause = pause
        self._in_danger = self._verb == "recover"
        self._gates_shown = False
        self._asked: set[str] = set()

    def until_over(self) -> dict[str, Any]:
        try:
            return self._outcome(self._follow())
        except KeyboardInterrupt:
            if self._pause is None:
                raise
            return self._leave(self._pause)
        except EngineUnreachableError as error:
            raise EngineLostError(self._verb, in_danger=self._verb in _WRITING) from error

    def _follow(self) -> dict[str, Any]:
        """Live events while the stream lasts; the engine cuts off whoever does not keep up."""
        operation = self._state()
        while operation["state"] == "running":
            for event in self._client.events():
                self._show(event)
                if self._is_end(event):
                    break
            operation = self._state()
        return operation

    def _state(self, wait_s: int = 0) -> dict[str, Any]:
        state: dict[str, Any] = self._client.get(f"/v1/operations/{self._id}?wait={wait_s}")
        return state

    def _is_end(self, event: dict[str, Any]) -> bool:
        if event["kind"] == "snapshot":
            running = event["operation"]
            return running is None or bool(running["id"] != self._id)
        return event["kind"] == "operation" and bool(event["id"] == self._id and event["state"] != "running")

    def _show(self, event: dict[str, Any]) -> None:
        if event["kind"] == "snapshot":
            for latest in event["latest"].values():
                self._show(latest)
            for question in event.get("questions", ()):
                self._ask(question)
            return
        if event["kind"] == "question":
            self._ask(event)
            return
        if event["kind"] == "state":
            self._in_danger = event["state"] in ECU_IN_DANGER
        if event["kind"] == "gates":
            if self._gates_shown:
                return
            self._gates_shown = True
        self._screen.event(event)

    def _ask(self, question: dict[str, Any]) -> None:
        """Once each. Whoever is at this terminal may answer; so may any other client."""
        if question["state"] != "open" or question["id"] in self._asked:
            return
        self._asked.add(question["id"])
        answer_at_terminal(self._client, self._screen, question)

    def _outcome(self, operation: dict[str, Any]) -> dict[str, Any]:
        if operation["state"] == "failed":
            raise PitboxError.from_dict(operation["error"])
        if operation["state"] == "cancelled":
            raise CancelledError(self._verb)
        result: dict[str, Any] = operation["result"]
        return result

    def _leave(self, pause: Pause) -> dict[str, Any]:
        """The first Ctrl-C leaves; the second cancels, where the engine still lets it."""
        if self._in_danger:
            raise LeftRunningError(self._verb, in_danger=True)
        try:
            within = f"within {_SECOND_THOUGHTS_S:.0f} s"
            self._screen.alarm(f"Leaving; {self._verb} goes on. Press Ctrl-C again {within} to cancel it.")
            pause(_SECOND_THOUGHTS_S)
        except KeyboardInterrupt:
            return self._cancel()
        raise LeftRunningError(self._verb, in_danger=False)

    def _cancel(self) -> dict[str, Any]:
        try:
            self._client.post(f"/v1/operations/{self._id}/cancel")
        except PitboxError as error:
            self._screen.alarm(f"Not cancelled: {error.what}. {error.do_now}")
            raise LeftRunningError(self._verb, in_danger=True) from error
        operation = self._state(_LAST_WORD_S)
        if operation["state"] == "running":
            raise LeftRunningError(self._verb, in_danger=False)
        return self._outcome(operation)
