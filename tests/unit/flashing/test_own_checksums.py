"""Several checksums of one definition: judged together, corrected in their order, right in stock images."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.checksums import ChecksumRefused, Verdict
from appliance.contract.errors import PitboxError
from appliance.contract.places import FLASH
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.flashing.hash_blind_spots import blind_in, seams_of
from appliance.flashing.image import MemoryImage
from appliance.flashing.own_checksums import corrected, judged, own_checksums
from simulator.ecu.validity import stored_sums
from simulator.image_synthesis import region_slice, synthesise
from tests.support.definitions import raw, uds_access, validated

X050 = load_definition(PACKS / "pbx-x050.toml")
CODE, CAL = X050.region("code"), X050.region("calibration")


def declared(module: str, region: str, start: int, end: int, store_at: int) -> dict[str, Any]:
    parameters = {"base": start, "ranges": [[start, end]], "store_at": store_at, "order": "big"}
    return {"module": module, "region": region, "parameters": parameters}


def with_checksums(*checksums: dict[str, Any]) -> Definition:
    return validated(raw(X050) | {"checksums": list(checksums)})


INNER = declared("sum32-at", "calibration", CAL.start, CAL.start + 0x1000, CAL.start + 0x1000)
OUTER = declared("crc32-at", "calibration", CAL.start, CAL.end - 4, CAL.end - 4)
OF_CODE = declared("crc32-at", "code", CODE.start, CODE.end - 4, CODE.end - 4)
THREE = with_checksums(INNER, OUTER, OF_CODE)
"""The inner sum lies inside what the outer CRC is over, so the order counts."""


def stock(definition: Definition = THREE) -> MemoryImage:
    image = synthesise(definition, seed=4)
    return MemoryImage(
        {one.place.at: image[region_slice(definition, one.name)] for one in definition.regions}
    )


def edited(original: MemoryImage, *regions: str) -> dict[tuple[str, int], bytes]:
    contents = {}
    for name in regions:
        region = THREE.region(name)
        content = bytearray(original.slice(region.place))
        content[0x40] ^= 0x11
        contents[region.place.at] = bytes(content)
    return contents


def test_the_simulated_stock_has_them_all_right() -> None:
    found = judged(own_checksums(THREE), stock(), stock())
    assert found.verdict is Verdict.OK
    assert found.why.count("checked and right") == 3
    assert len(stored_sums(THREE)) == 3


def test_they_are_put_right_in_their_order() -> None:
    original, contents = stock(), edited(stock(), "calibration", "code")
    wrong = judged(own_checksums(THREE), original, original.overlaid(MemoryImage(contents)))
    assert wrong.verdict is Verdict.FAIL
    right = corrected(own_checksums(THREE), original, contents)
    assert judged(own_checksums(THREE), original, original.overlaid(MemoryImage(right))).verdict is Verdict.OK


def test_in_the_wrong_order_the_outer_one_is_wrong_and_told() -> None:
    backwards = with_checksums(OUTER, INNER, OF_CODE)
    original = stock()
    right = corrected(own_checksums(backwards), original, edited(original, "calibration"))
    found = judged(own_checksums(backwards), original, original.overlaid(MemoryImage(right)))
    assert found.verdict is Verdict.FAIL
    assert found.why.startswith("crc32-at")


def test_the_worst_verdict_is_that_of_all() -> None:
    original = stock()
    right = corrected(own_checksums(THREE), original, edited(original, "calibration"))
    both = right | edited(original, "code")
    found = judged(own_checksums(THREE), original, original.overlaid(MemoryImage(both)))
    assert found.verdict is Verdict.FAIL


def test_only_what_the_file_holds_is_corrected() -> None:
    original = stock()
    assert set(corrected(own_checksums(THREE), original, edited(original, "code"))) == {CODE.place.at}
    with pytest.raises(ChecksumRefused):
        wrong = original.overlaid(MemoryImage({CAL.place.at: bytes(CAL.size_bytes)}))
        corrected(own_checksums(THREE), wrong, edited(original, "calibration"))


def test_without_a_checksum_nobody_knows() -> None:
    assert judged((), stock(), stock()).verdict is Verdict.UNKNOWN


def test_a_region_that_was_not_read_is_no_pass() -> None:
    part = stock().without([CODE.place])
    assert judged(own_checksums(THREE), part, part).code == "CHECKSUM_NOT_READ"


def test_every_stored_checksum_is_a_seam() -> None:
    seams = seams_of(THREE, uds_access(THREE), stock())
    stores = (CAL.start + 0x1000, CAL.end - 4, CODE.end - 4)
    assert seams == {(FLASH, seam) for at in stores for seam in (at, at + 4)}
    part = stock().without([CODE.place])
    assert blind_in(THREE, uds_access(THREE), part) == {"code"}


def test_a_module_that_does_not_exist_is_told() -> None:
    unknown = THREE.checksums[0].model_copy(update={"module": "no-such"})
    with pytest.raises(PitboxError, match="DEFINITION_CHECKSUM"):
        own_checksums(THREE.model_copy(update={"checksums": (unknown,)}))
