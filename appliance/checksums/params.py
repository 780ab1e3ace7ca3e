"""Typed reading of the parameters a definition gives a checksum module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.checksums.words import Order, Span


class Params:
    """Parameters of one module; every wrong, missing or unknown one is a ValueError that names it."""

    def __init__(self, family: str, given: Mapping[str, object]) -> None:
        self._family = family
        self._left = dict(given)

    def number(self, name: str, default: int | None = None) -> int:
        """Return an address, offset or count (0 or more); required when there is no default."""
        value = self._left.pop(name, default)
        if value is None:
            raise ValueError(f"checksum module {self._family!r} needs parameter {name!r}")
        return self._whole(name, value)

    def optional_number(self, name: str) -> int | None:
        """Return an address, offset or count (0 or more); None when not given."""
        return self._whole(name, self._left.pop(name)) if name in self._left else None

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
