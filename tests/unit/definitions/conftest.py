from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.definitions.errors import DefinitionError
from appliance.definitions.loader import load_definition

SCHEMA_1 = Path(__file__).with_name("schema1")
"""The packs as they were in schema 1, which is read for ever."""
Refusal = Callable[[str, str], list[str]]


@pytest.fixture
def e400() -> str:
    return (SCHEMA_1 / "pbx-e400.toml").read_text("utf-8")


@pytest.fixture
def s18() -> str:
    return (SCHEMA_1 / "pbx-s18.toml").read_text("utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


@pytest.fixture
def refusal(e400: str, file: Path) -> Refusal:
    """The lines that refuse the E400 pack with `old` replaced by `new`, without the file's name."""

    def refuse(old: str, new: str) -> list[str]:
        assert old in e400, "the pack changed; the test edits nothing"
        file.write_text(e400.replace(old, new, 1), "utf-8")
        return lines_of(file)

    return refuse


def lines_of(path: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load_definition(path)
    assert caught.value.code == "DEFINITION_INVALID"
    assert all(line.startswith(f"{path}: ") for line in caught.value.details)
    return [line.removeprefix(f"{path}: ") for line in caught.value.details]


@pytest.fixture
def lines() -> Callable[[Path], list[str]]:
    return lines_of
