"""Keeping the process's memory out of core dumps, other processes' reach and swap."""

from __future__ import annotations

import ctypes
import os
import resource
from dataclasses import dataclass
from pathlib import Path

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4
_CAP_IPC_LOCK = 14
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Hardening:
    """Which protections hold, each read back from the kernel; `gaps` says in words what does not."""

    not_dumpable: bool
    no_core_file: bool
    memory_locked: bool
    swap_in_use: bool
    gaps: tuple[str, ...]

    @property
    def swap_safe(self) -> bool:
        """Whether plaintext cannot reach a swap device."""
        return self.memory_locked or not self.swap_in_use


def harden_process() -> Hardening:
    """Forbid core dumps and debuggers to this process and lock its memory, as far as the system lets it.

    Never raises: a box without the right to lock memory still flashes, and shows the gap. A forked
    child loses the lock; after an `exec` only the core limit is left.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _give_large_blocks_back(libc)
    gaps = (_forbid_dumps(libc), _forbid_core_files(), _lock_memory(libc))
    return Hardening(
        not_dumpable=gaps[0] is None,
        no_core_file=gaps[1] is None,
        memory_locked=gaps[2] is None,
        swap_in_use=_swap_in_use(),
        gaps=tuple(gap for gap in gaps if gap),
    )


def _forbid_dumps(libc: ctypes.CDLL) -> str | None:
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        return "the process can be dumped and traced"
    return None


def _give_large_blocks_back(libc: ctypes.CDLL) -> None:
    """Freed images leave the process at once (mallopt(3)): else glibc soon keeps blocks of any size.

    One heap is enough for one worker's thread; what another keeps free nobody else gets.
    """
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def give_back_free_memory() -> None:
    """Return what the start has freed inside the heap (malloc_trim(3))."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _forbid_core_files() -> str | None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        return "core files are allowed"
    return None


def _lock_memory(libc: ctypes.CDLL) -> str | None:
    if not _may_lock_everything():
        # Locking future pages under a limit would make a later allocation fail in the middle of a write.
        return "memory is not locked: the unit needs LimitMEMLOCK=infinity or CAP_IPC_LOCK"
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return f"memory is not locked: {os.strerror(ctypes.get_errno())}"
    return None


def _may_lock_everything() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return soft == resource.RLIM_INFINITY or bool(_effective_capabilities() >> _CAP_IPC_LOCK & 1)


def _effective_capabilities() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))


def _swap_in_use() -> bool:
    """Whether the system has any active swap device (proc(5), /proc/swaps)."""
    return len(Path("/proc/swaps").read_text(encoding="utf-8").splitlines()) > 1
