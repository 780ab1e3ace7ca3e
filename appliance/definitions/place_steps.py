"""The steps that give something back: who the ECU is, and what its memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from appliance.definitions.fields import HexBytes
from appliance.definitions.step_kinds import Step
from appliance.definitions.template import Template, TemplateText, fields_unknown

READ_FIELDS = frozenset({"start", "size", "last"})
"""Of the piece of memory that is read: its first address, length, and last address."""
IdentityField = Literal["hw", "sw", "boot", "serial", "vin", "bootloader_hw"]


class Tell(Step):
    """One field of the identity: what is asked, and which bytes of the answer's record tell it."""

    verb: Literal["tell"]
    """Which step it is."""
    tells: IdentityField
    """Which field of the identity."""
    send: HexBytes = Field(min_length=4, max_length=6)
    """By identifier (22), or the block of an older ECU (1A)."""
    at: int = Field(default=0, ge=0, lt=4096)
    """First byte of the field in the record behind the echo."""
    length: int | None = Field(default=None, ge=1, le=256)
    """Bytes of the field; all to the end of the record where it is left out."""

    def in_words(self) -> str:
        """In words."""
        part = "" if self.length is None else f", {self.length} bytes from byte {self.at}"
        return f"{self.tells}: send {self.send}{part}"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Only what changes nothing may be asked of an ECU that nobody knows yet."""
        del known
        if (int(self.send[:2], 16), len(self.send)) not in {(0x22, 6), (0x1A, 4)}:
            yield "send is 22 with an identifier of two bytes, or 1A with one of one byte"


class Fetch(Step):
    """A piece of memory by one request, whose record is the bytes."""

    verb: Literal["fetch"]
    """Which step it is."""
    send: TemplateText
    """Request that names the piece by {start} and {size}, or {start} and {last}."""
    skip_bytes: int = Field(default=0, ge=0, le=16)
    """Bytes of the record before those of the memory."""

    def in_words(self) -> str:
        """In words."""
        skipped = f", behind {self.skip_bytes} bytes" if self.skip_bytes else ""
        return f"send {self.send}; the answer is the memory{skipped}"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """The piece must be named, and nothing but read."""
        yield from fields_unknown(self.send, known)
        fields = Template.of(self.send).fields
        if "start" not in fields or not fields & {"size", "last"}:
            yield "names no piece: {start}, and {size} or {last}, must be in it"
        if Template.of(self.send).head[:1] != b"\x23":
            yield "send is a request to read memory (23)"


class Upload(Step):
    """A span of memory by 35, 36 as often as it takes, and 37."""

    verb: Literal["upload"]
    """Which step it is."""
    open: TemplateText
    """Request that announces the span by {start} and {size}, or {start} and {last}."""

    def in_words(self) -> str:
        """In words."""
        return f"upload by {self.open}"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """The span must be named."""
        yield from fields_unknown(self.open, known)
        fields = Template.of(self.open).fields
        if "start" not in fields or not fields & {"size", "last"}:
            yield "names no span: {start}, and {size} or {last}, must be in it"
        if Template.of(self.open).head[:1] != b"\x35":
            yield "open is a request for an upload (35)"


def longest_piece(step: Fetch | Upload) -> int:
    """Bytes that its {size} can tell."""
    text = step.send if isinstance(step, Fetch) else step.open
    widths = [part[1] for part in Template.of(text).parts if isinstance(part, tuple) and part[0] == "size"]
    return min((1 << 8 * width) - 1 for width in widths) if widths else _UNTOLD[type(step)]


_UNTOLD: dict[type[Step], int] = {Fetch: 0xFFFF, Upload: 0xFFFF_FFFF}
"""The most that is asked for at once where {last} tells the end."""
