"""Whatever checksum parameters are accepted, a look at the region costs a few times its size."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from appliance.checksums import FAMILIES, module_for
from appliance.definitions.__main__ import main
from appliance.definitions.checksum import MOST_IN_A_LIST, MOST_PASSES, Checksum
from appliance.definitions.loader import PACKS
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
PLACES = st.integers(0, SIZE // 4).map(lambda word: START + 4 * word)
OFFSETS = st.integers(0, SIZE // 4).map(lambda word: 4 * word)
PAIR = st.tuples(PLACES, PLACES).map(sorted)
PAIRS = st.lists(PAIR, max_size=4) | st.builds(
    lambda pair, times: [pair] * times, PAIR, st.integers(1, 2 * MOST_IN_A_LIST)
)
BASE = st.just(START)
DECLARED = {"base": BASE, "ranges": PAIRS, "store_at": PLACES}
PARAMETERS: dict[str, dict[str, st.SearchStrategy[object]]] = {
    "crc16-at": DECLARED,
    "crc32-at": DECLARED,
    "sum32-at": DECLARED,
    "me7": {"base": BASE, "crc_ranges": PAIRS},
    "simos": {"base": BASE, "header_at": OFFSETS, "monitor": st.booleans(), "monitor_areas": PAIRS},
    "subaru-denso": {"table_at": OFFSETS, "records": st.integers(0, 1 << 40), "base": OFFSETS},
    "gm-e38": {"index_at": OFFSETS},
    "nissan-std": dict.fromkeys(("start", "end", "sum_at", "xor_at"), OFFSETS),
    "nissan-alt2": dict.fromkeys(("start", "end", "sum_at", "xor_at", "split_at"), OFFSETS),
    "vw-dq381": {"base": PLACES},
    "vw-haldex5": {"record_at": OFFSETS},
}
CHECKSUMS = st.sampled_from(FAMILIES).flatmap(
    lambda family: st.builds(
        lambda parameters: Checksum.model_validate(
            {"module": family, "region": REGION.name, "parameters": parameters}
        ),
        st.fixed_dictionaries(PARAMETERS.get(family, {})),
    )
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(spec=CHECKSUMS)
def test_what_is_accepted_costs_a_few_looks_at_the_region(spec: Checksum) -> None:
    assume(not list(spec.misfits(REGION)))
    module = module_for(spec.module, spec.parameters, SIZE)
    image = bytes(SIZE)
    tracemalloc.start()
    try:
        began_s = time.process_time()
        module.verify(image)
        assert time.process_time() - began_s < 10, "seconds of the processor for half a MiB"
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST_PASSES * SIZE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("module", "name", "others"),
    [
        ("sum32-at", "ranges", {"base": START, "store_at": START + SIZE - 4}),
        ("me7", "crc_ranges", {}),
        ("simos", "monitor_areas", {"base": START}),
    ],
)
def test_ranges_that_cover_a_region_again_and_again_are_refused(
    module: str, name: str, others: dict[str, int]
) -> None:
    nearly_whole = [START, START + SIZE - 4]

    def times(count: int) -> list[str]:
        parameters = {**others, name: [nearly_whole] * count}
        spec = Checksum.model_validate({"module": module, "region": "calibration", "parameters": parameters})
        return list(spec.misfits(REGION))

    assert times(MOST_PASSES) == []
    assert ["more than 8 times" in line for line in times(MOST_PASSES + 1)] == [True]


def test_long_lists_are_refused() -> None:
    pairs = [[START, START + 4]] * (MOST_IN_A_LIST + 1)
    spec = Checksum(module="crc32-at", region="calibration", parameters={"base": START, "ranges": pairs})
    assert ["65 entries" in line for line in spec.misfits(REGION)] == [True]


HEAD = {"base": START, "ranges": [[START, START + 64]], "store_at": START + 64}


@pytest.mark.parametrize(
    ("module", "parameters", "told"),
    [
        (
            "sum32-at",
            HEAD | {"store_at": START, "ranges": [[START + 4, START + SIZE + 4]]},
            "'ranges' points to 0x4 to 0x80004",
        ),
        ("sum32-at", HEAD | {"ranges": [[START - 4, START + 4]]}, "must not lie below 'base'"),
        ("sum32-at", HEAD | {"store_at": START + SIZE}, "'store_at' points to 0x80000 to 0x80004, outside"),
        ("crc16-at", HEAD | {"store_at": START + SIZE - 1}, "'store_at' points to 0x7FFFF to 0x80001"),
        ("sum32-at", {"ranges": [[START, START + 4]], "store_at": START + 64}, "'ranges' points to"),
        ("crc32-at", {}, "needs parameter 'store_at'"),
        ("crc32-at", HEAD | {"order": "middle"}, "'order' must be one of little, big"),
        ("crc32-at", HEAD | {"colour": 1}, "knows no parameter 'colour'"),
        ("simos", {}, "needs parameter 'base'"),
        ("simos", {"base": START, "header_at": SIZE - 8}, "'header_at' points to"),
        ("simos", {"base": START, "monitor_areas": [[START, START + SIZE + 4]]}, "'monitor_areas' points to"),
        ("me7", {"crc_stores": [START + SIZE]}, "'crc_stores' points to"),
        ("me7", {"crc_ranges": [[START + SIZE, START + SIZE + 4]]}, "'crc_ranges' points to"),
        ("subaru-denso", {}, "'table_at' points to 0xFFB80"),
        ("gm-e38", {"index_at": SIZE - 4}, "'index_at' points to"),
        ("nissan-std", {"start": 0, "end": SIZE + 4, "sum_at": 4, "xor_at": 8}, "'end' points to"),
        ("nissan-std", {"start": 0, "end": SIZE, "sum_at": SIZE, "xor_at": 8}, "'sum_at' points to"),
        ("vw-haldex5", {"record_at": SIZE - 4}, "'record_at' points to"),
        ("edc15-v4.1", {"variant": "vm"}, "is over 0x40000 bytes, and the region has 0x80000"),
    ],
)
def test_parameters_that_no_code_can_use_are_told_by_their_module(
    module: str, parameters: dict[str, object], told: str
) -> None:
    spec = Checksum.model_validate({"module": module, "region": "calibration", "parameters": parameters})
    (line,) = spec.misfits(REGION)
    assert told.lower() in line.lower()


@pytest.mark.parametrize("module", ["me7", "siemens-ms43", "subaru-hitachi-m32r", "edc15-v4.1"])
def test_a_module_of_images_of_one_length_is_not_over_another(module: str) -> None:
    half = Region(
        name="calibration",
        tag="calibration",
        start=0,
        size_bytes=SIZE // 8,
        page_bytes=128,
        sectors=(Sectors(size_bytes=SIZE // 8, count=1),),
    )
    (line,) = Checksum(module=module, region="calibration").misfits(half)
    assert "and the region has 0x10000" in line
    assert not list(Checksum(module=module, region="calibration").misfits(REGION))


def test_a_definition_with_such_parameters_does_not_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    text = (PACKS / "pbx-e400.toml").read_text("utf-8").replace('"pbx-e400"', '"my-own"')
    file.write_text(text.replace("store_at = 0x8027_FFFC", "store_at = 0x8028_0000"), "utf-8")
    assert main(["check", str(file)]) == 1
    told = "checksums[0]: checksum module 'crc32-at': parameter 'store_at' points to 0x80000 to 0x80004"
    assert f"{file}: {told}" in capsys.readouterr().err
