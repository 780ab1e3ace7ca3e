"""One simulated ECU: powered, reset and cut off like the controller it stands for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from appliance.definitions.schema import Definition
from drivers.can.interface import CanBusGoneError, CanPort
from simulator.ecu.core import Core, Program, Surroundings
from simulator.ecu.hooks import RequestHook
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nvm import NonVolatile, Records
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.ecu.server import Server
from simulator.ecu.services.dtc import STORED_STATUS
from simulator.ecu.spaces import on_wire

Attach = Callable[[str], CanPort]
"""Makes the ECU's node on its bus."""


class SimulatedEcu:
    """Starts unpowered. `data_dir`, if given, keeps memory and records over the end of the process."""

    def __init__(
        self,
        definition: Definition,
        attach: Attach,
        build_image: Callable[[], bytes],
        *,
        options: EcuOptions | None = None,
        around: Surroundings | None = None,
        data_dir: Path | None = None,
        seed: int = 0,
    ) -> None:
        definition = on_wire(definition)
        kept = data_dir / definition.id if data_dir else None
        memory = FlashMemory(definition.regions, build_image, kept and kept.with_suffix(".flash"), seed)
        nvm = NonVolatile(_factory_records(definition), kept and kept.with_suffix(".nvm"))
        options = options or EcuOptions()
        self.core = Core(definition, memory, nvm, options, around or Surroundings(), seed)
        self.core.reset = self.reset
        self.request_hook: RequestHook | None = None
        self._attach = attach
        self._port: CanPort | None = None
        self._strapped = False
        self._forget_port: Callable[[], None] = lambda: None
        self._server: Server | None = None
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
        self.core.session.end()
        self._leave()

    def reset(self) -> None:
        """Restart the controller; it keeps its place on the bus, or takes it again after bus-off."""
        if self.core.program is Program.OFF:
            return
        self._halt()
        self._boot(TransferEnd.RESET)
        if self._port is None:
            self._rejoin()

    def bus_off(self) -> None:
        """The CAN controller gives up for a while; the program runs on."""
        if self._port is not None:
            self._port.close()

    def close(self) -> None:
        """End the simulation of this ECU; files keep what it holds."""
        self.power_off()
        self.memory.close()

    def _boot(self, ended: TransferEnd) -> None:
        self.core.program = Program.BOOTING
        self._strapped = self.core.around.strapped()
        self.core.start_up(ended)
        self._later(self.definition.twin.boot_ms / 1000, self._booted)

    def _booted(self) -> None:
        """An application marked valid is started if no strap forbids it (sources: boot-manager)."""
        core = self.core
        if not self.records.application_valid and self.core.access.checking.dependencies_routine is None:
            core.judge_memory()
        if self._strapped:
            core.program = Program.BOOTLOADER
        elif self.records.application_valid:
            core.program = Program.APPLICATION
        elif self.core.access.recovery.recoverability == "bootloader":
            core.program = Program.BOOTLOADER
        else:
            core.program = Program.SILENT
        self._serve()

    def _serve(self) -> None:
        if self._port is not None and self.core.program not in (Program.SILENT, Program.BOOTING):
            self._server = Server(self.core, self._port, lambda: self.request_hook)

    def _halt(self) -> None:
        self.core.interrupt()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._stop_serving()

    def _stop_serving(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.when() > self._loop.time()]
        self._timers.append(self._loop.call_later(seconds, action))

    def _join(self) -> None:
        self._port = self._attach(self.definition.id)
        self._forget_port = self._port.on_gone(self._on_gone)

    def _leave(self) -> None:
        self._forget_port()
        if self._port is not None:
            self._port.close()
            self._port = None

    def _on_gone(self, error: CanBusGoneError) -> None:
        """Bus-off: the request being worked on is lost, and the node comes back by itself.

        A jump into the bootloader that is under way ends as a plain restart: nobody is left to be answered.
        """
        self._port = None
        if self._server is not None and self.core.program is Program.BOOTING:
            self._halt()
            self._boot(TransferEnd.RESET)
        self.core.interrupt()
        self._stop_serving()
        self._later(self.core.options.bus_off_recovery_s, self._rejoin)

    def _rejoin(self) -> None:
        try:
            self._join()
        except CanBusGoneError:  # the interface itself is away: try again until it is back
            self._later(self.core.options.bus_off_recovery_s, self._rejoin)
            return
        if self.core.program is not Program.BOOTING:
            self._serve()


def _factory_records(definition: Definition) -> Records:
    codes = dict.fromkeys(definition.twin.dtcs, STORED_STATUS)
    return Records(dtcs=codes)
