"""A small file kept twice, so that one damaged sector, or a cut while it is replaced, leaves the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from appliance.contract.alarm_texts import Trouble, trouble
from appliance.vault import durable
from appliance.vault.authentic import NewerRecordError

_MAX_BYTES = 64 << 20
"""Far above what is ever kept: an ECU of 8,192 sectors takes 1 MB."""
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Found(Generic[Parsed]):
    """What the two files hold: whole copies, and what is wrong with the others."""

    copies: tuple[Parsed, ...]
    problems: tuple[Trouble, ...]
    never_written: bool
    """Neither file is there."""


class TwiceKept(Generic[Parsed]):
    """`<name>.1` and `<name>.2` in one folder."""

    def __init__(self, folder: Path, name: str, parse: Callable[[bytes], Parsed]) -> None:
        """`parse` raises ValueError for what is not whole."""
        self.paths = (folder / f"{name}.1", folder / f"{name}.2")
        self._parse = parse

    def write(self, data: bytes) -> None:
        """Replace one after the other, each durable; after a cut between them the first is the newer one.

        Raises VaultError from the disk.
        """
        for path in self.paths:
            durable.write_atomic(path, data)

    def read(self) -> Found[Parsed]:
        """Both copies as far as they are there and whole. Raises VaultError, and NewerRecordError."""
        copies: list[Parsed] = []
        problems: list[Trouble] = []
        absent = 0
        for path in self.paths:
            data = durable.read(path, _MAX_BYTES)
            if data is None:
                problems.append(trouble("record_missing", file=path.name))
                absent += 1
                continue
            try:
                copies.append(self._parse(data))
            except NewerRecordError:
                raise
            except (ValueError, TypeError, LookupError) as error:
                problems.append(trouble("record_damaged", file=path.name, problem=str(error)))
        return Found(tuple(copies), tuple(problems), absent == len(self.paths))
