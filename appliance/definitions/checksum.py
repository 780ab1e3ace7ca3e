"""The file's own checksum as a definition names it: judged by its own module, and by what it may cost."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pydantic import Field

from appliance.checksums import FAMILIES, module_for
from appliance.definitions.fields import Parameter, Strict
from appliance.definitions.memory import Region

MOST_PARAMETERS = 32
MOST_IN_A_LIST = 64
MOST_PASSES = 8
"""Listed ranges may cover a region so often, all together: honest ones do it two or three times."""


class Checksum(Strict):
    """One of the file's own checksums: a module of the checksum room, and the region it is over."""

    module: str
    """Name of the module that knows it."""
    region: str
    """Region that it is over."""
    memory: str | None = None
    """The memory that the region is of; need not be told."""
    parameters: dict[str, Parameter] = Field(default_factory=dict, max_length=MOST_PARAMETERS)
    """What the module wants to know; addresses are those of the ECU."""

    def misfits(self, region: Region) -> Iterator[str]:
        """Why these parameters are not of that region, or cost more than a few looks at it."""
        if self.module not in FAMILIES:
            near = difflib.get_close_matches(self.module, FAMILIES, n=1)
            guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(FAMILIES)}"
            yield f"no checksum module is called {self.module!r}; {guess}"
            return
        too_much = [
            reason
            for name, value in self.parameters.items()
            if isinstance(value, list)
            for reason in _too_much(name, value, region)
        ]
        yield from too_much
        if not too_much:
            yield from self._refused(region)

    def _refused(self, region: Region) -> Iterator[str]:
        """What the module itself says of its parameters, over a region of this length."""
        try:
            module_for(self.module, self.parameters, region.size_bytes)
        except ValueError as error:
            yield str(error)


def _too_much(name: str, value: list[int] | list[list[int]], region: Region) -> Iterator[str]:
    if len(value) > MOST_IN_A_LIST:
        yield f"parameters.{name} has {len(value)} entries; {MOST_IN_A_LIST} are possible"
        return
    if any(isinstance(one, list) and len(one) != 2 for one in value):
        yield f"parameters.{name} holds a list that is no [start, end] pair"
    covered = sum(max(0, one[1] - one[0]) for one in value if isinstance(one, list) and len(one) == 2)
    if covered > MOST_PASSES * region.size_bytes:
        yield (
            f"parameters.{name} covers 0x{covered:X} bytes, more than {MOST_PASSES} times the region "
            f"{region.name!r} of 0x{region.size_bytes:X}"
        )
