"""Byte templates of steps: hex, and fields in braces that are filled in when the step is done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

BLOCK_FIELDS = frozenset({"block_id", "start", "size", "last"})
"""Of the block that the heart names: its id, first address, length, and last address."""
LOADER_FIELDS = frozenset({"address", "size", "entry"})
_PART = re.compile(r"\s*(?:(?P<hex>[0-9A-Fa-f]{2})|\{(?P<name>[a-z_]+)(?::(?P<width>[1-8]))?\})")
_WIDTHS = {"block_id": 1}
_DEFAULT_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Template:
    """Parts in order: bytes as they are, or (field, width in bytes), big-endian."""

    parts: tuple[bytes | tuple[str, int], ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """From its text. Raises ValueError for what is no template."""
        parts: list[bytes | tuple[str, int]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _PART.match(text, at)
            if found is None:
                raise ValueError(f"{text[at : at + 12]!r} is neither a byte in hex nor a {{field:bytes}}")
            at = found.end()
            if found["hex"]:
                parts.append(bytes.fromhex(found["hex"]))
            else:
                name = found["name"]
                parts.append((name, int(found["width"] or _WIDTHS.get(name, _DEFAULT_WIDTH))))
        return cls(tuple(parts))

    @property
    def head(self) -> bytes:
        """The bytes before the first field."""
        known = b""
        for part in self.parts:
            if not isinstance(part, bytes):
                break
            known += part
        return known

    @property
    def fields(self) -> frozenset[str]:
        """Names of all fields."""
        return frozenset(part[0] for part in self.parts if isinstance(part, tuple))

    def filled(self, values: Mapping[str, int]) -> bytes:
        """The bytes. Raises KeyError for a field without value, OverflowError for one that does not fit."""
        return b"".join(
            part if isinstance(part, bytes) else values[part[0]].to_bytes(part[1]) for part in self.parts
        )


def _checked(text: str) -> str:
    Template.of(text)
    return text


TemplateText = Annotated[str, Field(min_length=2, max_length=200), AfterValidator(_checked)]


def fields_unknown(text: str, known: frozenset[str]) -> Iterator[str]:
    """Why a template cannot be filled where `known` fields exist."""
    for name in sorted(Template.of(text).fields - known):
        told = ", ".join(sorted(known)) or "none"
        yield f"there is no field {{{name}}} here; known: {told}"
