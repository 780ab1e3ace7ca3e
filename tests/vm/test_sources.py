"""The mirrors of the guest are those of the host, in both of apt's formats."""

from pathlib import Path

import pytest

from tests.vm.sources import KEYRING, guest_sources

DEB822 = """\
# the machine's mirror
Types: deb deb-src
URIs: http://mirror.test/debian
  http://second.test/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /some/key.gpg

Types: deb
URIs: http://mirror.test/security
# http://commented.test/debian
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://disabled.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.test/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [arch=amd64 signed-by=/k.gpg] http://old.test/debian bookworm main # comment
deb http://vendor.test/node nodistro main
# deb http://commented.test/debian bookworm main
deb-src http://old.test/debian bookworm main
"""


def apt_dir(root: Path, sources: str = "", one_line: str = "") -> Path:
    (root / "sources.list.d").mkdir()
    (root / "sources.list.d/debian.sources").write_text(sources)
    (root / "sources.list").write_text(one_line)
    return root


def test_deb822_sources_are_asked_for_the_guests_suite(tmp_path: Path) -> None:
    key = f"[signed-by={KEYRING}]"
    assert guest_sources("trixie", apt_dir(tmp_path, sources=DEB822), "bookworm") == [
        f"deb {key} http://mirror.test/debian trixie main contrib",
        f"deb {key} http://mirror.test/debian trixie-updates main contrib",
        f"deb {key} http://second.test/debian trixie main contrib",
        f"deb {key} http://second.test/debian trixie-updates main contrib",
        f"deb {key} http://mirror.test/security trixie-security main",
    ]


def test_one_line_sources_of_other_suites_stay_out(tmp_path: Path) -> None:
    found = guest_sources("trixie", apt_dir(tmp_path, one_line=ONE_LINE), "bookworm")
    assert found == [f"deb [signed-by={KEYRING}] http://old.test/debian trixie main"]


def test_a_host_without_debian_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no apt source for bookworm"):
        guest_sources("trixie", apt_dir(tmp_path), "bookworm")
