"""What a checksum module says about an image, and the interface every family implements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Verdict(StrEnum):
    """Three verdicts, because "unknown" is not a pass."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ChecksumBlock:
    """One checksum of an image; `start`, `end` (exclusive) and `store_at` are offsets into the image.

    A checksum over several ranges spans from the first to the last of them. `store_at` is where a
    correction would write; None where nothing can be corrected.
    """

    name: str
    start: int
    end: int
    stored: int | None
    computed: int | None
    verdict: Verdict
    store_at: int | None

    @classmethod
    def unknown(cls, name: str, start: int, end: int) -> ChecksumBlock:
        """Return a block that exists but cannot be checked from this image.

        `start` to `end` is all that it may cover: whoever does not know names the whole image.
        """
        return cls(name, start, end, None, None, Verdict.UNKNOWN, None)

    @classmethod
    def broken(cls, name: str, start: int = 0, end: int = 0) -> ChecksumBlock:
        """Return a failing block whose own description in the image is damaged."""
        return cls(name, start, end, None, None, Verdict.FAIL, None)


@dataclass(frozen=True)
class ChecksumReport:
    """Verdict over a whole image; `signed` means an OEM signature covers it as well.

    Data changed under a signature will not be accepted over OBD, however good its checksums are.
    """

    family: str
    verdict: Verdict
    blocks: tuple[ChecksumBlock, ...]
    signed: bool = False
    detail: str = ""


def overall(blocks: Iterable[ChecksumBlock]) -> Verdict:
    """Return FAIL if any block fails, UNKNOWN if none could be checked, else OK."""
    verdicts = {block.verdict for block in blocks}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.OK if Verdict.OK in verdicts else Verdict.UNKNOWN


class ChecksumModule(Protocol):
    """A checksum family with its parameters; never raises on the bytes it verifies."""

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        ...

    def verify(self, image: bytes) -> ChecksumReport:
        """Check every checksum of the image; any bytes give a report."""
        ...

    def correct(self, image: bytes) -> bytes:
        """Return the image with its checksums made good; raises ChecksumUnsupported."""
        ...


@runtime_checkable
class SettledByStock(Protocol):
    """A module whose sources disagree: the stock image says which reading holds."""

    def settled_by(self, stock: bytes) -> ChecksumModule:
        """Return the one reading that fits the stock image best."""
        ...
