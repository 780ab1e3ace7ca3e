"""Non-volatile state of a simulated ECU: counters, fault codes and flags that outlive a power cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from simulator.ecu.spans import Spans


@dataclass(slots=True)
class Records:
    """What is kept. Spans are lists of [start, end) addresses."""

    application_valid: bool = True
    unfinished: Spans = field(default_factory=list)
    """Erased, or being erased, and not completely programmed since."""
    blank: Spans = field(default_factory=list)
    """Erased and not touched since: the part of `unfinished` a download may start in."""
    ended: bool = True
    """Nothing was erased since the block that ends every write was programmed, where there is one."""
    failed_keys: int = 0
    programming_attempts: int = 0
    programming_successes: int = 0
    fingerprint: str = ""
    dtcs: dict[str, int] = field(default_factory=dict)
    """Stored fault code, as P0301-00, to its UDS status byte."""
    permanent_dtcs: list[str] = field(default_factory=list)


_ADDED = {"ended"}
"""Not in the files of earlier builds."""


class NonVolatile:
    """Records in a small file that is replaced as a whole, or in memory only."""

    def __init__(self, factory: Records, path: Path | None = None) -> None:
        self._path = path
        self.records = factory if path is None or not path.exists() else _load(path)

    @contextmanager
    def update(self) -> Iterator[Records]:
        """Change records; they are stored when the block ends."""
        yield self.records
        self._store()

    def _store(self) -> None:
        if self._path is None:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(asdict(self.records)))
        fresh.replace(self._path)


def _load(path: Path) -> Records:
    stored = json.loads(path.read_text())
    known = {item.name for item in fields(Records)}
    if set(stored) != known and set(stored) != known - _ADDED:
        raise ValueError(f"{path}: not the non-volatile state of this simulator")
    return Records(**stored)
