"""A simulated controller of any protocol: powered, reset and cut off like the one it stands for."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.schema import Definition
from simulator.ecu.chip import Chip, Program, Surroundings
from simulator.ecu.hooks import RequestHook
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import NonVolatile, Records
from simulator.ecu.options import EcuOptions, TransferEnd


@dataclass(frozen=True, slots=True)
class Build:
    """What a controller is made of, besides its definition and its wire."""

    image: Callable[[], bytes]
    """The stock memory of a new chip."""
    options: EcuOptions = field(default_factory=EcuOptions)
    around: Surroundings = field(default_factory=Surroundings)
    data_dir: Path | None = None
    """Keeps memory and records over the end of the process."""
    seed: int = 0

    def stored(self, definition: Definition, factory: Records) -> tuple[FlashMemory, NonVolatile]:
        """Memory and records as they were left, or as they left the works."""
        kept = self.data_dir / definition.id if self.data_dir else None
        memory = FlashMemory(definition.regions, self.image, kept and kept.with_suffix(".flash"), self.seed)
        return memory, NonVolatile(factory, kept and kept.with_suffix(".nvm"))


class Controller(ABC):
    """Starts unpowered; `core` is what its protocol works on."""

    core: Chip
    request_hook: RequestHook | None

    def __init__(self) -> None:
        self.request_hook = None
        self._strapped = False
        self._timers: list[asyncio.TimerHandle] = []
        self._loop = asyncio.get_running_loop()

    @property
    def definition(self) -> Definition:
        """What it simulates, with the addresses that requests name."""
        return self.core.definition

    @property
    def memory(self) -> FlashMemory:
        """Its flash."""
        return self.core.memory

    @property
    def records(self) -> Records:
        """Its non-volatile state."""
        return self.core.nvm.records

    @property
    def program(self) -> Program:
        """What it runs now."""
        return self.core.program

    @property
    @abstractmethod
    def access(self) -> AccessDefinition:
        """How it is talked to."""

    @property
    @abstractmethod
    def chatters(self) -> bool:
        """Whether its application sends messages that nobody asked for."""

    def power_on(self) -> None:
        """Supply on: it answers after its boot time."""
        if self.core.program is not Program.OFF:
            return
        self._join()
        self._boot(TransferEnd.POWER)

    def power_off(self) -> None:
        """Supply off, at once: what was being erased or programmed stays as far as it got."""
        if self.core.program is Program.OFF:
            return
        self._halt()
        self.core.program = Program.OFF
        self._leave()

    def reset(self) -> None:
        """Restart the controller; it keeps its place on the wire, or takes it again if it had lost it."""
        if self.core.program is Program.OFF:
            return
        self._halt()
        self._boot(TransferEnd.RESET)
        self._rejoin()

    def close(self) -> None:
        """End the simulation of this ECU; files keep what it holds."""
        self.power_off()
        self.memory.close()

    @abstractmethod
    def bus_off(self) -> None:
        """Its end of the wire gives up for a while; the program runs on."""

    @abstractmethod
    def _join(self) -> None:
        """Take a place on the wire."""

    @abstractmethod
    def _leave(self) -> None:
        """Give it up."""

    @abstractmethod
    def _rejoin(self) -> None:
        """Take it again, where it was lost."""

    @abstractmethod
    def _start_up(self, ended: TransferEnd) -> None:
        """Volatile state as after this kind of restart."""

    @abstractmethod
    def _serve(self) -> None:
        """Answer from now on, as far as the program does."""

    @abstractmethod
    def _stop_serving(self) -> None:
        """Forget the request under way, and answer no more."""

    def _boot(self, ended: TransferEnd) -> None:
        self.core.program = Program.BOOTING
        self._strapped = self.core.around.strapped()
        self._start_up(ended)
        self._later(self.definition.twin.boot_ms / 1000, self._booted)

    def _booted(self) -> None:
        self.core.program = self.core.decide_program(self._strapped, self.access)
        self._serve()

    def _halt(self) -> None:
        self.core.interrupt()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._stop_serving()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self._loop.time()]
        self._timers.append(self._loop.call_later(seconds, action))
