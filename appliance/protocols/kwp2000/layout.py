"""Whether memory lies as the definition says, asked before it is read or written (sources: vw-me7)."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.contract.errors import PitboxError
from appliance.contract.places import Range
from appliance.definitions.access.kwp2000 import KwpLayout
from appliance.definitions.memory import Memory
from appliance.protocols.access import EcuRefusedError, Refusal
from appliance.protocols.kwp2000.memory import KwpMemory

END_BYTES = 2
"""Asked for at an end and beyond it."""
_COMPARED_BYTES = 128
_NOT_THERE = frozenset((Refusal.UNSUPPORTED, Refusal.CONDITIONS, Refusal.SEQUENCE, Refusal.PROGRAMMING))
"""Any other refusal says nothing of the address."""


async def require_layout(memory: KwpMemory, layout: KwpLayout, memories: Sequence[Memory]) -> None:
    """Raises PitboxError LAYOUT_UNLIKE for an ECU with another memory, AccessError."""
    for one in memories:
        start, end = one.regions[0].start, one.regions[-1].place.end
        if layout.ends:
            for at, there in (
                (start, True),
                (end - END_BYTES, True),
                (start - END_BYTES, False),
                (end, False),
            ):
                if await _answers(memory, Range(one.name, at, END_BYTES)) is not there:
                    raise _unlike(f"0x{at:06X} is {'not ' if there else ''}there")
        if layout.mirrored_at is not None:
            first, again = (Range(one.name, at, _COMPARED_BYTES) for at in (start, layout.mirrored_at))
            if await memory.read(first) == await memory.read(again):
                raise _unlike(f"what stands at 0x{start:06X} stands at 0x{again.start:06X} again")


async def _answers(memory: KwpMemory, place: Range) -> bool:
    try:
        await memory.read(place)
    except EcuRefusedError as error:
        if error.refusal not in _NOT_THERE:
            raise
        return False
    return True


def _unlike(what: str) -> PitboxError:
    return PitboxError(
        "LAYOUT_UNLIKE",
        f"the memory of this ECU is not that of the definition: {what}",
        do_now="Nothing was erased. This ECU has another flash part than its definition is made for: "
        "leave it, and look for a definition of its own.",
    )
