"""Regions, and the sectors that fill them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from appliance.definitions.memory import Memory, Region, Sectors

runs = st.lists(
    st.builds(Sectors, size_bytes=st.sampled_from([0x1000, 0x2000, 0x4000]), count=st.integers(1, 20)),
    min_size=1,
    max_size=4,
).map(tuple)


def region(start: int, sectors: tuple[Sectors, ...], name: str = "code", **more: object) -> Region:
    size = sum(run.size_bytes * run.count for run in sectors)
    fields = {"name": name, "tag": "code", "start": start, "size_bytes": size, "sectors": sectors, **more}
    return Region.model_validate(fields)


@given(start=st.integers(0, 1 << 30), sectors=runs)
def test_sectors_follow_each_other_and_end_with_the_region(start: int, sectors: tuple[Sectors, ...]) -> None:
    one = region(start, sectors)
    ranges = one.sector_ranges()
    assert [sector.start for sector in ranges] == [start, *(sector.end for sector in ranges)][:-1]
    assert ranges[-1].end == one.end == start + one.size_bytes


@given(sectors=runs, off=st.integers(-0x10000, 0x10000).filter(bool))
def test_sectors_that_do_not_fill_the_region_are_refused(sectors: tuple[Sectors, ...], off: int) -> None:
    size = sum(run.size_bytes * run.count for run in sectors)
    with pytest.raises(ValidationError):
        region(0, sectors, size_bytes=size + off)


@given(starts=st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True), pages=st.integers(1, 4))
def test_regions_are_refused_exactly_when_a_byte_belongs_to_two(starts: list[int], pages: int) -> None:
    sector = Sectors(size_bytes=0x100, count=pages)
    regions = [region(at * 0x100, (sector,), f"r{at}") for at in starts]
    taken = [page for at in starts for page in range(at, at + pages)]
    if len(taken) == len(set(taken)):
        memory = Memory(name="flash", regions=tuple(regions))
        assert [one.start for one in memory.regions] == [one.start for one in regions]
    else:
        with pytest.raises(ValueError, match="inside"):
            Memory(name="flash", regions=tuple(regions))


def test_a_memory_needs_a_region() -> None:
    with pytest.raises(ValueError, match="there is no region"):
        Memory(name="flash", regions=())


def test_what_a_region_leaves_out_is_its_memorys() -> None:
    sector = (Sectors(size_bytes=0x100, count=1),)
    own, plain = region(0, sector, "own", erased_byte=0xFF, page_bytes=32), region(0x100, sector, "plain")
    memory = Memory(name="eeprom", erased_byte=0x00, page_bytes=16, regions=(own, plain))
    assert [(one.memory, one.erased_byte, one.page_bytes) for one in memory.regions] == [
        ("eeprom", 0xFF, 32),
        ("eeprom", 0x00, 16),
    ]


def test_a_region_says_no_other_memory_than_its_own() -> None:
    one = region(0, (Sectors(size_bytes=0x100, count=1),), memory="flash")
    with pytest.raises(ValueError, match="says it is of memory 'flash'"):
        Memory(name="eeprom", regions=(one,))
