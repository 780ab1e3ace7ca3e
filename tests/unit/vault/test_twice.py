from __future__ import annotations

from pathlib import Path

from appliance.vault.twice import TwiceKept


def test_many_large_writes_are_read_as_they_were_kept(tmp_path: Path) -> None:
    """A dozen ECUs of thousands of sectors that wait for the bench."""
    kept = TwiceKept(tmp_path, "writes", len)
    kept.write(bytes(12 << 20))
    assert kept.read().copies == (12 << 20, 12 << 20)
    assert not kept.read().problems
