"""Where things are shown: results on standard output, everything that happens meanwhile on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from appliance.cli.answer import Answer
from appliance.cli.meter import Meter
from appliance.cli.words import error_lines, gate_lines
from appliance.contract.errors import PitboxError


class Screen:
    """For a person, or with `machine` for a program that reads one JSON document."""

    def __init__(
        self,
        *,
        machine: bool = False,
        quiet: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._machine = machine
        self._quiet = quiet
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._meter = Meter(self._err)

    def event(self, event: Mapping[str, Any]) -> None:
        """Show what the engine tells while it works."""
        kind = event.get("kind")
        if kind == "alarm":
            self.alarm(f"{'⚠ ' if event['raised'] else '✔ '}{event['text']}")
        elif self._quiet:
            return
        elif kind == "progress":
            self._meter.show(event)
        elif kind == "note":
            self.note(f"  {event['text']}")
        elif kind == "gates":
            self.tell(["Checks before the first erase:", *gate_lines(event["gates"])])

    def note(self, text: str) -> None:
        """Something worth knowing; left out when quiet."""
        if not self._quiet:
            self.alarm(text)

    def alarm(self, text: str) -> None:
        """Something that must be seen."""
        self._meter.clear()
        print(text, file=self._err, flush=True)

    def tell(self, lines: Iterable[str]) -> None:
        """Part of the story while it happens; left out when quiet."""
        if self._quiet:
            return
        self._meter.clear()
        for line in lines:
            print(line, file=self._err if self._machine else self._out, flush=True)

    def answer(self, answer: Answer) -> None:
        """The result; for machines nothing where there is no document."""
        self._meter.clear()
        if self._machine:
            if answer.document is not None:
                self._document(answer.document)
        else:
            for line in answer.lines:
                print(line, file=self._out)
            self._out.flush()

    def fail(self, error: PitboxError) -> None:
        """All five answers."""
        self._meter.clear()
        if self._machine:
            self._document({"error": error.as_dict()})
        else:
            for line in error_lines(error):
                print(line, file=self._err, flush=True)

    def line_of_json(self, document: Any) -> None:
        """One of a stream of documents."""
        print(json.dumps(document), file=self._out, flush=True)

    def _document(self, document: Any) -> None:
        json.dump(document, self._out, indent=2, ensure_ascii=False)
        print(file=self._out, flush=True)
