"""What a verb hands back to be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.cli.exits import Exit


@dataclass(frozen=True, slots=True)
class Answer:
    """One document for machines, the same in lines for people, and the exit status."""

    document: object
    lines: Iterable[str] = ()
    exit: Exit = Exit.DONE
