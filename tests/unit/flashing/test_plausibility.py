"""A file with the right length and the right papers is still no tune of this read: each way is refused."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.memory import Region
from appliance.definitions.plausible import Plausibility
from appliance.flashing.gates.judging import check_request
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.image import MemoryImage
from appliance.flashing.plausibility import implausible
from simulator.image_synthesis import region_slice, synthesise
from tests.support.box import request_for
from tests.support.definitions import with_regions

DEFINITION = load_definition(PACKS / "pbx-x050.toml").model_copy(update={"checksums": ()})
SIM = DEFINITION.simulation


def memory(seed: int) -> MemoryImage:
    whole = synthesise(DEFINITION, seed)
    return MemoryImage({r.place.at: whole[region_slice(DEFINITION, r.name)] for r in DEFINITION.regions})


ORIGINAL = memory(1)
CODE, CALIBRATION = DEFINITION.region("code"), DEFINITION.region("calibration")
READ = {region.name: ORIGINAL.slice(region.place) for region in (CODE, CALIBRATION)}


def request(contents: dict[str, bytes], limits: Plausibility | None = None) -> WriteRequest:
    """Everything in order but for what the file holds."""
    tuned = MemoryImage({DEFINITION.region(name).place.at: data for name, data in contents.items()})
    definition = DEFINITION.model_copy(update={"plausibility": limits or Plausibility()})
    made = request_for(definition, ORIGINAL, tuned)
    return replace(made, papers=replace(made.papers, ecu_hw=SIM.hw, ecu_sw=SIM.sw))


def failing(made: WriteRequest) -> list[str]:
    return [gate.name for gate in check_request(made) if not gate.passed]


def said(made: WriteRequest) -> str:
    return next(gate.detail for gate in check_request(made) if gate.name == "plausibility")


def edited(name: str, *offsets: int) -> bytes:
    data = bytearray(READ[name])
    for at in offsets:
        data[at] ^= 0x5A
    return bytes(data)


def noise(size: int, seed: int = 9) -> bytes:
    return random.Random(seed).randbytes(size)


def padded(head: bytes, size: int) -> bytes:
    return (head + noise(size))[:size]


def zipped(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tuned.bin", noise(size))
    return packed.getvalue()[:size]


SIZE = CALIBRATION.size_bytes
OTHERS: dict[str, Callable[[], bytes]] = {
    "random data": lambda: noise(SIZE),
    "a JPEG": lambda: padded(b"\xff\xd8\xff\xe0\0\x10JFIF\0", SIZE),
    "a PNG": lambda: padded(b"\x89PNG\r\n\x1a\n", SIZE),
    "a PDF": lambda: padded(b"%PDF-1.7\n", SIZE),
    "a ZIP": lambda: zipped(SIZE),
    "a gzip": lambda: gzip.compress(noise(SIZE))[:SIZE],
    "an ELF": lambda: padded(b"\x7fELF\2\1\1", SIZE),
    "another car's calibration": lambda: memory(2).slice(CALIBRATION.place.part(0, SIZE)),
    "shifted by one": lambda: READ["calibration"][1:] + b"\xff",
    "shifted by sixteen": lambda: b"\xff" * 16 + READ["calibration"][:-16],
    "rotated by half": lambda: READ["calibration"][SIZE // 2 :] + READ["calibration"][: SIZE // 2],
    "bytes swapped": lambda: bytes(READ["calibration"][at ^ 1] for at in range(SIZE)),
    "erased": lambda: b"\xff" * SIZE,
    "zeros": lambda: bytes(SIZE),
    "text": lambda: (b"<html>not found</html>\n" * SIZE)[:SIZE],
    "code in its place": lambda: READ["code"][:SIZE],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_file_of_the_right_length_is_refused(kind: str) -> None:
    """By plausibility alone: all papers are in order."""
    assert failing(request({"calibration": OTHERS[kind]()})) == ["plausibility"]


@pytest.mark.parametrize(
    "kind", ["random data", "a JPEG", "erased", "zeros", "shifted by one", "another car's calibration"]
)
def test_other_code_is_refused(kind: str) -> None:
    size = CODE.size_bytes
    other = {
        "random data": noise(size),
        "a JPEG": padded(b"\xff\xd8\xff\xe0", size),
        "erased": b"\xff" * size,
        "zeros": bytes(size),
        "shifted by one": READ["code"][1:] + b"\xff",
        "another car's calibration": memory(2).slice(CODE.place.part(0, size)),
    }[kind]
    assert failing(request({"code": other, "calibration": READ["calibration"]})) == ["plausibility"]


def test_two_regions_swapped_are_refused() -> None:
    """The file of all memory, put together in the wrong order."""
    both = READ["calibration"] + READ["code"]
    swapped = {"code": both[: CODE.size_bytes], "calibration": both[CODE.size_bytes :]}
    assert failing(request(swapped)) == ["plausibility"]


def test_a_header_alone_is_enough() -> None:
    wish = Plausibility(calibration_changed_share=1, entropy_bits=8)
    jpeg = b"\xff\xd8\xff" + READ["calibration"][3:]
    assert said(request({"calibration": jpeg}, wish)) == "calibration: begins as a JPEG picture does"


@settings(max_examples=30, deadline=None)
@given(
    at=st.integers(0, SIZE - 2048),
    size=st.integers(1, 2048),
    scale=st.integers(1, 40),
)
def test_a_small_tune_passes(at: int, size: int, scale: int) -> None:
    """A map raised by some percent, anywhere in the calibration but for the numbers in it."""
    data = bytearray(READ["calibration"])
    for offset in range(at & ~1, (at + size) & ~1, 2):
        if not 0x30 <= offset < 0x80:
            value = int.from_bytes(data[offset : offset + 2]) * (100 + scale) // 100
            data[offset : offset + 2] = min(value, 0xFFFF).to_bytes(2)
    assert failing(request({"calibration": bytes(data)})) == []


def test_a_patch_of_the_code_passes_beside_a_tune() -> None:
    patched = edited("code", *range(0x4000, 0x4100))
    assert failing(request({"code": patched, "calibration": edited("calibration", 0x900)})) == []


def test_the_read_itself_passes() -> None:
    assert failing(request(dict(READ))) == []


# --- each limit, at its edge


def region(tag: str = "calibration", size: int = 4096, name: str = "r") -> Region:
    sectors = [{"size_bytes": size, "count": 1}]
    return Region.model_validate(
        {"name": name, "tag": tag, "start": 0, "size_bytes": size, "sectors": sectors}, strict=False
    )


def problems(
    old: bytes, new: bytes, limits: Plausibility, tag: str = "calibration", lowest: bool = False
) -> list[str]:
    return [one.text for one in implausible(region(tag, len(old)), old, new, limits, lowest)]


@pytest.mark.parametrize(
    ("tag", "limit"),
    [
        ("calibration", "calibration_changed_share"),
        ("data", "calibration_changed_share"),
        ("code", "code_changed_share"),
        ("boot", "code_changed_share"),
    ],
)
def test_the_share_of_changed_bytes_has_an_edge(tag: str, limit: str) -> None:
    """1,000 bytes of content: 100 changed ones are a tenth of it, 101 are more."""
    other = {"calibration_changed_share": 1.0, "code_changed_share": 1.0} | {limit: 0.1}
    limits = Plausibility(**other, entropy_bits=8)
    old = bytes(1000) + b"\xff" * 3096
    assert problems(old, b"\1" * 100 + old[100:], limits, tag) == []
    assert "10.1% of its content differs" in problems(old, b"\1" * 101 + old[101:], limits, tag)[0]
    assert problems(old, old[:1000] + b"\0" * 101 + old[1101:], limits, tag) == [], "101 of 1,101"


def test_the_entropy_of_new_bytes_has_an_edge() -> None:
    """4,096 bytes of 128 values: 7 bits; one byte less says nothing."""
    size, rest = 4096, b"\xff" * 4096
    old, new = b"\xff" * size + rest, bytes(at % 128 for at in range(size)) + rest
    assert problems(old, new, Plausibility(calibration_changed_share=1, entropy_bits=7)) == []
    strict = Plausibility(calibration_changed_share=1, entropy_bits=6.99)
    assert "7.00 bits in every new byte" in problems(old, new, strict)[0]
    assert problems(old, new[: size - 1] + b"\xff" + rest, strict) == []
    as_rich = bytes(128 + at % 128 for at in range(size)) + rest
    assert problems(as_rich, new, strict) == [], "what they replace holds as much"


def test_the_reset_area_has_an_edge() -> None:
    limits = Plausibility(code_changed_share=1, reset_area_bytes=64)
    old = bytes(4096)
    for tag, lowest, at, refused in (
        ("code", True, 0, True),
        ("code", True, 63, True),
        ("boot", True, 63, True),
        ("code", True, 64, False),
        ("code", False, 0, False),
        ("calibration", True, 0, False),
    ):
        new = old[:at] + b"\1" + old[at + 1 :]
        assert bool(problems(old, new, limits, tag, lowest)) is refused, (tag, lowest, at)
    assert (
        problems(old, b"\1" + old[1:], limits.model_copy(update={"reset_area_bytes": 0}), "code", True) == []
    )


def test_a_family_that_the_read_does_not_name_is_refused() -> None:
    old, mark = bytes(4096), b"EDC17"
    new = old[:100] + mark + old[105:]
    assert problems(old, new, Plausibility()) == ["r: names Bosch EDC17, which the read does not"]
    assert problems(new, b"\1" + new[1:], Plausibility()) == []


def test_the_ecus_own_number_must_stay() -> None:
    old = bytes(100) + b"SW-0100" + bytes(3989)
    gone = old[:100] + b"SW-0200" + old[107:]
    texts = ("SW-0100", "HW-not-in-the-read", "SW-0")
    found = [one.text for one in implausible(region(), old, gone, Plausibility(), False, texts)]
    assert found == ["r: lacks this ECU's number SW-0100, which the read holds"]
    assert list(implausible(region(), old, b"\1" + old[1:], Plausibility(), False, texts)) == []
    assert list(implausible(region(), old, gone, Plausibility(), False, ("SW-01",)))
    assert not list(implausible(region(), old, gone, Plausibility(), False, ("0100",))), (
        "too short to mean it"
    )


# --- what the gate hands to it


def test_the_gate_knows_which_region_holds_the_vectors() -> None:
    """Behind a boot region code may change at its start; where it is the lowest it may not."""
    first, later = edited("code", 0), edited("code", 0x80)
    assert failing(request({"code": first})) == []
    regions = tuple(one for one in DEFINITION.regions if one.name != "boot")
    for data, refused in ((first, ["plausibility"]), (later, [])):
        made = request({"code": data})
        definition = with_regions(made.definition, regions)
        assert failing(replace(made, definition=definition)) == refused


@pytest.mark.parametrize(("text", "refused"), [(SIM.sw, ["plausibility"]), ("ANOTHER-SW", []), (None, [])])
def test_the_gate_looks_for_the_numbers_in_the_papers(text: str | None, refused: list[str]) -> None:
    made = request({"calibration": edited("calibration", 0x42)})
    papers = replace(made.papers, ecu_hw=None, ecu_sw=text)
    assert failing(replace(made, papers=papers)) == refused
    assert failing(replace(made, papers=replace(papers, ecu_hw=text, ecu_sw=None))) == refused


def test_every_region_of_the_file_is_looked_at() -> None:
    bad = {"code": READ["code"], "calibration": OTHERS["erased"]()}
    assert "calibration" in said(request(bad))
    both = said(request({"code": b"\xff" * CODE.size_bytes, "calibration": OTHERS["erased"]()}))
    assert "code:" in both
    assert "calibration:" in both


@pytest.mark.parametrize("data", [READ["calibration"][:-1], READ["calibration"] + b"\0", b""])
def test_a_part_of_a_region_is_nothing_to_compare(data: bytes) -> None:
    good = request(dict(READ))
    for tuned in ({CALIBRATION.place.at: data}, {CODE.place.at: READ["code"], CALIBRATION.place.at: data}):
        verdicts = {
            gate.name: gate.verdict for gate in check_request(replace(good, tuned=MemoryImage(tuned)))
        }
        assert verdicts["plausibility"] == "fail"
