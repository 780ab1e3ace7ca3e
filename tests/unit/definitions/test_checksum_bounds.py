"""Whatever checksum parameters are accepted, a look at the region costs a few times its size."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appliance.checksums import FAMILIES, module_for
from appliance.definitions.checksum import MOST_IN_A_LIST, MOST_PASSES, Checksum
from appliance.definitions.memory import Region, Sectors

KIB = 1024
SIZE = 512 * KIB
START = 0x80_0000
REGION = Region(
    name="calibration",
    tag="calibration",
    start=START,
    size_bytes=SIZE,
    page_bytes=128,
    sectors=(Sectors(size_bytes=SIZE, count=1),),
)
NAMES = (
    "base ranges store_at crc_ranges crc_stores monitor_areas monitor header_at table_at records index_at "
    "start end"
)
NUMBERS = st.sampled_from(
    [0, 4, 0x300, START, START + 4, START + SIZE - 4, START + SIZE, 1 << 40]
) | st.integers(0, SIZE)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS).map(list), max_size=4)
MANY = st.integers(1, 2 * MOST_IN_A_LIST).map(lambda times: [[START, START + SIZE - 4]] * times)


@settings(max_examples=150)
@given(
    family=st.sampled_from(FAMILIES),
    parameters=st.dictionaries(
        st.sampled_from(NAMES.split()), NUMBERS | PAIRS | MANY | st.booleans() | st.lists(NUMBERS, max_size=4)
    ),
)
def test_what_is_accepted_costs_a_few_looks_at_the_region(family: str, parameters: dict[str, object]) -> None:
    spec = Checksum.model_validate({"module": family, "region": REGION.name, "parameters": parameters})
    assume(not list(spec.misfits(REGION)))
    try:
        module = module_for(spec.module, spec.parameters)
    except ValueError:
        return
    image = bytes(SIZE)
    tracemalloc.start()
    try:
        began_s = time.process_time()
        module.verify(image)
        assert time.process_time() - began_s < 10, "seconds of the processor for half a MiB"
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST_PASSES * SIZE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["ranges", "crc_ranges", "monitor_areas"])
def test_ranges_that_cover_a_region_again_and_again_are_refused(name: str) -> None:
    whole = [START, START + SIZE]
    spec = Checksum(module="me7", region="calibration", parameters={name: [whole] * MOST_PASSES})
    assert not list(spec.misfits(REGION))
    more = Checksum(module="me7", region="calibration", parameters={name: [whole] * (MOST_PASSES + 1)})
    assert ["more than 8 times" in line for line in more.misfits(REGION)] == [True]


def test_long_lists_are_refused() -> None:
    pairs = [[START, START + 4]] * (MOST_IN_A_LIST + 1)
    spec = Checksum(module="crc32-at", region="calibration", parameters={"base": START, "ranges": pairs})
    assert ["65 entries" in line for line in spec.misfits(REGION)] == [True]


@pytest.mark.parametrize(
    "parameters",
    [
        {"base": START, "ranges": [[START, START + SIZE + 1]]},
        {"base": START, "ranges": [[START - 4, START + 4]]},
        {"base": START, "store_at": START + SIZE},
        {"ranges": [[START, START + 4]]},
    ],
)
def test_declared_ranges_lie_inside_their_region(parameters: dict[str, int | list[list[int]]]) -> None:
    spec = Checksum.model_validate({"module": "sum32-at", "region": "calibration", "parameters": parameters})
    assert any("is not inside region 'calibration'" in line for line in spec.misfits(REGION))
