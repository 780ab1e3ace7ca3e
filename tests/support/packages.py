"""Packages as bytes, as a file service hands them over."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

from appliance.vault import container
from appliance.vault.keys import DevicePublic, MasterKeys
from appliance.vault.package import GrantLimits, TunedFile, build_package


def packed(
    master: MasterKeys, device: DevicePublic, tuned: TunedFile, limits: GrantLimits, now_s: int
) -> bytes:
    """All of a package."""
    with build_package(Path(tempfile.gettempdir()), master, device, tuned, limits, now_s) as file:
        file.seek(0)
        return file.read()


def contained(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A container with any members."""
    file = io.BytesIO()
    container.pack(file, members)
    return file.getvalue()
