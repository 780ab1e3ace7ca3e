"""Places in the memory of an ECU that has only one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from appliance.contract.places import FLASH, Range, Start

Content = TypeVar("Content", bytes, bytearray)


def flash(start: int, length: int) -> Range:
    """A range of it."""
    return Range(FLASH, start, length)


def in_flash(contents: Mapping[int, Content]) -> dict[Start, Content]:
    """Contents by address as contents of it."""
    return {(FLASH, start): data for start, data in contents.items()}
