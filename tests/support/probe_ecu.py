"""An ECU on a debug probe: NOR memory, an application that runs only while memory is whole, and a supply."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.contract.places import FLASH, Range, Start
from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage, blocks_of
from appliance.protocols.access import Block, EcuState

ERASED = 0xFF


@dataclass
class ProbeEcu:
    """What is soldered in: it outlives every box that is plugged into it."""

    definition: Definition
    memory: dict[Start, bytearray]
    """Bytes by where they begin."""
    running: bool = True
    """False while the application is stopped: something was erased and not yet accepted."""
    powered: bool = True
    incomplete: set[Start] = field(default_factory=set)
    """Starts of the blocks that are erased or half programmed."""
    ended: bool = True
    """Whether the block that ends every write came behind the last erase."""

    @classmethod
    def holding(cls, definition: Definition, image: MemoryImage) -> ProbeEcu:
        """An ECU that left the factory with this memory."""
        return cls(definition, {at: bytearray(data) for at, data in image.spans.items()})

    def image(self) -> MemoryImage:
        """All of its memory now."""
        return MemoryImage({at: bytes(data) for at, data in self.memory.items()})

    def state(self) -> EcuState:
        """Which program would answer."""
        if not self.powered:
            return EcuState.SILENT
        return EcuState.APPLICATION if self.running else EcuState.BOOTLOADER

    def read(self, place: Range) -> bytes:
        data, at = self._found(place)
        return bytes(data[at : at + place.length])

    def erase(self, block: Block, size: int | None = None) -> None:
        """All of the block, or its first `size` bytes where the supply or the patience ended."""
        data, at = self._found(block.place)
        done = block.size if size is None else size
        data[at : at + done] = bytes([ERASED]) * done
        self.incomplete.add(block.place.at)
        for mate in self._taken_by(block):
            taken, there = self._found(mate.place)
            taken[there : there + mate.size] = bytes([ERASED]) * mate.size
            self.incomplete.add(mate.place.at)
        self.running = self.ended = False

    def takes(self, block: Block) -> bool:
        """Whether all that comes before it is whole: what it depends on, and what the access wants first."""
        recovery = self.definition.best_access.recovery
        before = set(self.definition.region(block.region).depends_on)
        names = {region.name for region in self.definition.regions}
        if block.region in recovery.first:
            before |= set(recovery.first[: recovery.first.index(block.region)])
        elif block.region in recovery.last:
            before |= names.difference(recovery.last[recovery.last.index(block.region) :])
        else:
            before |= set(recovery.first)
        return not any(
            one.place.at in self.incomplete
            and (one.region in before or (one.region == block.region and self._precedes(one, block)))
            for one in self.blocks()
        )

    def _precedes(self, one: Block, other: Block) -> bool:
        upwards = self.definition.best_access.recovery.block_order == "ascending"
        return one.start < other.start if upwards else one.start > other.start

    def _taken_by(self, block: Block) -> list[Block]:
        """What an erase of the block erases too."""
        names = self.definition.region(block.region).erases_with
        return [one for one in self.blocks() if one.region in names and one != block]

    def program(self, place: Range, content: bytes) -> None:
        """Bits can only be cleared: what was not erased before spoils what is programmed."""
        data, at = self._found(place)
        for offset, byte in enumerate(content):
            data[at + offset] &= byte

    def finish(self, block: Block) -> None:
        self.incomplete.discard(block.place.at)
        recovery = self.definition.best_access.recovery
        if not recovery.rewrite_last:
            self.ended = True
        elif block.region == recovery.last[-1]:
            self.ended = not any(
                self._precedes(block, one) for one in self.blocks() if one.region == block.region
            )

    def reset(self) -> bool:
        """The application runs again when every block is whole and the last came last; whether it does."""
        self.running = self.ended and not self.incomplete
        return self.running

    def cut_power(self) -> None:
        """Supply gone and back: RAM is lost, memory is not. Without a boot loader a broken ECU stays dead."""
        if not self.reset() and self.definition.best_access.recovery.recoverability != "bootloader":
            self.powered = False

    def damage(self, address: int, mask: int = 0x01, memory: str = FLASH) -> None:
        data, at = self._found(Range(memory, address, 1))
        data[at] ^= mask

    def blocks(self) -> tuple[Block, ...]:
        return blocks_of(self.definition, self.definition.best_access)

    def _found(self, place: Range) -> tuple[bytearray, int]:
        for (memory, start), data in self.memory.items():
            if Range(memory, start, len(data)).contains(place):
                return data, place.start - start
        raise AssertionError(f"{place} is nowhere in this ECU")
