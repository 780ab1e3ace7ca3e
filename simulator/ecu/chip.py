"""What every simulated controller is made of: memory, records, supply, work that can be cut off anywhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from appliance.definitions.access.base import AccessDefinition, Recovery
from appliance.definitions.access.block_order import waits_for
from appliance.definitions.schema import Definition
from simulator.ecu import spans
from simulator.ecu.memory import FlashMemory
from simulator.ecu.nrc import RefusedError
from simulator.ecu.nvm import NonVolatile
from simulator.ecu.operation import Operation, Part
from simulator.ecu.options import EcuOptions
from simulator.ecu.validity import memory_is_good
from simulator.ecu.watch import ByteWatch, Counter


class Program(StrEnum):
    """Which program the controller runs."""

    OFF = "off"
    BOOTING = "booting"
    APPLICATION = "application"
    BOOTLOADER = "bootloader"
    SILENT = "silent"
    """No valid application, and a bootloader that does not talk over this bus."""


@dataclass(slots=True)
class Surroundings:
    """What the car tells the ECU."""

    voltage_v: Callable[[], float] = lambda: 13.5
    engine_running: Callable[[], bool] = lambda: False
    on_load: Callable[[int], None] = lambda change: None
    """Called with +1 and -1 around an operation that draws current."""
    strapped: Callable[[], bool] = lambda: False
    """Whether its boot straps keep it in the boot loader; asked when it starts."""


class Chip:
    """State that every protocol finds in a controller; it outlives a restart, but for the work under way."""

    def __init__(
        self,
        definition: Definition,
        memory: FlashMemory,
        nvm: NonVolatile,
        options: EcuOptions,
        around: Surroundings,
        seed: int,
    ) -> None:
        self.definition = definition
        self.memory = memory
        self.nvm = nvm
        self.options = options
        self.around = around
        self.watch = ByteWatch()
        self.random = random.Random(f"{seed}/{definition.id}")
        self.program = Program.OFF
        self.flips: dict[int, int] = {}
        """Address to XOR mask of bytes that are read wrong once."""
        self._loop = asyncio.get_running_loop()
        self._fresh: spans.Spans = []
        self._operation: Operation | None = None
        self._broken_off: int | None = None

    @property
    def now_s(self) -> float:
        """The loop's time."""
        return self._loop.time()

    @property
    def in_bootloader(self) -> bool:
        """True while the bootloader answers."""
        return self.program is Program.BOOTLOADER

    def decide_program(self, strapped: bool, access: AccessDefinition) -> Program:
        """What a start leads to: a valid application, if no strap forbids it (sources: boot-manager)."""
        only_incomplete = self.definition.twin.strap_keeps == "boot_loader_of_incomplete"
        if strapped and not (only_incomplete and self.nvm.records.application_valid):
            return Program.BOOTLOADER
        if self.nvm.records.application_valid:
            return Program.APPLICATION
        comes_back = access.recovery.recoverability == "bootloader"
        return Program.BOOTLOADER if comes_back else Program.SILENT

    def interrupt(self) -> None:
        """Cut a running erase or programming operation off where it stands."""
        if self._operation is not None:
            self._operation.interrupt()
            self._operation = None
            self.around.on_load(-1)

    async def operate(self, counter: Counter, start: int, length: int, seconds: float, part: Part) -> None:
        """Run an operation on the memory, drawing current meanwhile. Raises RefusedError if it breaks off."""
        operation = self._operation = Operation(self.watch, counter, start, length, seconds, part)
        self._broken_off = None
        self.around.on_load(+1)
        try:
            await operation.run()
            if self._broken_off is not None:
                raise RefusedError(self._broken_off)
        finally:
            if self._operation is operation:
                self._operation = None
                self.around.on_load(-1)

    def break_off(self, nrc: int) -> None:
        """End the operation under way where it is: its request is answered with `nrc`."""
        if self._operation is not None:
            self._broken_off = nrc
            self._operation.interrupt()

    def readable(self, start: int, size: int) -> bool:
        """True if the whole span is memory that may be read."""
        return self.memory.contains(start, size) and all(
            region.readable for region in self.memory.regions_in(start, size)
        )

    def writable(self, start: int, size: int) -> bool:
        """True if the whole span is flash that may be erased and programmed."""
        return self.memory.contains(start, size) and all(
            region.writable for region in self.memory.regions_in(start, size)
        )

    def read_flash(self, start: int, size: int) -> bytes:
        """Content as the ECU reports it: a byte that a fault flips is wrong this once."""
        data = self.memory.read(start, size)
        if self.watch.advance(Counter.READ, start, size) and self.flips:
            wrong = bytearray(data)
            for address, mask in self.flips.items():
                wrong[address - start] ^= mask
            self.flips.clear()
            return bytes(wrong)
        return data

    def begin_erase(self, start: int, size: int) -> None:
        """Note before the first cell changes that the application is no longer whole."""
        with self.nvm.update() as records:
            records.programming_attempts += records.application_valid
            records.application_valid = records.ended = False
            records.unfinished = spans.add(records.unfinished, start, start + size)
            records.blank = spans.remove(records.blank, start, start + size)

    @property
    def recovery(self) -> Recovery:
        """Which blocks come behind which: that of its first access."""
        return self.definition.accesses[0].recovery

    @property
    def fresh(self) -> spans.Spans:
        """Erased in the present session, and not begun to be programmed."""
        return self._fresh

    @fresh.setter
    def fresh(self, found: spans.Spans) -> None:
        self._fresh = found

    def taken_with(self, start: int, size: int) -> list[tuple[int, int]]:
        """(start, size) of what an erase there erases besides."""
        names = {name for region in self.memory.regions_in(start, size) for name in region.erases_with}
        return [(one.start, one.size_bytes) for one in self.definition.regions if one.name in names]

    def note_erased(self, start: int, size: int) -> None:
        """The span may be downloaded to."""
        with self.nvm.update() as records:
            records.blank = spans.add(records.blank, start, start + size)
        self.fresh = spans.add(self.fresh, start, start + size)

    def in_turn(self, start: int, size: int) -> bool:
        """Whether all that a download there waits for is whole.

        Inside a region nothing that this session erased may lie before it, as its access takes the blocks.
        """
        waits = waits_for(self.recovery, self.definition.regions)
        names = {name for region in self.memory.regions_in(start, size) for name in waits[region.name]}
        for region in self.definition.regions:
            if region.name in names and spans.overlaps(self.nvm.records.unfinished, region.start, region.end):
                return False
        region = self.memory.region_at(start)
        upwards = self.recovery.block_order == "ascending"
        before = (region.start, start) if upwards else (start + size, region.end)
        return not spans.overlaps(self.fresh, *before)

    def begin_download(self, start: int, size: int) -> None:
        """The span is no longer blank."""
        with self.nvm.update() as records:
            records.blank = spans.remove(records.blank, start, start + size)
        self.fresh = spans.remove(self.fresh, start, start + size)

    def note_programmed(self, start: int, size: int) -> None:
        """The span is completely programmed."""
        with self.nvm.update() as records:
            records.unfinished = spans.remove(records.unfinished, start, start + size)
            records.ended |= self.ends_the_write(start, size)

    def ends_the_write(self, start: int, size: int) -> bool:
        """Whether nothing has to be written behind it."""
        if not self.recovery.rewrite_last:
            return True
        region = self.definition.region(self.recovery.last[-1])
        upwards = self.recovery.block_order == "ascending"
        return start + size == region.end if upwards else start == region.start

    def judge_memory(self) -> bool:
        """Set the validity flag from what the memory holds; True if the application may run."""
        check = self.options.image_check
        verdict = check(self.memory.whole()) if check else None
        good = memory_is_good(self.definition, self.memory, self.nvm.records, verdict)
        with self.nvm.update() as records:
            records.programming_successes += good and not records.application_valid
            records.application_valid = good
        return good
