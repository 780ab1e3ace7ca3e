"""One seed gives one run: each frame at the same moment, whatever ids, keys and hashes are drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import zip_longest


def _frames(hash_seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.frame_log"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_two_runs_put_the_same_frames_on_the_wire_at_the_same_moments() -> None:
    one, other = _frames("1"), _frames("2")
    assert len(one) > 10_000
    first = next((pair for pair in enumerate(zip_longest(one, other)) if len(set(pair[1])) > 1), None)
    assert first is None
