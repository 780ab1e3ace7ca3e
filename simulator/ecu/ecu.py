"""One simulated ECU over UDS, on a CAN bus."""

from __future__ import annotations

from collections.abc import Callable

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.schema import Definition
from drivers.can.interface import CanBusGoneError, CanPort
from simulator.bus import SimPort
from simulator.controller import Build, Controller
from simulator.ecu.chip import Program
from simulator.ecu.core import Core
from simulator.ecu.nvm import Records
from simulator.ecu.options import TransferEnd
from simulator.ecu.server import Server
from simulator.ecu.services.dtc import STORED_STATUS
from simulator.ecu.spaces import on_wire

Attach = Callable[[str], CanPort]
"""Makes the ECU's node on its bus."""


class SimulatedEcu(Controller):
    """Reset over the bus too; a bus-off ends by itself."""

    def __init__(self, definition: Definition, attach: Attach, build: Build) -> None:
        super().__init__()
        definition = on_wire(definition)
        memory, nvm = build.stored(definition, _factory_records(definition))
        self.core: Core = Core(definition, memory, nvm, build.options, build.around, build.seed)
        self.core.reset = self.reset
        self.core.set_rate = self._set_rate
        self._attach = attach
        self._port: CanPort | None = None
        self._forget_port: Callable[[], None] = lambda: None
        self._server: Server | None = None

    @property
    def access(self) -> UdsAccessDefinition:
        """The first access over UDS."""
        return self.core.access

    @property
    def chatters(self) -> bool:
        """Messages stop with the application, or when 0x28 switches them off."""
        return self.program is Program.APPLICATION and self.core.session.communication_on

    def bus_off(self) -> None:
        """The CAN controller gives up for a while; the program runs on."""
        if self._port is not None:
            self._port.close()

    def _start_up(self, ended: TransferEnd) -> None:
        self.core.start_up(ended)

    def _booted(self) -> None:
        core = self.core
        if not self.records.application_valid and core.access.checking.dependencies_routine is None:
            core.judge_memory()
        super()._booted()

    def _serve(self) -> None:
        if self._port is not None and self.core.program not in (Program.SILENT, Program.BOOTING):
            self._server = Server(self.core, self._port, lambda: self.request_hook)

    def _stop_serving(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _join(self) -> None:
        self._port = self._attach(self.definition.id)
        self._forget_port = self._port.on_gone(self._on_gone)

    def _leave(self) -> None:
        self.core.session.end()
        self._forget_port()
        if self._port is not None:
            self._port.close()
            self._port = None

    def _set_rate(self, bitrate_bps: int | None) -> None:
        if isinstance(self._port, SimPort):
            self._port.set_rate(bitrate_bps or self.access.bus.bitrate_bps)

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
        if self._port is not None:
            return
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
