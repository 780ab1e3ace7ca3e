from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events import NoteEvent, Phase, ProgressEvent
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH, Range
from appliance.contract.records import Segment
from appliance.definitions.memory import Region, Sectors
from appliance.definitions.schema import Definition
from appliance.flashing.errors import ReadUnstableError
from appliance.flashing.image import MemoryImage
from appliance.flashing.read_agreement import SAMPLES_PER_CHUNK
from appliance.flashing.reading import ReadResult, read_twice
from appliance.flashing.safety import standing
from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, LinkLostError, Refusal
from appliance.vault.errors import VaultError
from appliance.vault.keys import KeyRing
from simulator.virtualtime import run_virtual
from tests.support.box import JOB, Box, Verify, small_definition
from tests.support.killing import Killed, Killer
from tests.support.probe_access import BURST_BYTES, Fault, ProbeAccess
from tests.support.probe_ecu import ProbeEcu

ENDLESS = 10_000
SAMPLES = 3 * SAMPLES_PER_CHUNK
"""Of the three regions, each of which is one chunk."""


@pytest.fixture
def verify() -> Verify:
    """Reading does not depend on how writes are proven."""
    return "hash"


def read_now(box: Box, *names: str) -> ReadResult:
    definition = box.job.definition
    if not box.journal.jobs():
        box.identified()
    return run_virtual(read_twice(box.job, [r for r in definition.regions if not names or r.name in names]))


def notes(box: Box) -> list[str]:
    return [event.text for event in box.events if isinstance(event, NoteEvent)]


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 0x10])


def _starts(image: MemoryImage) -> list[int]:
    return [start for _, start in image.spans]


def assert_clean(result: ReadResult, original: MemoryImage) -> None:
    assert result.image.spans == original.spans
    assert {one.bytes for one in result.passes} == {original.size_bytes}


def test_two_passes_that_agree(box: Box, access: ProbeAccess, original: MemoryImage) -> None:
    result = read_now(box)
    assert_clean(result, original)
    assert [one.sha256 for one in result.passes] == [original.sha256()] * 2
    assert [one.voted_blocks for one in result.passes] == [0, 0]
    assert access.calls["read"] == 2 * original.size_bytes // BURST_BYTES + SAMPLES
    assert sum(one.seconds for one in result.passes) == pytest.approx(2 * original.size_bytes / 200_000)
    assert {box.blobs.get(segment) for segment in result.segments} == {
        bytes(data) for data in original.spans.values()
    }
    assert access.closes == 1


def test_every_sealed_segment_is_opened_once(
    box: Box, original: MemoryImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    plain = box.blobs.get

    def get(segment: Segment) -> bytes:
        opened.append(segment.place.start)
        return plain(segment)

    monkeypatch.setattr(box.blobs, "get", get)
    assert_clean(read_now(box), original)
    assert sorted(opened) == _starts(original)


@given(call=st.integers(1, 96), seed=st.integers(0, 1000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_byte_read_wrong_once_is_voted_out(
    ram_path: Path, keys: KeyRing, definition: Definition, original: MemoryImage, call: int, seed: int
) -> None:
    def spoil(data: bytes) -> bytes:
        at = random.Random(seed).randrange(len(data))
        return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]

    access = ProbeAccess(ProbeEcu.holding(definition, original))
    access.faults.append(Fault("read", call=call, alters=spoil))
    box = Box(ram_path / f"{call}-{seed}-{random.random()}", keys, definition, access)
    result = read_now(box)
    assert_clean(result, original)
    assert sum(one.voted_blocks for one in result.passes) == 1
    assert [one.sha256 == original.sha256() for one in result.passes] == [call > 48, call <= 48]
    box.close()


def test_a_piece_that_never_reads_alike_twice_is_refused(
    box: Box, access: ProbeAccess, original: MemoryImage
) -> None:
    source = random.Random(3)
    access.faults.append(Fault("read", times=ENDLESS, alters=lambda data: source.randbytes(8) + data[8:]))
    with pytest.raises(ReadUnstableError):
        read_now(box)
    assert standing(box.journal, JOB).ecu is EcuSafety.UNTOUCHED
    assert access.closes == 1
    access.faults.clear()
    assert_clean(read_now(box), original)


@pytest.mark.parametrize(
    "error", [LinkLostError("plug"), EcuSilentError("nothing"), EcuRefusedError(Refusal.SESSION_LOST, "7F")]
)
def test_a_lost_link_is_waited_for_and_nothing_is_read_again(
    box: Box, access: ProbeAccess, original: MemoryImage, error: AccessError
) -> None:
    access.faults.append(Fault("read", call=30, times=3, error=error))
    assert_clean(read_now(box), original)
    assert len(access.read_addresses) == 2 * original.size_bytes // BURST_BYTES + SAMPLES
    assert len([text for text in notes(box) if "trying again" in text]) == 3


def test_a_link_that_stays_away_ends_the_read_and_the_next_try_goes_on(
    box: Box, access: ProbeAccess, original: MemoryImage
) -> None:
    access.faults.append(Fault("read", call=30, times=ENDLESS, error=LinkLostError("plug")))
    with pytest.raises(LinkLostError):
        read_now(box)
    assert box.state is JobState.READING
    access.faults.clear()
    before = len(access.read_addresses)
    assert_clean(read_now(box), original)
    boot_bytes = len(original.spans[FLASH, 0])
    pieces = (2 * original.size_bytes - boot_bytes) // BURST_BYTES
    assert len(access.read_addresses) - before == pieces + SAMPLES


@pytest.mark.parametrize("refusal", [Refusal.SECURITY, Refusal.AUTHENTICATION, Refusal.UNSUPPORTED])
def test_a_refusal_that_no_patience_helps_ends_the_read_at_once(
    box: Box, access: ProbeAccess, refusal: Refusal
) -> None:
    access.faults.append(Fault("read", call=3, times=ENDLESS, error=EcuRefusedError(refusal, "no")))
    with pytest.raises(EcuRefusedError):
        read_now(box)
    assert access.calls["read"] == 3


def test_an_answer_that_is_too_short_is_never_filled_up(
    box: Box, access: ProbeAccess, original: MemoryImage
) -> None:
    access.faults.append(Fault("read", call=5, alters=lambda data: data[:-1]))
    access.faults.append(Fault("read", call=9, alters=lambda data: data + b"\xff"))
    assert_clean(read_now(box), original)
    access.faults.append(Fault("read", times=ENDLESS, alters=lambda data: b""))
    box.journal.forget_chunks(JOB)
    with pytest.raises(LinkLostError, match="0 bytes came"):
        read_now(box)


def test_a_port_that_takes_less_after_it_was_lost_leaves_no_gap(
    box: Box, access: ProbeAccess, original: MemoryImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([1024, 1024, 300, 300, 7])
    monkeypatch.setattr(ProbeAccess, "max_read_bytes", property(lambda _: next(sizes, 512)))
    assert_clean(read_now(box), original)


def test_killed_at_every_commit_the_read_goes_on_where_it_stopped(
    ram_path: Path,
    keys: KeyRing,
    definition: Definition,
    original: MemoryImage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killer = Killer(ram_path / "0")
    killer.watch_commits(monkeypatch)
    ecu = ProbeEcu.holding(definition, original)
    deaths = 0
    for commits in range(1, 100):
        killer.state = ram_path / str(commits)
        first = Box(killer.state, keys, definition, ProbeAccess(ecu)).identified()
        killer.commits_left = commits
        try:
            read_now(first)
            break
        except Killed:
            deaths += 1
        access = ProbeAccess(ecu)
        again = Box(killer.state, keys, definition, access)
        kept = [
            chunk.segment.place.start
            for number in (1, 2)
            for chunk in again.journal.chunks(JOB, number).values()
        ]
        assert_clean(read_now(again), original)
        assert sorted(chunk_reads(definition, access) + kept) == sorted(
            2 * [start for _, start in original.spans]
        )
    killer.commits_left = 0
    assert deaths == 14


def chunk_reads(definition: Definition, access: ProbeAccess) -> list[int]:
    """Starts of the chunks an access was asked for; each region is one chunk here."""
    starts = {region.start for region in definition.regions}
    return [address for address in access.read_addresses if address in starts]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"rubbish")])
def test_a_chunk_that_the_disk_lost_is_read_again_and_no_other(
    box: Box,
    reborn: Callable[[], Box],
    access: ProbeAccess,
    definition: Definition,
    original: MemoryImage,
    damage: Callable[[Path], object],
) -> None:
    result = read_now(box)
    damage(box.blobs.path(result.segments[1].ct_sha256))
    access.read_addresses.clear()
    assert_clean(read_now(reborn()), original)
    assert chunk_reads(definition, access) == 2 * [definition.region("code").start]


def test_regions_are_read_alone_and_added_to_later(
    box: Box, access: ProbeAccess, original: MemoryImage, definition: Definition
) -> None:
    region = definition.region("calibration")
    part = read_now(box, "calibration")
    assert part.image.spans == {region.place.at: original.spans[region.place.at]}
    assert {one.bytes for one in part.passes} == {region.size_bytes}
    assert part.passes[0].sha256 == hashlib.sha256(original.spans[region.place.at]).hexdigest()
    access.read_addresses.clear()
    whole = read_now(box)
    assert_clean(whole, original)
    assert whole.passes[1].sha256 == original.sha256()
    assert region.start not in access.read_addresses
    assert read_now(box, "calibration").passes == part.passes


def test_a_region_cut_another_way_is_not_taken_for_the_one_before(
    box: Box, access: ProbeAccess, original: MemoryImage, definition: Definition
) -> None:
    read_now(box, "code")
    region = definition.region("code")
    half = Region(
        name="code",
        tag="code",
        start=region.start,
        size_bytes=8192,
        sectors=(Sectors(size_bytes=4096, count=2),),
    )
    result = run_virtual(read_twice(box.job, [half]))
    assert result.image.spans == {region.place.at: original.slice(region.place.part(0, 8192))}


def test_a_region_longer_than_a_segment_is_cut_and_joined(ram_path: Path, keys: KeyRing) -> None:
    definition = small_definition(sector_bytes=0x2_1000)
    original = MemoryImage(
        {r.place.at: random.Random(r.start).randbytes(r.size_bytes) for r in definition.regions}
    )
    box = Box(ram_path, keys, definition, ProbeAccess(ProbeEcu.holding(definition, original)))
    result = read_now(box)
    assert_clean(result, original)
    assert len(result.segments) == 2 + 4 + 3
    assert all(segment.place.length <= 256 * 1024 for segment in result.segments)


def test_cancelling_keeps_what_was_read(box: Box, access: ProbeAccess, original: MemoryImage) -> None:
    access.faults.append(Fault("read", call=20, takes_s=1000.0))
    box.identified()

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(500.0):
                await read_twice(box.job, box.job.definition.regions)

    run_virtual(cancelled())
    assert access.closes == 1
    assert len(box.journal.chunks(JOB, 1)) == 1
    assert_clean(read_now(box), original)


def test_a_disk_without_room_ends_the_read_and_loses_nothing(
    box: Box, access: ProbeAccess, original: MemoryImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = box.blobs.put, iter(range(100))

    def full(data: bytes, address: int) -> object:
        if next(calls) >= 2:
            raise VaultError("VAULT_DISK_FULL", path="/state")
        return put(data, address)

    monkeypatch.setattr(box.blobs, "put", full)
    with pytest.raises(PitboxError, match="VAULT_DISK_FULL"):
        read_now(box)
    monkeypatch.undo()
    assert len(box.journal.chunks(JOB, 1)) == 2
    assert_clean(read_now(box), original)


def test_progress_counts_delivered_bytes_and_ends_full(box: Box, original: MemoryImage) -> None:
    read_now(box)
    for phase in (Phase.READ_1, Phase.READ_2):
        shown = [e.done_bytes for e in box.events if isinstance(e, ProgressEvent) and e.phase is phase]
        assert shown == sorted(shown)
        assert shown[-1] == original.size_bytes


class ShiftedAccess(ProbeAccess):
    """From read number `since` on, each answer is the one to the read before: what a doubled answer does to a
    wire without echoes. A read of another length brings both back in step, or none ever does.
    """

    since = 1
    for_ever = False

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        data = await super().read(place, upwards=upwards)
        before, self._before = getattr(self, "_before", data), data
        late = self.calls["read"] >= self.since and (self.for_ever or len(before) == len(data))
        return before[: place.length].ljust(place.length, b"\xff") if late else data


@pytest.mark.parametrize("since", [1, 2, 30, 49, 50, 97])
@pytest.mark.parametrize("for_ever", [False, True])
def test_a_constant_shift_never_agrees_with_itself(
    ram_path: Path, keys: KeyRing, definition: Definition, original: MemoryImage, since: int, for_ever: bool
) -> None:
    access = ShiftedAccess(ProbeEcu.holding(definition, original))
    access.since, access.for_ever = since, for_ever
    box = Box(ram_path, keys, definition, access)
    try:
        result = read_now(box)
    except ReadUnstableError:
        return
    assert_clean(result, original)


class OneWayAccess(ProbeAccess):
    """Where a piece is read upwards, its second message brings the answer to its first one again."""

    async def read(self, place: Range, *, upwards: bool = True) -> bytes:
        data = await super().read(place, upwards=upwards)
        if not upwards or place.start > self.ecu.blocks()[0].start or place.length < 256:
            return data
        return data[:64] * 2 + data[128:]


def test_what_only_one_order_shows_is_not_agreed_on(
    ram_path: Path, keys: KeyRing, definition: Definition, original: MemoryImage
) -> None:
    """However often it comes alike: the other order says otherwise."""
    access = OneWayAccess(ProbeEcu.holding(definition, original))
    with pytest.raises(ReadUnstableError):
        read_now(Box(ram_path, keys, definition, access))


def test_passes_that_agree_on_what_samples_deny_are_read_again(
    box: Box, access: ProbeAccess, original: MemoryImage, definition: Definition
) -> None:
    """Both passes are spoilt alike: only reads of another shape can tell."""
    region = definition.region("code")
    spoilt = random.Random(9).randbytes(BURST_BYTES)
    passes = 2 * original.size_bytes // BURST_BYTES

    def alike(data: bytes) -> bytes:
        late = access.calls["read"] > passes + SAMPLES
        inside = region.start <= access.read_addresses[-1] < region.end
        return spoilt if inside and len(data) == BURST_BYTES and not late else data

    access.faults.append(Fault("read", times=ENDLESS, alters=alike))
    assert_clean(read_now(box), original)
    assert [text for text in notes(box) if "sample differs" in text] == [
        f"A sample differs from both reads in {region.place}: reading this part again"
    ]


def test_passes_that_samples_deny_every_time_are_refused(
    box: Box, access: ProbeAccess, original: MemoryImage
) -> None:
    access.faults.append(
        Fault(
            "read", times=ENDLESS, alters=lambda data: bytes(len(data)) if len(data) == BURST_BYTES else data
        )
    )
    with pytest.raises(ReadUnstableError):
        read_now(box)
