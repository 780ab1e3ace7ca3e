"""Files that are either wholly there after a power cut or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.vault.errors import VaultError

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
TEMPORARY_SUFFIX = ".part"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def write_new(path: Path, data: bytes) -> None:
    """Create `path` (mode 0600) with `data` and fsync it; `FileExistsError` when it is already there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Fsync a directory, so that names made, renamed or removed in it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make `path` and what is missing above it (mode 0700), each name durable; `VaultError` from the disk."""
    with disk_errors(path):
        _make_directory(path)


def _make_directory(path: Path) -> None:
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    sync_directory(path.parent)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: temporary file, fsync, rename, fsync of the directory.

    When it returns, the file survives a power cut. After a `VaultError` (disk full, read-only, failing) no
    half file is there: `path` is the old one or, when only the last fsync failed, the new one.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    with disk_errors(path):
        try:
            write_new(temporary, data)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def read(path: Path, limit_bytes: int, *, past_cache: bool = False) -> bytes | None:
    """At most `limit_bytes` of `path`, or None when there is no such file; `VaultError` from the disk.

    With `past_cache` the kernel is asked to forget what it knows of the file first: the disk itself tells.
    """
    with disk_errors(path):
        try:
            return _read_regular(path, limit_bytes, past_cache)
        except FileNotFoundError:
            return None


def _read_regular(path: Path, limit_bytes: int, past_cache: bool) -> bytes:
    """A pipe or a device under a file's name would be waited for, or read, without end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if past_cache:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read(min(limit_bytes, found.st_size))  # as much as is asked for is allocated


def remove_temporaries(root: Path) -> int:
    """Delete the temporary files a power cut left anywhere below `root`; returns how many."""
    with disk_errors(root):
        leftovers = [path for path in root.rglob(f"*{TEMPORARY_SUFFIX}") if not path.is_dir()]
        for leftover in leftovers:
            leftover.unlink()
    return len(leftovers)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the enclosed file work into the `VaultError` a technician can act on."""
    try:
        yield
    except OSError as error:
        raise _disk_error(path, error) from error


def _disk_error(path: Path, error: OSError) -> VaultError:
    if error.errno in _FULL:
        return VaultError("VAULT_DISK_FULL", path=str(path))
    if error.errno in _READ_ONLY:
        return VaultError("VAULT_DISK_READ_ONLY", path=str(path))
    return VaultError("VAULT_DISK_FAILED", path=str(path), technical_text=error.strerror or str(error))
