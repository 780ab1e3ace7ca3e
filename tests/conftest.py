"""For every test: examples take as long as the machine likes, and files of dead boxes are closed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("pitbox", deadline=None)
settings.load_profile("pitbox")

MOST_OPEN_FILES = 300


@pytest.fixture(autouse=True)
def dead_boxes_are_collected() -> Iterator[None]:
    """A box that died in a test is never closed: its files are, before `select` runs out of numbers."""
    yield
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir() and len(list(descriptors.iterdir())) > MOST_OPEN_FILES:
        gc.collect()
