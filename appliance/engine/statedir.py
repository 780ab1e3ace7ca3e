"""The state directory belongs to one engine at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from appliance.contract.errors import EngineError, PitboxError

_ROOT = 0
_FOLDERS = ("keys", "secrets", "blobs", "images", "definitions", "proposed", "log")
"""The engine's own; what else lies beside them is nothing to it."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Make the directory if needed and hold its lock, which the kernel lets go with the process.

    Raises PitboxError STATE_IN_USE or STATE_UNUSABLE.
    """
    descriptor = _open(state_dir)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise unusable(state_dir / "lock", OSError("it is not a regular file"))
        _lock(descriptor, state_dir)
        yield
    finally:
        os.close(descriptor)


def _open(state_dir: Path) -> int:
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_exposed(state_dir)
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(state_dir / "lock", flags, 0o600)
    except OSError as error:
        raise unusable(state_dir, error) from error


def _refuse_exposed(state_dir: Path) -> None:
    """Whoever may put files here, or into a folder below, decides what is written to a car: an owner's key
    that lies there in the clear is taken for the owner's. Raises PitboxError STATE_EXPOSED.
    """
    _refuse_others(state_dir, {os.geteuid()})
    for folder in (state_dir / name for name in _FOLDERS):
        if folder.is_dir():
            _refuse_others(folder, {os.geteuid(), _ROOT})
        for above, names, _ in os.walk(folder):
            for name in names:
                _refuse_others(Path(above) / name, {os.geteuid(), _ROOT})


def _refuse_others(folder: Path, owners: Set[int]) -> None:
    found = folder.stat()
    if found.st_uid not in owners:
        raise EngineError("STATE_EXPOSED.owner", folder=str(folder), owner=found.st_uid, own=os.geteuid())
    if found.st_mode & _OTHERS_WRITE:
        raise EngineError("STATE_EXPOSED", folder=str(folder), mode=stat.S_IMODE(found.st_mode))


def private_files() -> None:
    """Whatever this process makes from now on, only its own user may read: journal and log above all."""
    os.umask(0o077)


def refuse_other_kinds(path: Path) -> None:
    """Raises PitboxError STATE_UNUSABLE for a pipe, device or link under a file's name."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise unusable(path, OSError("it is not a regular file"))


def _lock(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EngineError("STATE_IN_USE", state=str(state_dir)) from error


def unusable(path: Path, error: OSError) -> PitboxError:
    """The five answers for a state directory that cannot be written."""
    return EngineError("STATE_UNUSABLE", path=str(path), technical_text=error.strerror or str(error))
