"""Having the engine do something, and following it until it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Generic, NotRequired, TypeVar

from appliance.cli.asking import answer_at_terminal
from appliance.cli.client import EngineClient
from appliance.cli.problems import (
    AnswerUnreadableError,
    CancelledError,
    EngineLostError,
    EngineUnreachableError,
    LeftRunningError,
)
from appliance.cli.screen import Screen
from appliance.cli.streaming import Streamed, number_of
from appliance.contract.checked import UnreadableError, checked
from appliance.contract.errors import EcuSafety, PitboxError, failure_of
from appliance.contract.events_told import QuestionFields
from appliance.contract.jobs import ECU_IN_DANGER
from appliance.contract.told import Cancelled, OperationStanding

_SECOND_THOUGHTS_S = 3.0
_LAST_WORD_S = 10
_TRIES = 3
"""So often, a second apart, an engine that is gone is asked again: one that is watched over comes back."""
_TRY_AGAIN_S = 1.0
_WRITING = frozenset({"write", "restore", "recover"})
"""A lost engine may have begun to erase before we heard of it."""

Given = TypeVar("Given")
Pause = Callable[[float], object]


def _pause(seconds: float) -> None:
    """Wait; Ctrl-C ends it with KeyboardInterrupt."""
    threading.Event().wait(seconds)


def perform(
    client: EngineClient,
    screen: Screen,
    verb: str,
    gives: type[Given],
    parameters: Mapping[str, object] | None = None,
    *,
    pause: Pause | None = _pause,
    retry: Pause | None = _pause,
) -> Given:
    """Start an operation and show it until it is over; its result, which is of the type that the verb gives.

    Raises PitboxError for any other end.

    Ctrl-C leaves it running (LeftRunningError); a second one during `pause` cancels what is not yet writing
    (CancelledError). Without a pause it is KeyboardInterrupt. An engine that is gone is asked again a few
    times, with `retry` between, or not at all without; what happened meanwhile is caught up with by number.
    """
    operation = client.post("/v1/operations", _Operation, {"verb": verb, **said(parameters or {})})
    return _Following(client, screen, operation, gives, pause, retry).until_over()


def follow(client: EngineClient, screen: Screen, operation_id: str, gives: type[Given]) -> Given:
    """Show an operation that was started otherwise, as `perform` does. Raises PitboxError."""
    operation = client.get(f"/v1/operations/{operation_id}", _Operation)
    return _Following(client, screen, operation, gives, _pause, _pause).until_over()


def said(parameters: Mapping[str, object]) -> dict[str, object]:
    """Parameters without those that were not given."""
    return {key: value for key, value in parameters.items() if value not in (None, [], False)}


class _Operation(OperationStanding):
    result: NotRequired[object]
    """Its type is its verb's."""


class _Following(Generic[Given]):
    def __init__(
        self,
        client: EngineClient,
        screen: Screen,
        operation: _Operation,
        gives: type[Given],
        pause: Pause | None,
        retry: Pause | None,
    ) -> None:
        self._client = client
        self._screen = screen
        self._id, self._verb = operation["id"], operation["verb"]
        self._after = operation.get("after", 0)
        self._gives = gives
        self._pause = pause
        self._retry = retry
        self._in_danger = self._verb == "recover"
        self._asked: set[str] = set()

    def until_over(self) -> Given:
        try:
            return self._outcome(self._follow())
        except KeyboardInterrupt:
            if self._pause is None:
                raise
            return self._leave(self._pause)
        except EngineUnreachableError as error:
            raise EngineLostError(self._verb, in_danger=self._verb in _WRITING) from error

    def _follow(self) -> _Operation:
        """Every event of the operation in its order, over as many streams as it takes."""
        operation = self._state()
        while operation["state"] == "running":
            self._listen()
            operation = self._persistent_state()
        with suppress(EngineUnreachableError):  # how it ended is known
            for event in self._client.told_after(self._after):
                self._show(event)
        return operation

    def _listen(self) -> None:
        """Until the operation or the stream ends."""
        try:
            for event in self._client.events(self._after):
                self._show(event)
                if self._is_end(event):
                    break
        except EngineUnreachableError:
            return

    def _persistent_state(self) -> _Operation:
        for _ in range(_TRIES if self._retry else 0):
            try:
                return self._state()
            except EngineUnreachableError:
                if self._retry is not None:
                    self._retry(_TRY_AGAIN_S)
        return self._state()

    def _state(self, wait_s: int = 0) -> _Operation:
        return self._client.get(f"/v1/operations/{self._id}?wait={wait_s}", _Operation)

    def _is_end(self, event: Streamed) -> bool:
        if event["kind"] == "snapshot":
            running = event["operation"]
            return running is None or running["id"] != self._id
        return event["kind"] == "operation" and event["id"] == self._id and event["state"] != "running"

    def _show(self, event: Streamed) -> None:
        if event["kind"] == "snapshot":  # its number is the newest; what is behind ours is still to come
            for question in event["questions"]:
                self._ask(question)
            return
        self._after = number_of(event, self._after)
        if event["kind"] == "question":
            self._ask(event)
            return
        if event["kind"] == "state":
            self._in_danger = event["state"] in ECU_IN_DANGER
        self._screen.event(event)

    def _ask(self, question: QuestionFields) -> None:
        """Once each. Whoever is at this terminal may answer; so may any other client."""
        if question["state"] != "open" or question["id"] in self._asked:
            return
        self._asked.add(question["id"])
        answer_at_terminal(self._client, self._screen, question)

    def _outcome(self, operation: _Operation) -> Given:
        if operation["state"] == "interrupted":
            raise self._stopped(operation["job"])
        if operation["state"] == "failed":
            raise failure_of(operation["error"])
        if operation["state"] == "cancelled" and operation["error"]:
            raise failure_of(operation["error"])
        if operation["state"] == "cancelled":
            raise CancelledError(self._verb)
        try:
            return checked(self._gives, operation.get("result"))
        except UnreadableError as error:
            raise AnswerUnreadableError(self._verb, error) from error

    def _stopped(self, job: str | None) -> EngineLostError:
        """The engine went and is back; the operation is not."""
        error = EngineLostError(self._verb, in_danger=self._verb in _WRITING, back=True)
        error.ecu = EcuSafety(self._client.safety(job)["ecu"])
        return error

    def _leave(self, pause: Pause) -> Given:
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

    def _cancel(self) -> Given:
        try:
            self._client.post(f"/v1/operations/{self._id}/cancel", Cancelled)
        except PitboxError as error:
            self._screen.alarm(f"Not cancelled: {error.what}. {error.do_now}")
            raise LeftRunningError(self._verb, in_danger=True) from error
        operation = self._state(_LAST_WORD_S)
        if operation["state"] == "running":
            raise LeftRunningError(self._verb, in_danger=False)
        return self._outcome(operation)
