"""Checksums that are stored values, and the module that verifies and corrects a list of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.checksums.errors import ChecksumUnsupported
from appliance.checksums.report import ChecksumBlock, ChecksumReport, Verdict, overall
from appliance.checksums.words import Bytes, Order, Span, read
from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase

_MOST_ROUNDS = 8


@dataclass(frozen=True)
class Store:
    """Where a checksum lives; `inverted_copy` says its complement follows it."""

    offset: int
    width_bytes: int
    order: Order
    inverted_copy: bool = False

    @property
    def span(self) -> Span:
        """Bytes a correction may touch."""
        return Span(self.offset, self.offset + self.width_bytes * (2 if self.inverted_copy else 1))

    @property
    def mask(self) -> int:
        """All bits the stored value has."""
        return (1 << 8 * self.width_bytes) - 1

    def value(self, image: Bytes) -> int:
        """Return the stored value."""
        return read(image, self.offset, self.width_bytes, self.order)

    def encoded(self, value: int) -> bytes:
        """Return the bytes that store `value`."""
        plain = (value & self.mask).to_bytes(self.width_bytes, self.order)
        return plain + bytes(byte ^ 0xFF for byte in plain) if self.inverted_copy else plain

    def holds(self, image: Bytes, value: int) -> bool:
        """Tell whether `value`, and its complement where one belongs, is what is stored."""
        return image[self.span.start : self.span.end] == self.encoded(value)


class Check(Protocol):
    """One checksum that can be judged and made good."""

    def block(self, image: Bytes) -> ChecksumBlock:
        """Judge the checksum."""
        ...

    def settle(self, image: bytearray) -> None:
        """Make the checksum hold, touching only its declared store."""
        ...


@dataclass(frozen=True)
class StoredCheck:
    """A value computed over the image and stored in it."""

    name: str
    span: Span
    store: Store
    compute: Callable[[Bytes], int]

    def block(self, image: Bytes) -> ChecksumBlock:
        """Judge the checksum."""
        computed = self.compute(image) & self.store.mask
        verdict = Verdict.OK if self.store.holds(image, computed) else Verdict.FAIL
        stored = self.store.value(image)
        return ChecksumBlock(
            self.name, self.span.start, self.span.end, stored, computed, verdict, self.store.offset
        )

    def settle(self, image: bytearray) -> None:
        """Store the computed value."""
        image[self.store.span.start : self.store.span.end] = self.store.encoded(self.compute(image))


@dataclass(frozen=True)
class Layout:
    """What an image says about its checksums: checks in correction order, and what cannot be checked."""

    checks: tuple[Check, ...] = ()
    others: tuple[ChecksumBlock, ...] = ()
    signed: bool = False
    detail: str = ""


class LayoutModule(ABC):
    """A family that is fully told by the layout it reads out of an image."""

    @property
    @abstractmethod
    def family(self) -> str:
        """Name the definitions know the family by."""

    @abstractmethod
    def layout(self, image: bytes) -> Layout:
        """Find the checksums of the image; any bytes give a layout."""

    def verify(self, image: bytes) -> ChecksumReport:
        """Check every checksum of the image; any bytes give a report."""
        layout = self.layout(image)
        blocks = tuple(check.block(image) for check in layout.checks) + layout.others
        return ChecksumReport(self.family, overall(blocks), blocks, layout.signed, layout.detail)

    def correct(self, image: bytes) -> bytes:
        """Return the image with its checksums made good; raises ChecksumUnsupported."""
        layout = self.layout(image)
        if not layout.checks:
            raise ChecksumUnsupported(self.family, _nothing_found(layout))
        corrected = self._settled(layout, image)
        if self.verify(corrected).verdict is not Verdict.OK:
            raise ChecksumUnsupported(self.family, phrase("checksum.still_fails"))
        return corrected

    def _settled(self, layout: Layout, image: bytes) -> bytes:
        """Store every checksum again until none of them moves another."""
        current = bytearray(image)
        for _ in range(_MOST_ROUNDS):
            before = bytes(current)
            for check in layout.checks:
                check.settle(current)
            if current == before:
                return before
            del before  # two images at a time
        raise ChecksumUnsupported(self.family, phrase("checksum.chasing", rounds=_MOST_ROUNDS))


def _nothing_found(layout: Layout) -> Phrase:
    return (
        phrase("malformed", technical_text=layout.detail) if layout.detail else phrase("checksum.none_found")
    )
