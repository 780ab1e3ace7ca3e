"""Every fact that is cited has a public source on docs/sources.md, inside the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("appliance", "drivers", "simulator", "benchmarks", "tests")
_CITED = re.compile(r"[Ss]ources: ((?:[a-z0-9]+(?:-[a-z0-9]+)*)(?:, [a-z0-9]+(?:-[a-z0-9]+)+)*)(?=[;:.)`]|$)")


def cited_in(text: str) -> set[str]:
    return {key for found in _CITED.finditer(text) for key in found[1].split(", ")}


def citations() -> dict[Path, set[str]]:
    files = (
        path for room in ROOMS for suffix in ("py", "toml") for path in (ROOT / room).rglob(f"*.{suffix}")
    )
    return {path: cited_in(path.read_text("utf-8")) for path in files if path != Path(__file__)}


def known() -> set[str]:
    return set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/sources.md").read_text("utf-8"), re.M))


def test_every_cited_key_is_on_the_page() -> None:
    found = citations()
    assert sum(map(len, found.values())) > 30
    strange = {str(path): keys - known() for path, keys in found.items() if keys - known()}
    assert not strange


def test_no_citation_points_outside_the_repository() -> None:
    pointing = re.compile(r"\b(facts )?sheets?,? (obd|boot|field|vw|eu|\d)")
    assert [str(path) for path in citations() if pointing.search(path.read_text("utf-8"))] == []


def test_a_citation_is_found_and_a_strange_one_told() -> None:
    assert cited_in("so it goes (sources: uds-bytes, uds-timing); more") == {"uds-bytes", "uds-timing"}
    assert cited_in("# Sources: no-such-key.") - known() == {"no-such-key"}
