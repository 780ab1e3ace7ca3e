"""NOR flash: bits only move away from the erased state, sectors erase as one, the file stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.places import Range
from appliance.definitions.memory import Region
from simulator.ecu.memory import FlashMemory

SIZE = 256
START = 0x1000


def region(start: int = START, erased: int = 0xFF, name: str = "flash") -> Region:
    return Region.model_validate_json(
        f'{{"name": "{name}", "tag": "code", "start": {start}, "size_bytes": {SIZE}, "page_bytes": 16,'
        f' "erased_byte": {erased},'
        f' "sectors": [{{"size_bytes": 64, "count": 4}}]}}'
    )


def flash(content: bytes = bytes(SIZE), erased: int = 0xFF) -> FlashMemory:
    return FlashMemory([region(erased=erased)], lambda: content)


pieces = st.tuples(st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=SIZE)).map(
    lambda pair: (pair[0], pair[1][: SIZE - pair[0]])
)


@given(st.binary(min_size=SIZE, max_size=SIZE), st.lists(pieces, max_size=6))
def test_programming_only_clears_bits_where_erased_is_ff(
    content: bytes, writes: list[tuple[int, bytes]]
) -> None:
    memory, model = flash(content), bytearray(content)
    for at, data in writes:
        for index, byte in enumerate(data):
            model[at + index] &= byte
        assert memory.program(START + at, data) == (bytes(model[at : at + len(data)]) == data)
    assert memory.whole() == model


@given(st.binary(min_size=SIZE, max_size=SIZE), pieces)
def test_programming_only_sets_bits_where_erased_is_00(content: bytes, write: tuple[int, bytes]) -> None:
    memory = flash(content, erased=0x00)
    at, data = write
    memory.program(START + at, data)
    expected = bytes(old | new for old, new in zip(content[at:], data, strict=False))
    assert memory.read(START + at, len(data)) == expected


@given(pieces)
def test_an_erased_span_takes_anything_and_leaves_its_neighbours(write: tuple[int, bytes]) -> None:
    memory = flash(b"\xff" * SIZE)
    at, data = write
    assert memory.program(START + at, data)
    assert memory.whole() == (b"\xff" * at + data).ljust(SIZE, b"\xff")


@given(st.integers(1, 63), st.integers(0, 3), st.integers(0, 5))
def test_an_interrupted_erase_leaves_the_same_garbage_for_the_same_seed(
    done: int, sector: int, seed: int
) -> None:
    left = []
    for _ in range(2):
        memory = FlashMemory([region()], lambda: bytes(SIZE), seed=seed)
        memory.erase_part(Range("flash", START + 64 * sector, 64), done)
        left.append(memory.whole())
    garbage = left[0][64 * sector : 64 * (sector + 1)]
    assert left[0] == left[1]
    assert garbage not in (bytes(64), b"\xff" * 64)
    assert left[0].replace(garbage, bytes(64)) == bytes(SIZE)


@pytest.mark.parametrize(
    ("start", "size", "count"),
    [(0, 64, 1), (0, 256, 4), (64, 128, 2), (1, 64, None), (0, 63, None), (0, 65, None), (192, 128, None)],
)
def test_only_whole_sectors_can_be_named(start: int, size: int, count: int | None) -> None:
    sectors = flash().sectors(START + start, size)
    assert (len(sectors) if sectors is not None else None) == count


def test_adjoining_regions_read_as_one_and_gaps_do_not_exist() -> None:
    regions = [region(START, name="a"), region(START + SIZE, name="b"), region(START + 3 * SIZE, name="c")]
    memory = FlashMemory(regions, lambda: bytes([1]) * SIZE + bytes([2]) * SIZE + bytes([3]) * SIZE)
    assert memory.read(START + SIZE - 1, 2) == b"\x01\x02"
    assert not memory.contains(START + 2 * SIZE - 1, 2)
    assert not memory.contains(START - 1, 2)
    with pytest.raises(KeyError):
        memory.read(START + 2 * SIZE, 1)
    assert memory.read(START + 3 * SIZE, 1) == b"\x03"


def test_an_image_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="255 bytes"):
        flash(bytes(SIZE - 1))


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.simulated_car.test_memory import START, SIZE, region
from simulator.ecu.memory import FlashMemory
memory = FlashMemory([region()], lambda: b"\\xff" * SIZE, Path(sys.argv[1]))
memory.program(START + 3, b"half a page")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_programmed_survives_the_death_of_the_process(tmp_path: Path) -> None:
    file = tmp_path / "ecu.flash"
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    dead = subprocess.run([sys.executable, "-c", _KILLED, str(file)], env=environment, check=False)
    assert dead.returncode == -signal.SIGKILL
    again = FlashMemory([region()], lambda: pytest.fail("the chip is not new"), file)
    assert again.read(START, 14) == b"\xff\xff\xffhalf a page"
