"""Whether memory lies as the definition says, asked before it is read or written (sources: vw-me7)."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase
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
                    raise _unlike(phrase("layout.not_there" if there else "layout.there", address=at))
        if layout.mirrored_at is not None:
            first, again = (Range(one.name, at, _COMPARED_BYTES) for at in (start, layout.mirrored_at))
            if await memory.read(first) == await memory.read(again):
                raise _unlike(phrase("layout.mirrored", address=start, again=again.start))


async def _answers(memory: KwpMemory, place: Range) -> bool:
    try:
        await memory.read(place)
    except EcuRefusedError as error:
        if error.refusal not in _NOT_THERE:
            raise
        return False
    return True


def _unlike(why: Phrase) -> EngineError:
    return EngineError("LAYOUT_UNLIKE", why=why)
