"""Whatever a file holds: it is a definition, or it is refused with lines that say where and why."""

import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.definitions.errors import DefinitionError
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition

SCHEMA_1 = Path(__file__).with_name("schema1")

FILES = [*sorted(PACKS.glob("*.toml")), *sorted(SCHEMA_1.glob("*.toml"))]
VALID = [path.read_bytes() for path in FILES]
SYNTAX = b"= [ ] { } \" ''' . -1 nan inf 1e999 0x 1979-05-27 true \\u0000".split()
HEADS = [b"[[regions]]\n", b"[voltage]\n", b"[[access]]\n", b"[[memories]]\n"]
TOML_PIECES = [
    *SYNTAX,
    b"\n",
    b"\xff",
    b"\0",
    b"[[regions]]\n",
    b"[voltage]\n",
    b"[[access]]\n",
    b"[[memories]]\n",
    b'"\\n" = 1\n',
]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "fuzz.toml"


def loads_or_refuses(path: Path, content: bytes) -> Definition | None:
    path.write_bytes(content)
    try:
        return load_definition(path)
    except DefinitionError as error:
        assert error.details
        assert all(line.startswith(f"{path}: ") and "\n" not in line for line in error.details), error.details
        return None


@given(content=st.binary(max_size=2000))
def test_random_bytes_are_refused(scratch: Path, content: bytes) -> None:
    assert loads_or_refuses(scratch, content) is None


@given(content=st.text(alphabet="abid_=[]{}\"'.,#\n 0123x-", max_size=200))
def test_random_toml_is_refused(scratch: Path, content: str) -> None:
    assert loads_or_refuses(scratch, content.encode()) is None


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A valid file with pieces cut out, doubled, replaced or inserted."""
    content = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from(TOML_PIECES) | st.binary(max_size=4) | st.just(content[start:end] * 2))
        content = content[:start] + piece + content[end:]
    return content


@given(content=mutations())
def test_a_damaged_definition_is_still_whole_or_refused(scratch: Path, content: bytes) -> None:
    loaded = loads_or_refuses(scratch, content)
    if loaded:
        assert definition_from_json(loaded.canonical()).digest() == loaded.digest()


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, path: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


TABLES = [tomllib.loads(content.decode()) for content in VALID]
PATHS = [list(paths(table))[1:] for table in TABLES]


@given(data=st.data(), value=plain.filter(lambda value: value is not None))
def test_any_value_at_any_key_is_taken_or_refused(scratch: Path, data: st.DataObject, value: object) -> None:
    number = data.draw(st.integers(0, len(VALID) - 1))
    path = data.draw(st.sampled_from(PATHS[number]))
    table = tomllib.loads(VALID[number].decode())
    holder = table
    for part in path[:-1]:
        holder = holder[part]  # type: ignore[index]
    holder[path[-1]] = value  # type: ignore[index]
    loads_or_refuses(scratch, _toml(table).encode("utf-8", "surrogatepass"))


def _toml(table: dict[str, object]) -> str:
    return "".join(f"{_quoted(key)} = {_value(inner)}\n" for key, inner in table.items())


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{_quoted(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            return _quoted(value)
        case None:
            return '"none"'
    return repr(value)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(char):08X}" for char in text) + '"'
