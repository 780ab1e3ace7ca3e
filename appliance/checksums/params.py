"""Typed reading of the parameters a definition gives a checksum module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.checksums.words import Order, Span


class Params:
    """Parameters of one module; every wrong, missing or unknown one is a ValueError that names it.

    Where the length of the image is told, so is one that points out of it.
    """

    def __init__(self, family: str, given: Mapping[str, object], image_bytes: int | None = None) -> None:
        self._family = family
        self._left = dict(given)
        self._image_bytes = image_bytes

    def number(self, name: str, default: int | None = None) -> int:
        """Return an address, offset or count (0 or more); required when there is no default."""
        value = self._left.pop(name, default)
        if value is None:
            raise ValueError(f"checksum module {self._family!r} needs parameter {name!r}")
        return self._whole(name, value)

    def offset(self, name: str, default: int | None = None, *, of_bytes: int = 4) -> int:
        """Return an offset of so many bytes into the image; required when there is no default."""
        at = self.number(name, default)
        self.inside(name, Span(at, at + of_bytes))
        return at

    def optional_offset(self, name: str, *, of_bytes: int) -> int | None:
        """Return an offset of so many bytes into the image; None when not given."""
        return self.offset(name, of_bytes=of_bytes) if name in self._left else None

    def inside(self, name: str, *spans: Span) -> None:
        """Refuse spans of a parameter that do not lie in the image, as offsets."""
        if self._image_bytes is None:
            return
        for span in spans:
            if not span.inside(self._image_bytes):
                raise ValueError(
                    f"checksum module {self._family!r}: parameter {name!r} points to {span.start:#x} to "
                    f"{span.end:#x}, outside the 0x{self._image_bytes:X} bytes of the region"
                )

    def image_of(self, *possible_bytes: int) -> None:
        """Refuse an image whose length is none of these."""
        if self._image_bytes not in (None, *possible_bytes):
            told = " or ".join(f"0x{size:X}" for size in sorted(possible_bytes))
            raise ValueError(
                f"checksum module {self._family!r} is over {told} bytes, and the region has "
                f"0x{self._image_bytes:X}"
            )

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return a list of addresses, empty when not given."""
        return tuple(self._whole(name, item) for item in self._sequence(name, self._left.pop(name, ())))

    def flag(self, name: str, default: bool) -> bool:
        """Return a true/false parameter."""
        value = self._left.pop(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def choice(self, name: str, options: Sequence[str], default: str) -> str:
        """Return one of the options."""
        value = self._left.pop(name, default)
        if not isinstance(value, str) or value not in options:
            raise self._wrong(name, f"one of {', '.join(options)}", value)
        return value

    def order(self) -> Order:
        """Return parameter `order`, the byte order: "little" (default) or "big"."""
        return "big" if self.choice("order", ("little", "big"), "little") == "big" else "little"

    def ranges(self, name: str) -> tuple[Span, ...]:
        """Return a list of [start, end) address pairs, empty when not given."""
        pairs = [self._sequence(name, item) for item in self._sequence(name, self._left.pop(name, ()))]
        spans = []
        for pair in pairs:
            if len(pair) != 2:
                raise self._wrong(name, "a list of [start, end] pairs", pairs)
            spans.append(Span(self._whole(name, pair[0]), self._whole(name, pair[1])))
            if spans[-1].size <= 0:
                raise self._wrong(name, "pairs whose end lies after their start", pair)
        return tuple(spans)

    def done(self) -> None:
        """Refuse the parameters nobody asked for."""
        if self._left:
            unknown = ", ".join(repr(name) for name in sorted(self._left))
            raise ValueError(f"checksum module {self._family!r} knows no parameter {unknown}")

    def _whole(self, name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name, "a whole number, 0 or more", value)
        return value

    def _sequence(self, name: str, value: object) -> Sequence[object]:
        if not isinstance(value, list | tuple):
            raise self._wrong(name, "a list", value)
        return value

    def _wrong(self, name: str, wanted: str, value: object) -> ValueError:
        return ValueError(
            f"checksum module {self._family!r}: parameter {name!r} must be {wanted}, not {value!r}"
        )
