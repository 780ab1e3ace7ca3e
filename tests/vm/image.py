"""The guest's disk: Debian 13 with the generic kernel and the product's dependencies, built once and cached.

The cache is `$PITBOX_VM_CACHE`, else `~/.cache/pitbox-vm`. Each build lies in a directory named by the hash
of its recipe (suite, `packages.txt`, Python requirements, `rootfs/`, this file), so that a changed recipe
makes a new one.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.vm.sources import guest_sources

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
LOCK = CHECKOUT / "requirements-test.lock"
SUITE = "trixie"
PYTHON = "3.13"
DISK_BYTES = 2 * 1024**3
BUILD_TIMEOUT_S = 600
PACKAGES = [line for line in (HERE / "packages.txt").read_text().split("\n") if line and line[0] != "#"]
# Units that only cost the emulated boot time.
MASKED_UNITS = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "getty-static.service",
    "serial-getty@ttyS0.service",
    "dev-hugepages.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
]
NEEDED_TOOLS = ("mmdebstrap", "mkfs.ext4", "qemu-system-x86_64", "setpriv")
_LINTERS = ("mypy", "ruff", "import-linter")
_MOUNT_POINTS = "mnt/checkout mnt/upper mnt/work pitbox results state"
_SITE = f"usr/local/lib/python{PYTHON}/dist-packages"
# Wheels built for any glibc up to the guest's 2.41 (PEP 600 and its three older names).
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(41, 4, -1)] + [
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
]


@dataclass(frozen=True)
class Image:
    """A built guest: a raw ext4 root disk, and the kernel and initrd taken out of its /boot."""

    disk: Path
    kernel: Path
    initrd: Path


def missing() -> list[str]:
    """What this machine lacks to build and boot a guest; `tests/vm/install.sh` installs the tools."""
    lacking = [tool for tool in NEEDED_TOOLS if shutil.which(tool, path=_path()) is None]
    return lacking if os.geteuid() == 0 else [*lacking, "root"]


def guest_image() -> Image:
    """The image of the present recipe; builds it (about a minute) when the cache has none."""
    cache = Path(os.environ.get("PITBOX_VM_CACHE") or Path.home() / ".cache/pitbox-vm")
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"{SUITE}-{recipe_key()}"
    with _only_builder(cache / "lock"):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as work:
                _build(Path(work)).rename(place)
    return Image(place / "root.ext4", place / "vmlinuz", place / "initrd.img")


def recipe_key() -> str:
    """A hash over everything of ours that decides what is in the image."""
    recipe = [SUITE, PYTHON, DISK_BYTES, PACKAGES, MASKED_UNITS, requirements(), LOCK.read_text()]
    digest = hashlib.sha256(json.dumps(recipe).encode() + Path(__file__).read_bytes())
    for path in sorted(path for path in (HERE / "rootfs").rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def requirements() -> list[str]:
    """The product's dependencies and those of its tests, without the linters."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    tests = project["optional-dependencies"]["test"]
    return [*project["dependencies"], *(need for need in tests if not need.startswith(_LINTERS))]


def _build(work: Path) -> Path:
    """Build in `work`; returns the directory with the finished disk, kernel and initrd."""
    site, root, done = work / "site", work / "root", work / "done"
    done.mkdir()
    _install_requirements(site)
    _bootstrap(root, site)
    shutil.copy(_only(root, "boot/vmlinuz-*"), done / "vmlinuz")
    shutil.copy(_only(root, "boot/initrd.img-*"), done / "initrd.img")
    _pack(root, done / "root.ext4")
    return done


def _install_requirements(site: Path) -> None:
    """Wheels for the guest's interpreter, fetched with this machine's own pip settings."""
    target = ["--target", str(site), "--python-version", PYTHON, "--implementation", "cp"]
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    versions = ["--constraint", str(LOCK)]
    quiet = ["--quiet", "--no-compile", "--only-binary=:all:", "--disable-pip-version-check"]
    _tool(sys.executable, "-m", "pip", "install", *quiet, *target, *platforms, *versions, *requirements())


def _bootstrap(root: Path, site: Path) -> None:
    """The root tree; the host's Acquire settings (proxies, certificates) hold for the guest's apt as well."""
    apt_options = root.with_name("apt.conf")
    apt_options.write_text(_tool("apt-config", "dump", "Acquire"))
    hooks = [
        f"--essential-hook=copy-in {HERE}/rootfs/etc {HERE}/rootfs/usr /",
        f'--customize-hook=cd "$1" && mkdir -p {_SITE} {_MOUNT_POINTS}',
        f"--customize-hook=sync-in {site} /{_SITE}",
        # Some wheels carry templates that are no Python, hence the tolerated exit status.
        f'--customize-hook=chroot "$1" python3 -m compileall -qq -j 0 /{_SITE} || true',
        '--customize-hook=chroot "$1" systemctl --quiet enable pitbox-agent.service',
        f'--customize-hook=chroot "$1" systemctl --quiet mask {" ".join(MASKED_UNITS)}',
    ]
    no_manuals = [f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in ("doc", "man", "locale", "info")]
    options = [
        "--variant=minbase",
        "--architectures=amd64",
        "--mode=root",
        "--quiet",
        f"--aptopt={apt_options}",
    ]
    include = f"--include={','.join(PACKAGES)}"
    _tool("mmdebstrap", *options, *no_manuals, include, *hooks, SUITE, str(root), *guest_sources(SUITE))


def _pack(root: Path, disk: Path) -> None:
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    _tool("mkfs.ext4", "-q", "-F", "-d", str(root), str(disk))


def make_state_disk(path: Path, size_bytes: int = 1024**3) -> None:
    """An empty ext4 disk for `Guest(state_disk=path)`; sparse, so it costs what is written to it."""
    with path.open("xb") as file:
        file.truncate(size_bytes)
    _tool("mkfs.ext4", "-q", "-F", str(path))


def _only(root: Path, pattern: str) -> Path:
    (found,) = root.glob(pattern)
    return found


def _tool(*command: str) -> str:
    """Run a build tool; its output is in the error when it fails."""
    env = os.environ | {"PATH": _path()}
    done = subprocess.run(
        command,
        env=env,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _path() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


@contextmanager
def _only_builder(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
