"""Reading before a write costs time, and spares a write where memory holds its bytes already."""

from __future__ import annotations

import pytest

from appliance.flashing.delta_worth import WORTH, pays
from appliance.protocols.access import WireMeter

SIZE = 64 * 1024


@pytest.mark.parametrize(
    ("read", "write", "does"),
    [
        (12_000.0, 12_000.0, True),
        (400.0, 60.0, True),
        (1_000.0, 1_000.0 * WORTH, True),
        (1_000.0, 1_001.0 * WORTH, False),
        (500.0, 9_000.0, False),
        (None, 9_000.0, False),
        (9_000.0, None, False),
    ],
)
def test_bytes_by_rate_decide(read: float | None, write: float | None, does: bool) -> None:
    assert pays(SIZE, WireMeter(read_bytes_per_s=read, write_bytes_per_s=write)) is does
