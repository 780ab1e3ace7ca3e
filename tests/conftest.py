"""For every test: examples take as long as the machine likes, and files lie in memory where there is room."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("pitbox", deadline=None)
settings.load_profile("pitbox")

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30
"""Many times what the tests hold at once. The real-kernel guest has less: its tests are on a disk."""


def pytest_configure(config: pytest.Config) -> None:
    """Journals commit some hundred thousand times: no disk is waited for, here or in the engines started."""
    if "TMPDIR" in os.environ or config.option.markexpr == "vm" or not _MEMORY.is_dir():
        return
    if shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None
