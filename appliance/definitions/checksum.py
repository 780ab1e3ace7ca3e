"""The file's own checksum as a definition names it, and what its parameters may cost."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pydantic import Field

from appliance.definitions.fields import Parameter, Strict
from appliance.definitions.memory import Region

MOST_PARAMETERS = 32
MOST_IN_A_LIST = 64
MOST_PASSES = 8
"""Listed ranges may cover a region so often, all together: honest ones do it two or three times."""
MODULES = frozenset(
    {
        "crc16-at", "crc32-at", "edc15-v4.1", "gm-e38", "me7", "med17", "nissan-alt2", "nissan-std",
        "siemens-ms43", "simos", "subaru-denso", "subaru-hitachi-m32r", "sum32-at", "vw-dq250", "vw-dq381",
        "vw-haldex5",
    }
)  # fmt: skip
"""What the checksum room knows; a test compares them."""
_DECLARED = ("crc16-at", "crc32-at", "sum32-at")


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
        if self.module not in MODULES:
            near = difflib.get_close_matches(self.module, MODULES, n=1)
            guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(MODULES))}"
            yield f"no checksum module is called {self.module!r}; {guess}"
        for name, value in self.parameters.items():
            if isinstance(value, list):
                yield from self._list_misfits(name, value, region)
        store_at = self.parameters.get("store_at")
        if self.module in _DECLARED and isinstance(store_at, int):
            yield from self._outside("store_at", store_at, store_at + 2, region)

    def _list_misfits(self, name: str, value: list[int] | list[list[int]], region: Region) -> Iterator[str]:
        if len(value) > MOST_IN_A_LIST:
            yield f"parameters.{name} has {len(value)} entries; {MOST_IN_A_LIST} are possible"
            return
        pairs = [(one[0], one[1]) for one in value if isinstance(one, list) and len(one) == 2]
        if any(isinstance(one, list) and len(one) != 2 for one in value):
            yield f"parameters.{name} holds a list that is no [start, end] pair"
        covered = sum(max(0, end - start) for start, end in pairs)
        if covered > MOST_PASSES * region.size_bytes:
            yield (
                f"parameters.{name} covers 0x{covered:X} bytes, more than {MOST_PASSES} times the region "
                f"{region.name!r} of 0x{region.size_bytes:X}"
            )
        elif self.module in _DECLARED:
            for start, end in pairs:
                yield from self._outside(name, start, end, region)

    def _outside(self, name: str, start: int, end: int, region: Region) -> Iterator[str]:
        base = self.parameters.get("base", 0)
        if isinstance(base, int) and not (base <= start and end <= base + region.size_bytes):
            yield f"parameters.{name}: 0x{start:X} to 0x{end:X} is not inside region {region.name!r}"
