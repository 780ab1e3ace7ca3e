from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.vault import durable
from appliance.vault import key_files as keyring
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing, Role
from appliance.vault.store import BlobStore

READ = b"\x5a" * 4096
STEPS = ("open", "fsync", "replace", "fsync of the directory")


class PowerCut(BaseException):
    """Stops the work where it stands; no handler for errors runs."""


def visible(state: Path) -> list[Path]:
    return [path for path in state.rglob("*.age") if path.is_file()]


def test_a_segment_comes_back_from_its_content_address(state: Path, blobs: BlobStore) -> None:
    segment = blobs.put(READ, ("flash", 0x80000000))
    path = state / "blobs" / segment.ct_sha256[:2] / f"{segment.ct_sha256}.age"
    assert blobs.path(segment.ct_sha256) == path
    assert (path.stat().st_mode & 0o777, path.stat().st_size) == (0o600, segment.ct_len)
    assert blobs.get(segment) == READ
    assert blobs.get_sealed(segment) == path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="truncated"),
        pytest.param(lambda data: data + b"\0", id="longer"),
        pytest.param(lambda data: b"", id="emptied"),
        pytest.param(lambda data: bytes([data[0] ^ 1]) + data[1:], id="bit flipped"),
    ],
)
def test_a_damaged_blob_is_refused(blobs: BlobStore, damage: Callable[[bytes], bytes]) -> None:
    segment = blobs.put(READ, ("flash", 0x80000000))
    path = blobs.path(segment.ct_sha256)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(VaultError) as caught:
        blobs.get(segment)
    assert caught.value.code == "VAULT_BLOB_CHANGED"


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("at", [0, 50, -1])
@pytest.mark.parametrize("change", ["flipped", "cut", "longer", "missing"])
def test_rot_is_seen_whether_or_not_the_segment_was_opened(
    blobs: BlobStore, opened: bool, at: int, change: str
) -> None:
    segment = blobs.put(READ, ("flash", 0x80000000))
    if opened:
        blobs.get(segment)
    path = blobs.path(segment.ct_sha256)
    whole = path.read_bytes()
    assert blobs.is_whole(segment)
    damaged = bytearray(whole)
    if change == "flipped":
        damaged[at] ^= 0x10
    elif change == "cut":
        del damaged[at]
    elif change == "longer":
        damaged.insert(at, 0)
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(damaged)
    assert not blobs.is_whole(segment)
    path.write_bytes(whole)
    assert blobs.is_whole(segment)


def test_another_sealed_object_in_its_place_is_refused(blobs: BlobStore) -> None:
    mine, other = blobs.put(READ, ("flash", 0)), blobs.put(bytes(4096), ("flash", 0))
    blobs.path(mine.ct_sha256).write_bytes(blobs.get_sealed(other))
    with pytest.raises(VaultError) as caught:
        blobs.get(mine)
    assert caught.value.code == "VAULT_BLOB_CHANGED"


def test_a_missing_blob_is_said(blobs: BlobStore) -> None:
    segment = blobs.put(READ, ("flash", 0x80012000))
    blobs.path(segment.ct_sha256).unlink()
    with pytest.raises(VaultError, match="0x80012000") as caught:
        blobs.get(segment)
    assert caught.value.code == "VAULT_BLOB_MISSING"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "VAULT_DISK_FULL"),
        (errno.EDQUOT, "VAULT_DISK_FULL"),
        (errno.EROFS, "VAULT_DISK_READ_ONLY"),
        (errno.EACCES, "VAULT_DISK_READ_ONLY"),
        (errno.EIO, "VAULT_DISK_FAILED"),
    ],
)
@pytest.mark.parametrize("step", STEPS[:3])
def test_a_disk_that_refuses_leaves_no_file(
    state: Path, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch, step: str, number: int, code: str
) -> None:
    blobs.put(READ, ("flash", 0))
    before = sorted(state.rglob("*"))
    interrupt(monkeypatch, step, OSError(number, os.strerror(number)))
    with pytest.raises(VaultError) as caught:
        BlobStore.put(blobs, READ, ("flash", 4096))
    assert caught.value.code == code
    assert caught.value.do_now
    assert [path for path in sorted(state.rglob("*")) if path.is_file()] == [p for p in before if p.is_file()]


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_step_leaves_a_whole_file_or_none(
    state: Path, slave_keys: KeyRing, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    acknowledged = blobs.put(READ, ("flash", 0))
    with monkeypatch.context() as patched, pytest.raises(PowerCut):
        interrupt(patched, step, PowerCut())
        blobs.put(READ, ("flash", 4096))
    after = BlobStore(state, slave_keys)
    after.remove_temporaries()
    assert list(state.rglob("*.part")) == []
    assert len(visible(state)) == (2 if step == STEPS[3] else 1)
    assert after.get(acknowledged) == READ
    assert after.get(after.put(READ, ("flash", 4096))) == READ


def interrupt(monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException) -> None:
    """Make the given step of the next `durable.write_atomic` fail."""

    def failing_if(condition: Callable[..., bool], real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if condition(*arguments):
                raise failure
            return real(*arguments)

        return call

    steps: dict[str, tuple[Any, str, Callable[..., bool]]] = {
        "open": (os, "open", lambda path, flags, *mode: bool(flags & os.O_CREAT)),
        "fsync": (os, "fsync", lambda descriptor: not is_directory(descriptor)),
        "replace": (Path, "replace", lambda source, target: True),
        "fsync of the directory": (durable, "sync_directory", lambda path: any(path.glob("*.age"))),
    }
    target, name, condition = steps[step]
    monkeypatch.setattr(target, name, failing_if(condition, getattr(target, name)))


def is_directory(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    durable.write_new(tmp_path / "seed", b"first")
    with pytest.raises(FileExistsError):
        durable.write_new(tmp_path / "seed", b"second")
    assert (tmp_path / "seed").read_bytes() == b"first"


def test_the_file_is_synced_before_its_name_and_the_name_before_the_answer(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append("directory" if is_directory(descriptor) else "file")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    blobs.put(READ, ("flash", 0))
    assert steps[-3:] == ["file", "rename", "directory"]
    assert steps[:-3] == ["directory"]


KILLED = """
import os, pathlib, signal, sys
from appliance.vault import key_files, store
blobs = store.BlobStore(pathlib.Path(sys.argv[1]), key_files.load(pathlib.Path(sys.argv[2])))
print(blobs.put(bytes(4096), ("flash", 0)).ct_sha256, flush=True)
pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
blobs.put(bytes(4096), ("flash", 4096))
"""


def test_a_process_killed_between_writing_and_naming(tmp_path: Path) -> None:
    ring = keyring.create(tmp_path / "keys", Role.SLAVE)
    state = tmp_path / "state"
    process = subprocess.run(
        [sys.executable, "-c", KILLED, state, tmp_path / "keys"], capture_output=True, text=True, check=False
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    blobs = BlobStore(state, ring)
    assert [path.stem for path in visible(state)] == [process.stdout.strip()]
    assert blobs.remove_temporaries() == 1
    assert blobs.remove_temporaries() == 0
