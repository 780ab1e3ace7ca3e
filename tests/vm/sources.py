"""Where the guest's packages come from: this machine's own Debian mirrors, asked for another suite."""

import platform
import re
from collections.abc import Iterator
from pathlib import Path

APT_DIR = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_POCKETS = ("", "-updates", "-security")
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$")


def guest_sources(suite: str, apt_dir: Path = APT_DIR, host_suite: str | None = None) -> list[str]:
    """One-line apt sources for `suite` from the mirrors that `apt_dir` lists for the host's own suite.

    Raises LookupError when the host has no Debian source to derive them from.
    """
    host_suite = host_suite or _host_suite()
    wanted = {host_suite + pocket: suite + pocket for pocket in _POCKETS}
    lines = [
        f"deb [signed-by={KEYRING}] {uri} {wanted[host]} {components}"
        for uri, host, components in _entries(apt_dir)
        if host in wanted
    ]
    if not lines:
        raise LookupError(
            f"no apt source for {host_suite} in {apt_dir}: the guest builds on a Debian host only"
        )
    return list(dict.fromkeys(lines))


def _host_suite() -> str:
    release = platform.freedesktop_os_release()
    if release["ID"] != "debian":
        raise LookupError(f"the guest builds on a Debian host only, and this is {release['ID']}")
    return release["VERSION_CODENAME"]


def _entries(apt_dir: Path) -> Iterator[tuple[str, str, str]]:
    """(mirror, suite, components) of each enabled binary source, in both of apt's formats."""
    for path in (apt_dir / "sources.list", *sorted(apt_dir.glob("sources.list.d/*.list"))):
        if path.exists():
            yield from _one_line_entries(path.read_text())
    for path in sorted(apt_dir.glob("sources.list.d/*.sources")):
        yield from _deb822_entries(path.read_text())


def _one_line_entries(text: str) -> Iterator[tuple[str, str, str]]:
    for line in text.splitlines():
        if match := _ONE_LINE.match(line.split("#")[0].strip()):
            uri, suite, components = match.groups()
            yield uri, suite, components


def _deb822_entries(text: str) -> Iterator[tuple[str, str, str]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {
            key.lower(): " ".join(value.split())
            for key, value in re.findall(r"^(\S+?):((?:.|\n[ \t])*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite, fields.get("components", "")
