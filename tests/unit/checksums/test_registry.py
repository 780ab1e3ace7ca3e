"""From a definition's words to a module: every mistake is a ValueError that names it."""

import pytest

from appliance.checksums import FAMILIES, module_for

_RANGES = [[0x100, 0x200]]


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("crc64", {}, "unknown checksum module 'crc64'; known are crc16-at"),
        ("med17", {"base": 0}, "'med17' knows no parameter 'base'"),
        ("simos", {}, "'simos' needs parameter 'base'"),
        ("simos", {"base": "0x80"}, "parameter 'base' must be a whole number, 0 or more, not '0x80'"),
        ("simos", {"base": -1}, "parameter 'base' must be a whole number"),
        ("simos", {"base": True}, "parameter 'base' must be a whole number"),
        ("simos", {"base": 0, "signed": 1}, "parameter 'signed' must be true or false"),
        ("simos", {"base": 0, "colour": 1, "age": 2}, "knows no parameter 'age', 'colour'"),
        ("me7", {"crc_stores": 5}, "parameter 'crc_stores' must be a list"),
        ("edc15-v4.1", {"variant": "v9"}, "must be one of auto, v4.1, v4.1-rev2, vm, not 'v9'"),
        ("subaru-denso", {"end": 7}, "parameter 'end' must be one of"),
        ("crc32-at", {"store_at": 0}, "needs parameter 'ranges'"),
        ("crc32-at", {"ranges": _RANGES}, "needs parameter 'store_at'"),
        ("crc32-at", {"ranges": [[1, 2, 3]], "store_at": 0}, r"list of \[start, end\] pairs"),
        ("crc32-at", {"ranges": [[9, 9]], "store_at": 0}, "end lies after their start"),
        ("crc32-at", {"ranges": [7], "store_at": 0}, "parameter 'ranges' must be a list"),
        ("crc32-at", {"ranges": _RANGES, "store_at": 0x1FE}, "'store_at' must lie outside 'ranges'"),
        ("crc32-at", {"ranges": _RANGES, "store_at": 0, "base": 16}, "must not lie below 'base'"),
        ("crc32-at", {"ranges": _RANGES, "store_at": 0, "order": "middle"}, "one of little, big"),
        ("sum32-at", {"ranges": [[0, 6]], "store_at": 8}, "must hold whole 32-bit words"),
        ("nissan-std", {"start": 8, "end": 4, "sum_at": 0, "xor_at": 0}, "must be whole words"),
        ("nissan-std", {"start": 0, "end": 8, "sum_at": 2, "xor_at": 4}, "must be whole words"),
        (
            "nissan-alt2",
            {"start": 0, "end": 0x100, "sum_at": 8, "xor_at": 12, "split_at": 0x100},
            "'split_at' must be a word of the range",
        ),
    ],
)
def test_a_wrong_definition_is_told_what_is_wrong(name: str, params: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        module_for(name, params)


def test_families_are_listed_in_order() -> None:
    assert list(FAMILIES) == sorted(set(FAMILIES))
    assert {"med17", "me7", "simos", "crc32-at"} <= set(FAMILIES)
