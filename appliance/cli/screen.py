"""Where things are shown: results on standard output, everything that happens meanwhile on standard error."""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from appliance.cli.answer import Answer
from appliance.cli.meter import Meter
from appliance.cli.outlet import Outlet
from appliance.cli.problems import ConfirmationError
from appliance.cli.streaming import Streamed
from appliance.cli.words import error_lines, gate_lines
from appliance.contract.errors import PitboxError

_YES = frozenset({"yes", "y"})
_SAME_VERSION = "Engine and command line should be of the same version."
_MOMENT_S = 1.0
"""Between two looks whether a question is still open while somebody thinks."""


class Screen:
    """For a person, or with `machine` for a program that reads one JSON document.

    An output that breaks is told once and ends nothing: what the engine does is followed to its end.
    """

    def __init__(
        self,
        *,
        machine: bool = False,
        quiet: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
        keyboard: TextIO | None = None,
    ) -> None:
        self._machine = machine
        self._quiet = quiet
        self._out = Outlet(out or sys.stdout)
        self._err = Outlet(err or sys.stderr)
        self._keyboard = keyboard or sys.stdin
        self._meter = Meter(self._err)
        self.hands: Callable[[str], str] | None = None
        """Who answers a prompt in place of a keyboard: the demo's own technician."""
        self._loss_told = False
        self._unreadable_told = False

    @property
    def lost(self) -> OSError | None:
        """Why results cannot be shown any more; None while they can."""
        return self._out.broken

    @property
    def columns(self) -> int:
        """Room for a line of a result."""
        return self._out.columns

    def event(self, event: Streamed) -> None:
        """Show what the engine tells while it works; what is of a kind not known is left out."""
        if event["kind"] == "alarm":
            self.alarm(f"{'⚠ ' if event['raised'] else '✔ '}{event['text']}")
        elif self._quiet:
            return
        elif event["kind"] == "progress":
            self._meter.show(event)
        elif event["kind"] == "heartbeat":
            self._meter.beat(event["silent_s"])
        elif event["kind"] == "note":
            self.note(f"  {event['text']}")
        elif event["kind"] == "gates":
            self.tell(["Checks before the first erase:", *gate_lines(event["gates"])])
        elif event["kind"] == "unreadable" and not self._unreadable_told:
            self._unreadable_told = True
            self.note(f"⚠ Some of what the engine tells cannot be read: {event['why']}. {_SAME_VERSION}")

    def note(self, text: str) -> None:
        """Something worth knowing; left out when quiet."""
        if not self._quiet:
            self.alarm(text)

    def alarm(self, text: str) -> None:
        """Something that must be seen."""
        self._meter.clear()
        self._err.line(text)

    def tell(self, lines: Iterable[str]) -> None:
        """Part of the story while it happens; left out when quiet."""
        if not self._quiet:
            self._show(lines, self._err if self._machine else self._out)

    def confirm(self, lines: Iterable[str], question: str, *, yes: bool) -> None:
        """Show what is about to happen and wait for a yes. Raises ConfirmationError without one.

        `yes` was given on the command line; without it there must be somebody at a terminal to ask.
        """
        if not (yes and self._quiet):
            self._show(lines, self._err)
        if yes:
            return
        if not self.can_ask:
            raise ConfirmationError("nobody can be asked: this is no terminal, and --yes was not given")
        self._err.write(f"{question} Type yes to go on: ")
        if self._keyboard.readline().strip().lower() not in _YES:
            raise ConfirmationError("it was not confirmed")

    @property
    def can_ask(self) -> bool:
        """Whether somebody is at a terminal."""
        return self._keyboard is not None and self._keyboard.isatty() and self._err.terminal

    def ask(self, lines: Iterable[str], prompt: str, still_open: Callable[[], bool]) -> str | None:
        """What is typed at the terminal; None once it is no longer of interest, or nobody is there."""
        if self.hands is not None:
            told = next(iter(lines), "")
            answer = self.hands(prompt)
            self.note(f"  {told}  {answer}")
            return answer
        self._show(lines, self._err)
        if not self.can_ask:
            return None
        self._err.write(prompt)
        while still_open():
            if not self._typed():
                continue
            line = self._keyboard.readline()
            if not line or line.strip():
                return line.strip() or None
            self._err.write(prompt)
        self._err.write("\n")
        return None

    def _typed(self) -> bool:
        """Whether a line comes within a moment."""
        return bool(select.select([self._keyboard], [], [], _MOMENT_S)[0])

    def answer(self, answer: Answer) -> None:
        """The result; for machines nothing where there is no document."""
        self._meter.clear()
        if self._machine:
            if answer.document is not None:
                self._document(answer.document)
        else:
            self._show(answer.lines, self._out)

    def fail(self, error: PitboxError) -> None:
        """All five answers."""
        self._meter.clear()
        if self._machine:
            self._document({"error": error.as_dict()})
        else:
            self._show(error_lines(error), self._err)

    def line_of_json(self, document: object) -> None:
        """One of a stream of documents."""
        self._put(json.dumps(document) + "\n")

    def _show(self, lines: Iterable[str], outlet: Outlet) -> None:
        self._meter.clear()
        for line in lines:
            outlet.line(line)
        self._tell_loss()

    def _document(self, document: object) -> None:
        """In ASCII: a terminal obeys control characters beyond it too."""
        self._put(json.dumps(document, indent=2) + "\n")

    def _put(self, text: str) -> None:
        self._out.write(text)
        self._tell_loss()

    def _tell_loss(self) -> None:
        """Once. A reader that has enough needs no words."""
        lost = self._out.broken
        if lost is None or self._loss_told:
            return
        self._loss_told = True
        if not isinstance(lost, BrokenPipeError):
            self._err.line(
                f"⚠ Standard output cannot be written ({lost.strerror}). Make room or choose another place; "
                "the box goes on, `pitbox report` tells it all later."
            )
