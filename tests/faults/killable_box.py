"""A box that can be killed: its disk stays as it is at that instant, and nothing it still does counts."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from appliance.contract.entry_events import EntryEvent, EntryOutcome
from appliance.contract.events import AlarmEvent, GatesEvent, NoteEvent, Recorded, StateEvent
from appliance.engine.context import EngineContext
from appliance.flashing.database import Database
from appliance.ports.simulated import SimulatedCarInterface
from appliance.vault import durable
from drivers.can.interface import CanPort
from drivers.kline.simulated import SimulatedKLine
from drivers.person.interface import Person
from drivers.pins.simulated import SimulatedPins
from drivers.supply.simulated import SimulatedSupply
from drivers.voltmeter.simulated import SimulatedVoltmeter
from simulator.bus import SimBus
from simulator.car import Car
from simulator.kline.wire import KWire
from tests.faults.prepared_boxes import Bench, box_on, copy_of_disk
from tests.faults.workbench import Workbench

Trace = Callable[[str], None]
_SCARCE_BYTES = 4096


class Killed(BaseException):
    """The box is gone; raised inside of it where it dies between two instructions."""


class KillableConnection(SimulatedCarInterface):
    """The box's plug: once it is pulled, none of its ports reaches the car again."""

    def __init__(self, car: Car, bench: Bench, workbench: Workbench | None = None) -> None:
        super().__init__(car, workbench and workbench.bench)
        self._workbench = workbench
        self._ports: list[CanPort] = []
        self._klines: list[SimulatedKLine] = []
        self._pulled = False

    def open_port(self, bitrate_bps: int, data_bitrate_bps: int | None) -> CanPort:
        if self._pulled:
            return SimBus(bitrate_bps, data_bitrate_bps).attach("nowhere")
        port = super().open_port(bitrate_bps, data_bitrate_bps)
        self._ports.append(port)
        return port

    def kline(self) -> SimulatedKLine:
        if self._pulled:
            return SimulatedKLine(KWire().attach("nowhere"))
        line = super().kline()
        self._klines.append(line)
        return line

    def person(self) -> Person:
        """Whoever is at the bench in this attempt."""
        return super().person() if self._workbench is None else self._workbench.person

    def plug_into(self, car: Car, workbench: Workbench | None = None) -> None:
        """The technician pulls the plug and puts it into another car, or takes another ECU to the bench."""
        self.jolt()
        self.car, self.meter = car, SimulatedVoltmeter(car.voltage_v)
        if workbench is not None:
            self._workbench = workbench
            self._pins, self._supply = SimulatedPins(workbench.bench), SimulatedSupply(workbench.bench)

    def pull(self) -> None:
        """Off the bus for ever, with all frames that wait."""
        self._pulled = True
        if self._workbench is not None:
            self._workbench.box_dies()
        for port in (self._pins, self._supply):
            if port is not None:
                port.gone = True
        self.jolt()

    def jolt(self) -> None:
        """The interface vanishes; one that is opened anew works."""
        for port in self._ports:
            port.close()
        self._ports.clear()
        for line in self._klines:
            line.lose("the K-line's adapter vanished")
        self._klines.clear()


class Life:
    """One life of the box, from opening its state directory to its death or the end of the run."""

    def __init__(
        self,
        bench: Bench,
        car: Car,
        state: Path,
        trace: Trace,
        dies_at_write: int | None,
        workbench: Workbench | None = None,
    ) -> None:
        self.state = state
        """Where this box works; the next life's disk once this one is dead."""
        self.dead = False
        self.entries: list[EntryOutcome] = []
        """What was told of bringing the ECU in."""
        self._trace = trace
        self._writes_left = dies_at_write
        self._until_full = self._full_for = 0
        self.scarce = False
        """Whether the file system says that next to nothing is free."""
        self._bench = bench
        self._own_state = state
        self._box: EngineContext | None = None
        self._task: asyncio.Task[dict[str, Any]] | None = None
        self._plug = KillableConnection(car, bench, workbench)

    @property
    def box(self) -> EngineContext:
        """Its organs, once it has started."""
        if self._box is None:
            raise RuntimeError("this box has not started")
        return self._box

    def start(self, *, set_journal_aside: bool = False) -> None:
        """Open the state directory. Raises Killed where the box dies as early as that, and PitboxError."""
        with self._mortal_at_writes():
            self._box = box_on(
                self.state,
                self._bench.definition,
                self._plug,
                self._tell,
                set_journal_aside=set_journal_aside,
            )

    def plug_into(self, car: Car, workbench: Workbench | None = None) -> None:
        """Another car or another bench, or the own one again."""
        self._plug.plug_into(car, workbench)

    async def perform(self, work: Coroutine[Any, Any, dict[str, Any]], within_s: float) -> dict[str, Any]:
        """What the operation gives. Raises what it raises, Killed, or TimeoutError."""
        with self._mortal_at_writes():
            self._task = asyncio.get_running_loop().create_task(work)
            done, _ = await asyncio.wait({self._task}, timeout=within_s)
        if not done:
            self._task.cancel()
            raise TimeoutError(f"the operation is not over after {within_s:.0f} s")
        if self.dead:
            await asyncio.gather(self._task, return_exceptions=True)
            raise Killed
        return self._task.result()

    def die_at_write(self, writes: int | None) -> None:
        """Kill the box at an instant around its durable writes from now on."""
        self._writes_left = writes

    def fill_disk(self, after: int, writes: int) -> None:
        """After so many durable writes from now on so many fail: the disk is full. 0 writes: it is not."""
        self._until_full, self._full_for = after, writes

    def die(self) -> None:
        """kill -9, now."""
        if self.dead:
            return
        self.dead = True
        self._trace("the box is killed")
        self.state = copy_of_disk(self.state, self.state.with_name(f"{self.state.name}+"))
        self._plug.pull()
        if self._task is not None:
            self._task.cancel()

    def lose_interface(self) -> None:
        """The interface vanishes under the running operation."""
        self._trace("the interface vanishes")
        self._plug.jolt()

    def bury(self) -> None:
        """Close and delete what the dead box still held; its successor has a disk of its own."""
        if self._box is not None:
            self._box.journal.close()
        shutil.rmtree(self._own_state)

    def _tell(self, recorded: Recorded) -> None:
        if self.dead:
            return
        event = recorded.event
        if isinstance(event, StateEvent):
            self._trace(f"state {event.state}")
        elif isinstance(event, NoteEvent | AlarmEvent):
            self._trace(event.text)
        elif isinstance(event, EntryEvent):
            self.entries.append(event.outcome)
            self._trace(f"entry {event.outcome}: {event.what}")
        elif isinstance(event, GatesEvent):
            failed = [f"{gate.name}: {gate.detail}" for gate in event.gates if not gate.passed]
            self._trace("gates " + ("pass" if not failed else "; ".join(failed)))

    def _pass_by_write(self) -> None:
        if self.dead or self._writes_left is None:
            return
        self._writes_left -= 1
        if self._writes_left <= 0:
            self._writes_left = None
            self._trace("at a durable write:")
            self.die()
            raise Killed

    def _is_full(self) -> bool:
        """Whether this durable write fails."""
        if not self._full_for:
            return False
        self._until_full -= 1
        if self._until_full >= 0:
            return False
        self._full_for -= 1
        self._trace("the disk is full")
        return True

    @contextmanager
    def _mortal_at_writes(self) -> Iterator[None]:
        """Pass by before and behind every commit of the journal and every file of the vault."""
        transaction, write_atomic, write_new = (
            Database.transaction,
            durable.write_atomic,
            durable.write_new,
        )
        disk_usage = shutil.disk_usage

        @contextmanager
        def watched(database: Database) -> Iterator[object]:
            self._pass_by_write()
            with transaction(database) as sql:
                yield sql
                if self._is_full():
                    raise _full_database()
            self._pass_by_write()

        def watched_new(path: Path, data: bytes) -> None:
            if self._is_full():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write_new(path, data)

        def watched_write(path: Path, data: bytes) -> None:
            self._pass_by_write()
            write_atomic(path, data)
            self._pass_by_write()

        def watched_usage(path: Path) -> object:
            told = disk_usage(path)
            return told._replace(free=_SCARCE_BYTES) if self.scarce else told

        with (
            patch.object(Database, "transaction", watched),
            patch.object(shutil, "disk_usage", watched_usage),
            patch.object(durable, "write_atomic", watched_write),
            patch.object(durable, "write_new", watched_new),
        ):
            yield


def _full_database() -> sqlite3.OperationalError:
    """As SQLite says it."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    error.sqlite_errorname = "SQLITE_FULL"
    return error
