"""The state directory belongs to one engine at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.contract.errors import PitboxError


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Make the directory if needed and hold its lock, which the kernel lets go with the process.

    Raises PitboxError STATE_IN_USE or STATE_UNUSABLE.
    """
    descriptor = _open(state_dir)
    try:
        _lock(descriptor, state_dir)
        yield
    finally:
        os.close(descriptor)


def _open(state_dir: Path) -> int:
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(state_dir, error) from error


def _lock(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PitboxError(
            "STATE_IN_USE",
            f"another engine works with {state_dir}",
            do_now="Use the running engine, or stop it first. Two engines must not drive one car.",
        ) from error


def unusable(path: Path, error: OSError) -> PitboxError:
    """The five answers for a state directory that cannot be written."""
    return PitboxError(
        "STATE_UNUSABLE",
        f"{path} cannot be used: {error.strerror or error}",
        do_now="Check owner, mode and free space of the state directory, and whether its disk is mounted "
        "read-only. Nothing already recorded is lost.",
    )
