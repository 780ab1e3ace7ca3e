"""What must never be forgotten of a write, in a small record of its own that is kept twice.

SQLite drops every frame of its write-ahead log behind a flipped bit, and takes an older file for a good one.
So the open write, its job, target and definition, and whether anything was erased, also lie beside the
journal; the two are compared at every start (`reconciling.py`). The record is rewritten when a write is
opened, before its first erase, when its target changes and when it is over: never for a block.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import rfc8785

from appliance.contract.places import FLASH, Start
from appliance.vault.authentic import Mac, opened_record, sealed_record
from appliance.vault.twice import Found, TwiceKept

VERSION = 3
"""1: the block that was erased first by its address alone. 2: the access by its method alone."""
NEEDS_BENCH = "needs bench"
"""Outcome of a write that is closed with its ECU half written."""
SET_ASIDE = "set aside"
"""Outcome of a write that a named person set aside, so that another car can be served: it is not over."""
UNFINISHED = frozenset({None, NEEDS_BENCH, SET_ASIDE})
"""Outcomes of writes whose ECU may be half written, and which can be recovered."""
SETTLED = "settled"
"""Outcome of a write whose ECU was half written, and is whole or gone by a person's word alone."""
NOTHING_ERASED = "abandoned, nothing erased"
"""Outcome of a write that ended before it changed anything."""
_NAME = "writes"


@dataclass(frozen=True, slots=True)
class Mark:
    """One write: what a journal that forgot it needs to know it again."""

    flash_id: int
    job_id: str
    definition_id: str
    definition_sha256: str
    method: str
    identity: str | None
    """As JSON text, like in the journal."""
    original_file: str | None
    write_order: str
    opened_at: float
    first_erased: Start | None
    """Where the block begins that was erased first; None while nothing was."""
    outcome: str | None
    """None while open."""
    rescue: bool = False
    """Opened because the journal of an earlier write is lost."""
    access: str | None = None
    """Name of the definition's access; None where only its method is known."""

    @property
    def in_danger(self) -> bool:
        """Whether its ECU may be half written."""
        return self.outcome in UNFINISHED


@dataclass(frozen=True, slots=True)
class Marks:
    """Every write whose ECU is not known to be safe, and the newest of the others."""

    serial: int
    """How often the journal's writes had changed; the higher of two records is the newer."""
    writes: tuple[Mark, ...]


class MarksFile:
    """The record on disk."""

    def __init__(self, folder: Path, mac: Mac) -> None:
        self._mac = mac
        self._kept = TwiceKept(folder, _NAME, self._parse)
        self.paths = self._kept.paths

    def read(self) -> Found[Marks]:
        """Raises VaultError from the disk, NewerRecordError."""
        return self._kept.read()

    def write(self, marks: Marks) -> None:
        """Durable on return. Raises VaultError."""
        body = {"v": VERSION, "serial": marks.serial, "writes": [asdict(mark) for mark in marks.writes]}
        self._kept.write(sealed_record(_NAME, rfc8785.dumps(body), self._mac))  # type: ignore[arg-type]

    def _parse(self, data: bytes) -> Marks:
        record = json.loads(opened_record(_NAME, data, self._mac, VERSION))
        known = {one.name for one in fields(Mark)}
        writes = [{key: value for key, value in one.items() if key in known} for one in record["writes"]]
        for one in writes:
            one["first_erased"] = _start_of(record["v"], one["first_erased"])
        return Marks(record["serial"], tuple(Mark(**one) for one in writes))


def _start_of(version: int, stated: Any) -> Start | None:
    if stated is None:
        return None
    if version == 1:
        return FLASH, stated
    memory, start = stated
    return memory, start
