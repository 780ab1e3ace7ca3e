"""Boxes that know a hostile ECU from the days when it was honest."""

from __future__ import annotations

import asyncio
import random
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from appliance.contract.events import AlarmEvent, Heard, NoteEvent, StateEvent
from appliance.definitions.library import Library
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.registry import prepare
from appliance.engine.settings import EngineSettings
from appliance.protocols.ports import CarInterface
from simulator.virtualtime import run_virtual
from tests.hostile.parts import Shape
from tests.hostile.world import World


@dataclass(frozen=True, slots=True)
class Bench:
    """State directories of a box that identified the ECU, and of one that has read and sealed it."""

    shape: Shape
    definition: Definition
    stock: bytes
    identified: Path
    sealed: Path
    job: str


@dataclass
class Benches:
    """Each made once."""

    root: Path
    world: World
    _made: dict[str, Bench] = field(default_factory=dict)

    def of(self, shape: Shape) -> Bench:
        if shape.name not in self._made:
            self._made[shape.name] = self._make(shape)
        return self._made[shape.name]

    def _make(self, shape: Shape) -> Bench:
        definition, stock = self.world.definition_of(shape.name), shape.stock()
        identified, sealed = self.root / f"{shape.name}-identified", self.root / f"{shape.name}-sealed"
        identified.mkdir(mode=0o700)
        with steady_names(shape.name):
            job = run_virtual(self._identify(shape, definition, stock, identified))
        shutil.copytree(identified, sealed)
        run_virtual(self._read(shape, definition, stock, sealed, job))
        return Bench(shape, definition, stock, identified, sealed, job)

    async def _identify(self, shape: Shape, definition: Definition, stock: bytes, state: Path) -> str:
        asked = ("identify", {"definition": definition.id})
        return str((await self._ask(shape, definition, stock, state, asked))["job"])

    async def _read(self, shape: Shape, definition: Definition, stock: bytes, state: Path, job: str) -> None:
        await self._ask(shape, definition, stock, state, ("read", {"job": job}))

    async def _ask(
        self,
        shape: Shape,
        definition: Definition,
        stock: bytes,
        state: Path,
        asked: tuple[str, dict[str, Any]],
    ) -> dict[str, Any]:
        honest = self.world.honest(shape.name, stock)
        box = box_on(state, definition, honest.connection, lambda event: None)
        try:
            await asyncio.sleep(1)
            return await prepare(*asked)(box)
        finally:
            box.journal.close()


def box_on(state: Path, definition: Definition, connection: CarInterface, heard: Heard) -> EngineContext:
    """A master-role box whose library is one definition."""
    with patch("appliance.engine.context.load_all", lambda _dirs: Library()):
        box = open_box(EngineSettings(state, state / "engine.sock", "master"), connection, heard)
    box.library.add(definition, Path(f"{definition.id}.toml"))
    return box


@contextmanager
def steady_names(seed: str) -> Iterator[None]:
    """Ids of jobs decide the order of some reads: a seed's are the same in every process."""
    dice = random.Random(f"names/{seed}")
    with patch.object(uuid, "uuid4", lambda: uuid.UUID(int=dice.getrandbits(128))):
        yield


def shown(event: object) -> str | None:
    """What a trace keeps of an event."""
    if isinstance(event, StateEvent):
        return f"state {event.state}"
    return event.text if isinstance(event, NoteEvent | AlarmEvent) else None
