"""Blocks that hang together: what an erase takes with it, and what the ECU wants whole before another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TypeVar

from appliance.contract.places import Range
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.access.block_order import waits_for
from appliance.definitions.schema import Definition
from appliance.flashing.image import blocks_of
from appliance.protocols.access import Block

Kind = frozenset[str]
"""The regions of some blocks."""
Name = TypeVar("Name")
Unit = tuple[Block, ...]
"""Blocks that are all erased before the first of them is programmed, in the order of their programming."""


class EraseGroups:
    """What a definition says of its regions, told of the blocks that an access may write."""

    def __init__(self, definition: Definition, access: AccessDefinition) -> None:
        regions = access.regions(definition.memories)
        self._blocks: dict[str, list[Block]] = {region.name: [] for region in regions}
        for block in blocks_of(definition, access, writable_only=True):
            self._blocks[block.region].append(block)
        self._taken = {region.name: region.erases_with for region in regions}
        self._needs = dict(waits_for(access.recovery, definition.regions))
        self._ranks: dict[str, int] = {}
        self._step = -1 if access.recovery.block_order == "descending" else 1
        last = access.recovery.last[-1] if access.recovery.rewrite_last else None
        self.finisher = max(self._blocks[last], key=self._at) if last else None
        """The block that ends every write that erased anything."""

    def finished(self, blocks: Iterable[Block]) -> set[Block]:
        """These, and what has to be written behind them again."""
        found = set(blocks)
        return found | {self.finisher} if found and self.finisher else found

    def awaited(self, blocks: Iterable[Block]) -> Set[str]:
        """Regions that have to be whole before the ECU takes all of these blocks."""
        own = _regions(blocks)
        return _closure([name for region in own for name in self._needs[region]], self._needs) - own

    def widened(self, blocks: Iterable[Block]) -> tuple[Block, ...]:
        """These, and every block that erasing them, or those with them, erases too; ascending."""
        found = set(blocks)
        first = [name for region in _regions(found) for name in self._taken[region]]
        found.update(block for name in _closure(first, self._taken) for block in self._blocks[name])
        return tuple(sorted(found, key=_place))

    def units(self, blocks: Iterable[Block]) -> list[Unit]:
        """The blocks, widened, in the order of writing: a region behind those that it waits for."""
        parts = _merged(map(self._together, self.widened(blocks)))
        kinds = {_regions(part) for part in parts}
        waits = {kind: [one for one in kinds if one != kind and self._before(one, kind)] for kind in kinds}
        behind = {kind: _closure([kind], waits) for kind in kinds}
        units: dict[tuple[int, Block], Unit] = {}
        for part in _merged([*parts, *_circles(parts, behind)]):
            weight = max(len(behind[kind]) for kind in kinds if kind <= _regions(part))
            units[weight, min(part, key=self._at)] = tuple(sorted(part, key=self._programming_order))
        return [units[key] for key in sorted(units, key=lambda key: (key[0], self._at(key[1])))]

    def _together(self, block: Block) -> set[Block]:
        """A block with all that its erase takes with it."""
        return {block, *(one for name in self._taken[block.region] for one in self._blocks[name])}

    def _before(self, first: Kind, second: Kind) -> bool:
        """Whether something of the second waits for something of the first."""
        return any(needed in first for region in second for needed in self._needs[region])

    def _programming_order(self, block: Block) -> tuple[int, str, int]:
        return (self._rank(block.region), *self._at(block))

    def _at(self, block: Block) -> tuple[str, int]:
        """Orders the blocks of a memory as the access takes them."""
        return (block.memory, self._step * block.start)

    def _rank(self, region: str) -> int:
        """Length of the longest way of what it waits for; the definition has no circle of it."""
        if region not in self._ranks:
            self._ranks[region] = 1 + max(map(self._rank, self._needs[region]), default=-1)
        return self._ranks[region]


def _place(block: Block) -> Range:
    return block.place


def _regions(blocks: Iterable[Block]) -> Kind:
    return frozenset(block.region for block in blocks)


def _circles(parts: Sequence[set[Block]], behind: Mapping[Kind, Set[Kind]]) -> Iterator[set[Block]]:
    """Parts of which each has to be whole before the other is: they are erased together, too."""
    for kind, others in behind.items():
        circle = {other for other in others if kind in behind[other]}
        if len(circle) > 1:
            yield {block for part in parts if _regions(part) in circle for block in part}


def _closure(names: Iterable[Name], leads_to: Mapping[Name, Sequence[Name]]) -> Set[Name]:
    """The names, and all that they lead to."""
    found: set[Name] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += leads_to.get(name, ())
    return found


def _merged(parts: Iterable[set[Block]]) -> list[set[Block]]:
    """As few sets as possible: those that share a block are one."""
    home: dict[Block, int] = {}
    found: dict[int, set[Block]] = {}
    for number, part in enumerate(parts):
        merged = set(part)
        for other in {home[block] for block in part if block in home}:
            merged |= found.pop(other)
        found[number] = merged
        home.update(dict.fromkeys(merged, number))
    return list(found.values())
