from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.checksums import module_for
from appliance.contract.errors import PitboxError
from appliance.contract.events import GatesEvent
from appliance.contract.gates import Finding, Verdict, Waiver, found
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH
from appliance.definitions.checksum import Checksum
from appliance.definitions.plausible import Plausibility
from appliance.definitions.schema import Definition
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gates import judging
from appliance.flashing.gates.changed_ranges import ChangedRanges
from appliance.flashing.gates.gate import Gate, Judgement
from appliance.flashing.gates.judging import CAR_GATES, PAPER_GATES, check_request
from appliance.flashing.gates.request import Authorisation, WriteRequest
from appliance.flashing.image import MemoryImage
from appliance.flashing.own_checksums import own_checksums
from appliance.flashing.plan import FlashPlan
from appliance.flashing.preflight import preflight
from appliance.protocols.access import EcuIdentity, LinkHealth, LinkLostError
from simulator.virtualtime import run_virtual
from tests.support.box import (
    JOB,
    ORIGINAL_FILE,
    AllClear,
    Box,
    SteadyMeter,
    Verify,
    papers_for,
    random_image,
    request_for,
    small_definition,
    tuned_from,
    write_plan,
)
from tests.support.places import flash
from tests.support.probe_access import IDENTITY, Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

DEFINITION = small_definition()
CALIBRATION = DEFINITION.region("calibration")
ORIGINAL = random_image(DEFINITION)
TUNED = tuned_from(DEFINITION, ORIGINAL)
GOOD = request_for(DEFINITION, ORIGINAL, TUNED)
OFFLINE = [
    "signatures",
    "original_stored",
    "definition",
    "method",
    "regions",
    "length",
    "base_read",
    "changed_ranges",
    "plausibility",
    "checksum",
    "consents",
]
ON_THE_WIRE = [
    "identity",
    "voltage_window",
    "voltage_steady",
    "voltage_ripple",
    "bus_quiet",
    "link_clean",
    "engine_off",
    "disk",
    "temperature",
    "no_update",
    "no_open_write",
]


@pytest.fixture
def verify() -> Verify:
    """Gates do not depend on how writes are proven."""
    return "hash"


def bad(*problems: str) -> tuple[Finding, ...]:
    """What is wrong with the signatures of a package."""
    return tuple(found("papers_refused", code="VAULT_TEST", problem=one) for one in problems)


def with_papers(**changes: Any) -> WriteRequest:
    return replace(GOOD, papers=replace(GOOD.papers, **changes))


def with_tuned(tuned: MemoryImage) -> WriteRequest:
    return replace(GOOD, tuned=tuned)


def failing(request: WriteRequest) -> list[str]:
    """Names of the gates that say no; none of them by breaking."""
    gates = check_request(request)
    assert not [gate.name for gate in gates for one in gate.findings if one.key == "gate_broken"]
    return [gate.name for gate in gates if not gate.passed]


def refused(request: WriteRequest) -> GatesRefusedError:
    with pytest.raises(GatesRefusedError) as caught:
        FlashPlan(request)
    return caught.value


def test_a_request_in_order_passes_every_gate() -> None:
    assert [gate.name for gate in check_request(GOOD)] == OFFLINE
    assert failing(GOOD) == []
    plan = FlashPlan(GOOD)
    assert plan.target.sha256() == ORIGINAL.overlaid(TUNED).sha256() == plan.order.target_sha256
    assert {block.region for block in plan.order.blocks} == {"calibration"}
    assert {block.region for block in plan.order.guarded} == {"boot", "code"}
    assert plan.order.kind == "tuned"


@pytest.mark.parametrize(
    ("gate", "request_"),
    [
        ("signatures", with_papers(signatures=bad("the grant ran out"))),
        ("original_stored", replace(GOOD, original_file=None)),
        ("definition", with_papers(definition="another-ecu")),
        ("definition", with_papers(definition=None)),
        ("method", with_papers(method="bench")),
        ("method", with_papers(method=None)),
        ("regions", with_papers(regions={})),
        ("regions", with_papers(regions={"boot": flash(0, 8192)})),
        ("regions", with_papers(regions={**GOOD.papers.regions, "code": flash(0x10_0000, 24576)})),
        ("regions", with_papers(regions={"calibration": flash(CALIBRATION.start, 4096)})),
        ("base_read", with_papers(base_sha256="00" * 32)),
        ("base_read", with_papers(base_sha256=None)),
        ("changed_ranges", with_papers(changed_ranges=())),
        ("changed_ranges", with_papers(changed_ranges=GOOD.papers.changed_ranges[:1])),
        ("checksum", with_papers(checksum_by_master=False)),
        ("consents", with_papers(use="anything")),
        ("consents", with_papers(use=None)),
        ("consents", with_papers(consents=("customer",))),
    ],
)
def test_each_gate_fails_alone_and_by_name(gate: str, request_: WriteRequest) -> None:
    assert failing(request_) == [gate]
    error = refused(request_)
    assert error.code == "GATES_REFUSED"
    assert [detail.split(":")[0] for detail in error.details] == [gate]


def test_all_failing_gates_are_listed_at_once() -> None:
    papers = replace(Authorisation(own_original=False), signatures=bad("no"), use="")
    short = MemoryImage({CALIBRATION.place.at: b"short"})
    error = refused(replace(GOOD, papers=papers, original_file=None, tuned=short))
    assert [detail.split(":")[0] for detail in error.details] == OFFLINE
    assert all(name in str(error) for name in OFFLINE)


# --- bad files


@pytest.mark.parametrize(
    ("tuned", "gates"),
    [
        (MemoryImage({}), {"regions"}),
        (MemoryImage({CALIBRATION.place.at: b""}), {"length"}),
        (MemoryImage({CALIBRATION.place.at: bytes(TUNED.spans[CALIBRATION.place.at][:-1])}), {"length"}),
        (
            MemoryImage({CALIBRATION.place.at: bytes(CALIBRATION.size_bytes + 1)}),
            {"length", "changed_ranges"},
        ),
        (MemoryImage({(FLASH, CALIBRATION.start + 4096): bytes(4096)}), {"regions", "length"}),
        (MemoryImage({(FLASH, 0): bytes(8192)}), {"regions", "changed_ranges"}),
        (MemoryImage({(FLASH, 0x5000_0000): bytes(64)}), {"regions", "length", "changed_ranges"}),
    ],
    ids=["no bytes", "empty", "truncated", "too long", "in the middle", "the boot block", "nowhere"],
)
def test_a_file_that_does_not_fit_is_refused(tuned: MemoryImage, gates: set[str]) -> None:
    assert gates <= set(failing(with_tuned(tuned)))
    refused(with_tuned(tuned))


class Gigabyte(bytes):
    """Says that it is 1 GiB long, and has no bytes that anybody could look at."""

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, key: object) -> Any:
        raise AssertionError("a file of a wrong length needs no reading")


def test_a_huge_file_is_refused_by_its_length_alone() -> None:
    huge = with_tuned(MemoryImage({CALIBRATION.place.at: Gigabyte()}))
    assert "length" in failing(huge)
    refused(huge)


@given(offset=st.integers(0, CALIBRATION.size_bytes - 1), mask=st.integers(1, 255))
@settings(deadline=None)
def test_one_changed_byte_is_allowed_inside_a_declared_range_only(offset: int, mask: int) -> None:
    content = bytearray(ORIGINAL.spans[CALIBRATION.place.at])
    content[offset] ^= mask
    address = CALIBRATION.start + offset
    declared = [
        CALIBRATION.place.part(100, 100),
        CALIBRATION.place.part(200, 100),
    ]
    request = replace(
        with_tuned(MemoryImage({CALIBRATION.place.at: content})),
        papers=replace(GOOD.papers, changed_ranges=tuple(declared)),
    )
    inside = CALIBRATION.start + 100 <= address < CALIBRATION.start + 300
    assert failing(request) == ([] if inside else ["changed_ranges"])


def test_a_change_may_cross_from_one_declared_range_into_the_next() -> None:
    content = bytearray(ORIGINAL.spans[CALIBRATION.place.at])
    content[150:250] = bytes(byte ^ 0xFF for byte in content[150:250])
    place = CALIBRATION.place
    declared = (place.part(200, 100), place.part(100, 100))
    papers = replace(GOOD.papers, changed_ranges=declared)
    assert failing(replace(GOOD, tuned=MemoryImage({place.at: content}), papers=papers)) == []
    apart = replace(papers, changed_ranges=(place.part(100, 100), place.part(201, 99)))
    assert failing(replace(GOOD, tuned=MemoryImage({place.at: content}), papers=apart)) == ["changed_ranges"]


def _inverted(start: int, end: int, *declared: tuple[int, int]) -> list[str]:
    """Failing gates where bytes start to end of the calibration differ, and these are declared."""
    at = CALIBRATION.start
    content = bytearray(ORIGINAL.spans[FLASH, at])
    content[start:end] = bytes(byte ^ 0xFF for byte in content[start:end])
    papers = replace(GOOD.papers, changed_ranges=tuple(flash(at + low, high - low) for low, high in declared))
    return failing(replace(GOOD, tuned=MemoryImage({(FLASH, at): content}), papers=papers))


@pytest.mark.parametrize(
    ("declared", "passes"),
    [
        ([(100, 200)], True),
        ([(101, 200)], False),
        ([(100, 199)], False),
        ([(99, 201)], True),
        ([(0, 100), (200, 300)], False),
        ([(100, 150), (150, 200)], True),
        ([(100, 150), (149, 200)], True),
        ([(150, 200), (100, 150)], True),
        ([(100, 149), (150, 200)], False),
        ([(100, 200), (120, 130)], True),
        ([(100, 130), (100, 200)], True),
        ([(100, 120), (110, 115), (120, 200)], True),
        ([(200, 100)], False),
        ([], False),
    ],
)
def test_changed_ranges_are_held_to_the_byte(declared: list[tuple[int, int]], passes: bool) -> None:
    assert _inverted(100, 200, *declared) == ([] if passes else ["changed_ranges"])


def test_no_change_needs_no_range() -> None:
    assert _inverted(100, 100) == []


def test_each_change_needs_its_own_range() -> None:
    """One that is declared does not excuse another that is not, whichever comes first."""
    at = CALIBRATION.start
    for declared in ((5, 6), (CALIBRATION.size_bytes - 9, CALIBRATION.size_bytes - 8)):
        assert failing(with_papers(changed_ranges=(flash(at + declared[0], declared[1] - declared[0]),))) == [
            "changed_ranges"
        ]


@pytest.mark.parametrize("at", [0, CALIBRATION.size_bytes - 1])
def test_the_first_and_the_last_byte_of_a_region_are_looked_at(at: int) -> None:
    assert _inverted(at, at + 1, (at, at + 1)) == []
    assert _inverted(at, at + 1, (at + 1, at + 2)) == ["changed_ranges"]
    assert _inverted(at, at + 1, (at - 1, at)) == ["changed_ranges"]


@pytest.mark.parametrize("lacking", ["code", "calibration"])
def test_every_writable_region_must_have_been_read(lacking: str) -> None:
    spans = {at: data for at, data in ORIGINAL.spans.items() if at != DEFINITION.region(lacking).place.at}
    part = MemoryImage(spans)
    assert failing(request_for(DEFINITION, part, None)) == ["original_stored"]


def test_an_original_may_lack_what_is_never_written() -> None:
    part = MemoryImage({at: data for at, data in ORIGINAL.spans.items() if at != (FLASH, 0)})
    assert failing(request_for(DEFINITION, part, None)) == []


def _plain(equal_bytes: int, **papers: Any) -> WriteRequest:
    """A plain calibration of which so many bytes are the read's; the definition allows any change."""
    content = bytes(byte ^ 0xFF for byte in ORIGINAL.spans[CALIBRATION.place.at])
    data = bytes(ORIGINAL.spans[CALIBRATION.place.at][:equal_bytes]) + content[equal_bytes:]
    limits = Plausibility(calibration_changed_share=1, entropy_bits=8)
    definition = DEFINITION.model_copy(update={"plausibility": limits})
    made = request_for(definition, ORIGINAL, MemoryImage({CALIBRATION.place.at: data}))
    return replace(made, papers=replace(made.papers, plain=True, **papers))


def test_a_plain_file_that_names_no_base_must_show_it() -> None:
    """At least half of what it holds: the random memory of the tests has no blank byte to speak of."""
    half = CALIBRATION.size_bytes // 2
    assert failing(_plain(half + 100, base_sha256=None)) == []
    assert failing(_plain(half - 100, base_sha256=None)) == ["base_read"]
    assert failing(_plain(half - 100)) == [], "it names its base"
    assert failing(_plain(half + 100, base_sha256="ab" * 32)) == ["base_read"], "it names another one"
    unpacked = replace(_plain(half + 100, base_sha256=None))
    package = replace(unpacked, papers=replace(unpacked.papers, plain=False))
    assert failing(package) == ["base_read"], "a package always names its base"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_plan_comes_from_a_request_with_anything_wrong(data: st.DataObject) -> None:
    """Whatever is changed, alone or together: no plan, and each gate that fails is listed."""
    names = data.draw(st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=1, unique=True))
    request = GOOD
    for name in names:
        request = MUTATIONS[name](request, data)
    failed = failing(request)
    assert failed
    assert [detail.split(":")[0] for detail in refused(request).details] == failed


Mutation = Callable[[WriteRequest, st.DataObject], WriteRequest]


def _papers(**changes: Callable[[st.DataObject], Any]) -> Mutation:
    def mutate(request: WriteRequest, data: st.DataObject) -> WriteRequest:
        drawn = {name: draw(data) for name, draw in changes.items()}
        return replace(request, papers=replace(request.papers, **drawn))

    return mutate


def _tuned(request: WriteRequest, data: st.DataObject) -> WriteRequest:
    """Another length, or a byte outside the declared ranges."""
    content = bytearray(TUNED.spans[CALIBRATION.place.at])
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(6, len(content) - 10))] ^= data.draw(st.integers(1, 255))
    return replace(request, tuned=MemoryImage({CALIBRATION.place.at: content}))


def _moved(request: WriteRequest, data: st.DataObject) -> WriteRequest:
    start = data.draw(st.integers(0, 1 << 32).filter(lambda at: at != CALIBRATION.start))
    return replace(request, tuned=MemoryImage({(FLASH, start): TUNED.spans[CALIBRATION.place.at]}))


def _other_original(request: WriteRequest, data: st.DataObject) -> WriteRequest:
    return replace(request, original=random_image(DEFINITION, data.draw(st.integers(2, 50))))


MUTATIONS: dict[str, Mutation] = {
    "own original": _papers(own_original=lambda data: True),
    "signatures": _papers(
        signatures=lambda data: bad(*data.draw(st.lists(st.text(), min_size=1, max_size=3)))
    ),
    "method": _papers(
        method=lambda data: data.draw(st.none() | st.text().filter(lambda text: text != "obd"))
    ),
    "base": _papers(base_sha256=lambda data: data.draw(st.none() | st.text())),
    "use": _papers(use=lambda data: data.draw(st.none() | st.text())),
    "consents": _papers(
        consents=lambda data: tuple(data.draw(st.lists(st.sampled_from(["customer", "owner"]))))
    ),
    "ranges": _papers(changed_ranges=lambda data: GOOD.papers.changed_ranges[1:]),
    "regions": _papers(
        regions=lambda data: data.draw(
            st.dictionaries(
                st.sampled_from(["boot", "code", "data"]), st.builds(flash, st.integers(0), st.integers(0))
            )
        )
    ),
    "checksum": _papers(checksum_by_master=lambda data: False),
    "tuned": _tuned,
    "moved": _moved,
    "other original": _other_original,
    "no original": lambda request, data: replace(request, original=None),
    "original not stored": lambda request, data: replace(request, original_file=None),
}


# --- checksums


def with_checksum(region: str, tuned: MemoryImage) -> WriteRequest:
    start, end = CALIBRATION.start, CALIBRATION.end - 4
    parameters: dict[str, Any] = {"base": start, "ranges": [[start, end]], "store_at": end, "order": "big"}
    spec = Checksum(module="crc32-at", region=region, parameters=parameters)
    definition = DEFINITION.model_copy(update={"checksums": (spec,)})
    module = module_for(spec.module, parameters)
    stock = module.correct(ORIGINAL.slice(CALIBRATION.place))
    original = ORIGINAL.overlaid(MemoryImage({CALIBRATION.place.at: stock}))
    papers, own = papers_for(definition, original, tuned), own_checksums(definition)
    return replace(GOOD, definition=definition, original=original, tuned=tuned, checksums=own, papers=papers)


def test_the_files_own_checksum_decides_where_the_box_can_check_it() -> None:
    request = with_checksum("calibration", TUNED)
    assert failing(request) == ["checksum"], "the master's word does not outweigh a checksum that is wrong"
    right = request.checksums[0].module.correct(bytes(TUNED.spans[CALIBRATION.place.at]))
    assert failing(with_checksum("calibration", MemoryImage({CALIBRATION.place.at: right}))) == []
    wrong = right[:50] + bytes([right[50] ^ 1]) + right[51:]
    assert failing(with_checksum("calibration", MemoryImage({CALIBRATION.place.at: wrong}))) == ["checksum"]


def _haldex_request(edit: Callable[[bytearray], None]) -> WriteRequest:
    """A calibration that is an all-wheel-drive block, with its record at 10h, edited."""
    stock = bytearray(ORIGINAL.slice(CALIBRATION.place))
    stock[0x14:0x18] = len(stock).to_bytes(4, "little")
    spec = Checksum(module="vw-haldex5", region="calibration")
    module = module_for(spec.module, {})
    original = ORIGINAL.overlaid(MemoryImage({CALIBRATION.place.at: module.correct(bytes(stock))}))
    edited = bytearray(original.slice(CALIBRATION.place))
    edit(edited)
    tuned = MemoryImage({CALIBRATION.place.at: bytes(edited)})
    definition = DEFINITION.model_copy(update={"checksums": (spec,)})
    papers, own = papers_for(definition, original, tuned), own_checksums(definition)
    return replace(GOOD, definition=definition, original=original, tuned=tuned, checksums=own, papers=papers)


def test_a_checksum_that_the_original_keeps_elsewhere_is_no_checksum() -> None:
    """The gate judges by the original's layout: a file that moves its checksum does not pass by it."""

    def moved(image: bytearray) -> None:
        size = image[0x14:0x18]
        image[0x14:0x18] = bytes(4)
        image[0x204:0x208] = size
        image[:] = module_for("vw-haldex5", {}).correct(bytes(image))

    def fitting(image: bytearray) -> None:
        image[0x400] ^= 1
        image[:] = module_for("vw-haldex5", {}).correct(bytes(image))

    assert failing(_haldex_request(fitting)) == []
    assert failing(_haldex_request(moved)) == ["checksum"]


def test_a_module_that_refuses_the_original_says_nothing_of_the_file() -> None:
    request = with_checksum("calibration", TUNED)
    foreign = replace(request, original=ORIGINAL, papers=papers_for(request.definition, ORIGINAL, TUNED))
    assert failing(foreign) == [], "unknown, and the master signed for it"
    alone = replace(foreign, papers=replace(foreign.papers, checksum_by_master=False))
    assert failing(alone) == ["checksum"]


def test_a_checksum_over_memory_that_was_never_read_is_no_pass() -> None:
    request = with_checksum("boot", TUNED)
    spans = {at: data for at, data in ORIGINAL.spans.items() if at != (FLASH, 0)}
    part = MemoryImage(spans)
    papers = replace(request.papers, base_sha256=part.sha256())
    assert failing(replace(request, original=part, papers=papers)) == ["checksum"]


# --- the original


def test_the_own_original_goes_back_without_anybodys_papers() -> None:
    request = request_for(DEFINITION, ORIGINAL, None)
    assert request.papers == Authorisation(own_original=True)
    plan = FlashPlan(request)
    assert plan.order.kind == "original"
    assert {block.region for block in plan.order.blocks} == {"code", "calibration"}
    assert {block.region for block in plan.order.guarded} == {"boot"}


def test_a_checksum_that_never_held_does_not_keep_the_original_from_going_back() -> None:
    request = replace(
        with_checksum("calibration", TUNED), tuned=None, papers=Authorisation(own_original=True)
    )
    assert failing(request) == []


def test_papers_of_the_original_do_not_let_another_file_in() -> None:
    request = replace(GOOD, papers=Authorisation(own_original=True))
    assert failing(request) == [
        "signatures",
        "definition",
        "method",
        "regions",
        "base_read",
        "changed_ranges",
        "checksum",
        "consents",
    ]
    refused(request)


def test_an_original_that_lacks_a_writable_region_is_no_original() -> None:
    part = MemoryImage({CALIBRATION.place.at: ORIGINAL.spans[CALIBRATION.place.at]})
    error = refused(replace(request_for(DEFINITION, ORIGINAL, None), original=part))
    assert error.details == ("original_stored: fail: the stored original lacks code",)


# --- the plan


def test_a_plan_cannot_be_changed() -> None:
    plan = FlashPlan(GOOD)
    for field in dataclasses.fields(plan):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(plan, field.name, None)
    for field in dataclasses.fields(plan.order):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(plan.order, field.name, None)
    with pytest.raises(TypeError):
        FlashPlan(GOOD, gates=())  # type: ignore[call-arg]
    with pytest.raises((TypeError, ValueError), match="order"):
        replace(plan, order=plan.order)


def test_memory_that_changed_since_the_plan_was_made_is_not_written(box: Box, access: ProbeAccess) -> None:
    spans = {start: bytearray(data) for start, data in ORIGINAL.spans.items()}
    plan = FlashPlan(request_for(DEFINITION, MemoryImage(spans), None))
    spans[CALIBRATION.place.at][7] ^= 1
    box.in_preflight()
    with pytest.raises(PitboxError, match="TARGET_CHANGED"):
        run_virtual(write_plan(box.job, plan))
    assert access.erased == []
    assert box.journal.open_flashes() == []


# --- on the wire


class Trouble(AllClear):
    """A bus that is not clean, no room on the disk, or a wire that breaks."""

    def __init__(self, link: bool = True, disk: bool = True, breaks: BaseException | None = None) -> None:
        self._link = link
        self._disk = disk
        self._breaks = breaks

    async def listen(self) -> LinkHealth | None:
        if self._breaks:
            raise self._breaks
        return LinkHealth(load=0.1, errors=5, new_errors=0 if self._link else 5, bus_off=False)

    def free_bytes(self) -> int:
        return super().free_bytes() if self._disk else 0


class Untold(AllClear):
    """An ECU that does not tell the speed of its engine, or one whose engine turns."""

    def __init__(self, rpm: float | None = None) -> None:
        self._rpm = rpm

    async def engine_speed_rpm(self) -> float | None:
        return self._rpm


def wire_failing(box: Box, request: WriteRequest, conditions: AllClear | None = None) -> list[str]:
    """Names of the gates that a preflight refuses with; the job is then where it was."""
    before = box.state
    with pytest.raises(GatesRefusedError) as caught:
        run_virtual(preflight(box.job, request, conditions or AllClear()))
    assert box.state is before
    return [gate.name for gate in caught.value.failed]


def test_preflight_shows_every_gate_and_gives_a_plan(box: Box) -> None:
    box.read_verified()
    plan = run_virtual(preflight(box.job, GOOD, AllClear())).plan
    assert box.state is JobState.PREFLIGHT
    (event,) = (event for event in box.events if isinstance(event, GatesEvent))
    assert [gate.name for gate in event.gates] == OFFLINE + ON_THE_WIRE
    recorded: Any = box.journal.job(JOB).detail["gates"]
    assert [one["name"] for one in recorded] == OFFLINE + ON_THE_WIRE
    assert plan.order == FlashPlan(GOOD).order


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (replace(IDENTITY, hw="OTHER"), "HW is OTHER"),
        (replace(IDENTITY, hw=None), "does not tell its hardware number"),
        (replace(IDENTITY, sw="OTHER"), "SW is OTHER"),
        (replace(IDENTITY, boot="OTHER"), "BOOT is OTHER"),
        (replace(IDENTITY, vin="OTHER"), "VIN is OTHER"),
        (replace(IDENTITY, serial="OTHER"), "SERIAL is OTHER"),
    ],
)
def test_another_ecu_than_the_one_that_was_read_is_refused(
    box: Box, access: ProbeAccess, now: EcuIdentity, said: str
) -> None:
    box.read_verified()
    access.told = now
    assert wire_failing(box, GOOD) == ["identity"]
    assert said in str(box.journal.job(JOB).detail["gates"])


@pytest.mark.parametrize("field", ["ecu_hw", "ecu_sw", "ecu_boot"])
def test_a_file_for_another_ecu_is_refused(box: Box, field: str) -> None:
    box.read_verified()
    assert wire_failing(box, with_papers(**{field: "ANOTHER"})) == ["identity"]
    assert "the file is for" in str(box.journal.job(JOB).detail["gates"])


def test_a_file_for_another_vin_is_refused(box: Box) -> None:
    box.read_verified()
    assert wire_failing(box, with_papers(vin_matches=False)) == ["identity"]


def test_the_original_goes_back_onto_other_software(box: Box, access: ProbeAccess) -> None:
    box.read_verified()
    access.told = replace(IDENTITY, sw="TUNED-SW")
    run_virtual(preflight(box.job, request_for(DEFINITION, ORIGINAL, None), AllClear()))


def test_an_ecu_that_cannot_be_asked_is_refused(box: Box, access: ProbeAccess, ecu: ProbeEcu) -> None:
    box.read_verified()
    access.faults.append(Fault("identify", error=LinkLostError("plug")))
    assert wire_failing(box, GOOD) == ["identity"]
    ecu.running = False
    assert wire_failing(box, GOOD) == ["identity"]
    ecu.powered = False
    assert wire_failing(box, GOOD) == ["identity"]


def test_supply_link_and_host_fail_by_name(box: Box, meter: SteadyMeter) -> None:
    box.read_verified()
    assert wire_failing(box, GOOD, Trouble(link=False)) == ["link_clean"]
    assert wire_failing(box, GOOD, Trouble(disk=False)) == ["disk"]
    assert wire_failing(box, GOOD, Untold()) == ["engine_off"]
    meter.volts = 11.0
    assert wire_failing(box, GOOD) == ["voltage_window"]


def test_a_write_that_is_open_anywhere_in_the_box_bars_the_next(box: Box, definition: Definition) -> None:
    box.read_verified()
    box.journal.create_job("other")
    for state in (JobState.IDENTIFIED, JobState.PREFLIGHT):
        box.journal.move("other", state)
    box.journal.open_flash("other", FlashPlan(GOOD).order.to_json())
    assert wire_failing(box, GOOD) == ["no_open_write"]


def test_everything_wrong_is_shown_at_once(box: Box, access: ProbeAccess, meter: SteadyMeter) -> None:
    box.read_verified()
    access.told = EcuIdentity()
    meter.volts = 11.0
    wrong = replace(with_papers(signatures=bad("no")), original_file=None)
    failed = wire_failing(box, wrong, Trouble(link=False, disk=False))
    assert failed == ["signatures", "original_stored", "identity", "voltage_window", "link_clean", "disk"]


def shown(box: Box) -> dict[str, tuple[str, str]]:
    """Verdict and detail of each gate, as the journal kept them."""
    kept: Any = box.journal.job(JOB).detail["gates"]
    return {one["name"]: (one["verdict"], one["detail"]) for one in kept}


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (RuntimeError("broken"), "the check itself broke off (RuntimeError)"),
        (LinkLostError("the plug is out"), "could not be asked: the plug is out"),
        (ConnectionResetError("interface gone"), "could not be asked: interface gone"),
    ],
)
def test_a_gate_that_breaks_is_no_pass(box: Box, breaks: Exception, said: str) -> None:
    """Nor does it keep the gates behind it from being shown."""
    box.read_verified()
    assert wire_failing(box, GOOD, Trouble(breaks=breaks)) == ["bus_quiet", "link_clean"]
    assert {shown(box)[name][0] for name in ("bus_quiet", "link_clean")} == {"fail"}
    assert said in shown(box)["link_clean"][1]
    assert list(shown(box)) == OFFLINE + ON_THE_WIRE


def test_a_paper_gate_that_breaks_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(gate: ChangedRanges, request: WriteRequest) -> Any:
        raise LookupError("of its own")

    monkeypatch.setattr(ChangedRanges, "judge", broken)
    assert refused(GOOD).failed[0].findings[0].key == "gate_broken"
    assert [gate.name for gate in refused(GOOD).failed] == ["changed_ranges"]


def test_whoever_withdraws_in_the_middle_leaves_the_rest_pending(box: Box, access: ProbeAccess) -> None:
    box.read_verified()
    with pytest.raises(asyncio.CancelledError):
        run_virtual(preflight(box.job, GOOD, Trouble(breaks=asyncio.CancelledError())))
    assert box.state is JobState.READ_VERIFIED
    kept = {name: verdict for name, (verdict, _) in shown(box).items()}
    assert list(kept) == OFFLINE + ON_THE_WIRE
    at = ON_THE_WIRE.index("bus_quiet")
    assert {kept[name] for name in OFFLINE + ON_THE_WIRE[:at]} == {"pass"}
    assert {kept[name] for name in ON_THE_WIRE[at:]} == {"pending"}
    assert access.erased == []


def test_only_an_unknown_engine_speed_and_a_waiting_update_may_ever_be_waived() -> None:
    waivable = {gate.name: gate.waivable for gate in (*PAPER_GATES, *CAR_GATES) if gate.waivable}
    assert waivable == {"engine_off": {Verdict.UNKNOWN}, "no_update": {Verdict.FAIL}}
    assert len({gate.question for gate in (*PAPER_GATES, *CAR_GATES)}) == len(OFFLINE + ON_THE_WIRE)


def test_what_may_be_waived_is_waived_by_name_and_shown(box: Box) -> None:
    box.read_verified()
    word = Waiver("A. Smith", "stood beside it")
    waived = replace(GOOD, waivers={"engine_off": word})
    run_virtual(preflight(box.job, waived, Untold()))
    verdict, detail = shown(box)["engine_off"]
    assert verdict == "waived"
    assert detail.endswith("waived by A. Smith: stood beside it")


def test_a_turning_engine_is_waived_by_nobody(box: Box) -> None:
    box.read_verified()
    waived = replace(GOOD, waivers={"engine_off": Waiver("A. Smith", "in a hurry")})
    assert wire_failing(box, waived, Untold(750.0)) == ["engine_off"]
    assert "never waived" in shown(box)["engine_off"][1]
    own = request_for(DEFINITION, ORIGINAL, None)
    assert wire_failing(box, own, Untold(750.0)) == ["engine_off"]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.UNKNOWN, Verdict.PENDING])
@pytest.mark.parametrize("restores", [False, True])
@pytest.mark.parametrize("gate", [*PAPER_GATES, *CAR_GATES], ids=lambda one: one.name)
def test_a_word_sets_aside_what_the_gate_says_and_nothing_else(
    gate: Gate, restores: bool, verdict: Verdict
) -> None:
    own = request_for(DEFINITION, ORIGINAL, None) if restores else GOOD
    everything = {one.name: Waiver("A. Smith", "please") for one in (*PAPER_GATES, *CAR_GATES)}
    told = judging._settled(gate, Judgement(verdict, ()), replace(own, waivers=everything))
    assert told.passed == (verdict in gate.waivable)
    assert (told.verdict is Verdict.WAIVED) == told.passed
    assert told.passed or told.findings[-1].key == "gate_never_waived"


class UpdateWaits(AllClear):
    def update_pending(self) -> bool:
        return True


def test_an_update_never_keeps_an_original_from_going_back(box: Box) -> None:
    box.read_verified()
    assert wire_failing(box, GOOD, UpdateWaits()) == ["no_update"]
    run_virtual(preflight(box.job, request_for(DEFINITION, ORIGINAL, None), UpdateWaits()))
    assert shown(box)["no_update"][0] == "waived"


@pytest.mark.parametrize("gate", [*OFFLINE, "identity"])
def test_a_gate_that_may_not_be_waived_stays_shut(box: Box, gate: str) -> None:
    everything_wrong = replace(
        GOOD,
        papers=replace(Authorisation(own_original=False), signatures=bad("no"), vin_matches=False, use=""),
        tuned=MemoryImage({CALIBRATION.place.at: b"short"}),
        original_file=None,
        waivers={gate: Waiver("A. Smith", "please")},
    )
    told = {one.name: one for one in check_request(everything_wrong)}
    if gate in told:
        assert told[gate].verdict in (Verdict.FAIL, Verdict.UNKNOWN)
        assert told[gate].findings[-1].key == "gate_never_waived"
        return
    box.read_verified()
    assert gate in wire_failing(box, everything_wrong)
    assert "never waived" in shown(box)[gate][1]


def test_a_job_whose_box_died_in_preflight_passes_it_again(box: Box, reborn: Callable[[], Box]) -> None:
    box.in_preflight()
    again = reborn()
    assert wire_failing_from_preflight(again) is JobState.READ_VERIFIED
    run_virtual(preflight(again.job, GOOD, AllClear()))
    assert again.journal.job(JOB).original_file == ORIGINAL_FILE


def wire_failing_from_preflight(box: Box) -> JobState:
    with pytest.raises(GatesRefusedError):
        run_virtual(preflight(box.job, GOOD, Trouble(link=False)))
    return box.state


class NoBus(Untold):
    """A tap: nobody else talks on its wires, and no program runs that could be asked."""

    async def listen(self) -> LinkHealth | None:
        return None

    def temperature_c(self) -> float | None:
        return None


def test_what_an_access_cannot_ask_is_shown_as_not_applicable_with_its_reason(
    box: Box, access: ProbeAccess
) -> None:
    box.read_verified()
    access.diagnoses = False
    run_virtual(preflight(box.job, GOOD, NoBus()))
    reasons = {name: detail for name, (verdict, detail) in shown(box).items() if verdict == "not_applicable"}
    assert reasons == {
        "bus_quiet": "this way into the ECU has no bus that others talk on",
        "link_clean": "this way into the ECU has no bus that others talk on",
        "engine_off": "over this access no program of the ECU runs that could be asked",
        "temperature": "this machine has no temperature sensor",
    }


def test_where_a_program_answers_the_engine_is_asked_about_on_any_wire(box: Box) -> None:
    box.read_verified()
    assert wire_failing(box, GOOD, NoBus()) == ["engine_off"]
    assert wire_failing(box, GOOD, NoBus(750.0)) == ["engine_off"]


def test_what_signatures_and_checksums_find_is_told_by_key() -> None:
    """Screens translate it: no sentence of ours travels as a field."""
    by_name = {gate.name: gate for gate in check_request(with_papers(signatures=bad("the grant ran out")))}
    assert [one.key for one in by_name["signatures"].findings] == ["papers_refused"]
    assert by_name["signatures"].findings[0].fields["code"] == "VAULT_TEST"
    keys = [one.key for one in by_name["checksum"].findings]
    assert keys == ["checksum_no_module", "checksum_by_master"]
    alone = {gate.name: gate for gate in check_request(with_papers(checksum_by_master=False))}
    assert [one.key for one in alone["checksum"].findings] == ["checksum_no_module"]
