"""Plain checksums over declared ranges, stored at a declared address: simulated and simple ECUs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce

from appliance.checksums.checks import Layout, LayoutModule, Store, StoredCheck
from appliance.checksums.crc import crc16_ccitt, crc32
from appliance.checksums.params import Params
from appliance.checksums.words import Bytes, Order, Span, sum_words

_WIDTH_BYTES = {"crc32-at": 4, "sum32-at": 4, "crc16-at": 2}


@dataclass(frozen=True)
class DeclaredChecksum(LayoutModule):
    """CRC-32 IEEE, CRC-16/CCITT-FALSE or the 32-bit sum of 32-bit words of all ranges in turn."""

    name: str
    ranges: tuple[Span, ...]
    store: Store

    @classmethod
    def from_params(cls, name: str, params: Params) -> DeclaredChecksum:
        """Read `base` (0), `ranges` ([start, end) address pairs), `store_at` (address) and `order`."""
        base, order = params.number("base", 0), params.order()
        ranges = tuple(Span(span.start - base, span.end - base) for span in params.ranges("ranges"))
        store = Store(params.number("store_at") - base, _WIDTH_BYTES[name], order)
        _refuse_nonsense(name, ranges, store)
        params.inside("ranges", *ranges)
        params.inside("store_at", store.span)
        return cls(name, ranges, store)

    @property
    def family(self) -> str:
        """Name the definitions know the family by."""
        return self.name

    def layout(self, image: bytes) -> Layout:
        """Check the one stored value, when the image reaches that far."""
        if max(self.store.span.end, *(span.end for span in self.ranges)) > len(image):
            return Layout(detail="the image is shorter than the declared ranges")
        hull = Span(min(span.start for span in self.ranges), max(span.end for span in self.ranges))
        return Layout(
            (StoredCheck(self.name, hull, self.store, partial(self._value, order=self.store.order)),)
        )

    def _value(self, image: Bytes, order: Order) -> int:
        if self.name == "sum32-at":
            return sum(sum_words(image, span, 4, order) for span in self.ranges)
        view = memoryview(image)
        parts = (view[span.start : span.end] for span in self.ranges)
        if self.name == "crc32-at":
            return reduce(lambda so_far, part: crc32(part, so_far), parts, 0)
        return reduce(lambda so_far, part: crc16_ccitt(part, so_far), parts, 0xFFFF)


def _refuse_nonsense(name: str, ranges: tuple[Span, ...], store: Store) -> None:
    where = f"checksum module {name!r}"
    if not ranges:
        raise ValueError(f"{where} needs parameter 'ranges'")
    if min(store.offset, *(span.start for span in ranges)) < 0:
        raise ValueError(f"{where}: 'ranges' and 'store_at' must not lie below 'base'")
    if any(span.overlaps(store.span.start, store.span.end) for span in ranges):
        raise ValueError(f"{where}: 'store_at' must lie outside 'ranges'")
    if name == "sum32-at" and any(span.size % 4 for span in ranges):
        raise ValueError(f"{where}: every one of 'ranges' must hold whole 32-bit words")
