"""The yardstick for throughput, against frame counts and known figures (sources: isotp-ceilings)."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocols.isotp.ceiling import (
    Wire,
    ceiling_bytes_per_s,
    estimated_seconds,
    transfer_frames,
    transfer_seconds,
)
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.isotp.machine import Segmentation
from drivers.can.bits import frame_seconds
from simulator.bus import SimBus
from simulator.virtualtime import run_virtual

ADDRESS = IsoTpAddress(0x7E0, 0x7E8)
CLASSIC = Wire(500_000, ADDRESS)
FD = Wire(
    500_000,
    IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True),
    2_000_000,
    IsoTpSettings(tx_frame_bytes=64, bit_rate_switch=True),
)
MIXED = Wire(500_000, IsoTpAddress(0x7E1, 0x7E9, tx_extension=0x30, rx_extension=0x30))


@pytest.mark.parametrize(
    ("wire", "payload_bytes", "frames"),
    [
        (CLASSIC, 7, 1),
        (CLASSIC, 8, 3),
        (CLASSIC, 4095, 2 + 585 - 1 + 1),
        (MIXED, 6, 1),
        (MIXED, 7, 3),
        (FD, 62, 1),
    ],
)
def test_frames_of_a_payload(wire: Wire, payload_bytes: int, frames: int) -> None:
    assert len(list(transfer_frames(bytes(payload_bytes), wire))) == frames


def test_ceilings_lie_where_the_sheet_puts_them() -> None:
    assert 25_900 < ceiling_bytes_per_s(4095, CLASSIC) < 31_500
    assert ceiling_bytes_per_s(4095, MIXED) < ceiling_bytes_per_s(4095, CLASSIC)
    assert 150_000 < ceiling_bytes_per_s(4095, FD) < 180_000


@given(st.binary(min_size=1, max_size=600), st.sampled_from([CLASSIC, MIXED, FD]))
def test_an_undisturbed_link_takes_exactly_that_long(payload: bytes, wire: Wire) -> None:
    async def main() -> float:
        bus = SimBus(wire.bitrate_bps, wire.data_bitrate_bps)
        back = IsoTpAddress(
            wire.address.rx_id,
            wire.address.tx_id,
            wire.address.extended_ids,
            wire.address.rx_extension,
            wire.address.tx_extension,
        )
        sender = SoftIsoTpLink(bus.attach("sender"), wire.address, wire.settings)
        receiver = SoftIsoTpLink(bus.attach("receiver"), back, wire.settings)
        await sender.send(payload)
        seconds = asyncio.get_running_loop().time()
        assert await receiver.receive(1.0) == payload
        return seconds

    assert run_virtual(main()) == pytest.approx(transfer_seconds(payload, wire))


@given(st.lists(st.integers(0, 20)), st.integers(8, 64))
def test_frames_left_out_are_left_out_and_no_others(skips: list[int], room: int) -> None:
    payload = bytes(n * 7 & 0xFF for n in range(4000))
    whole, some = Segmentation(payload, CLASSIC.settings, room), Segmentation(payload, CLASSIC.settings, room)
    assert whole.opening() == some.opening()
    frames = [whole.consecutive() for _ in range(whole.frames_left)]
    assert whole.done
    at = 0
    for skipped in skips:
        if at + skipped >= len(frames):
            break
        some.skip(skipped)
        at += skipped + 1
        assert some.consecutive() == frames[at - 1]
        assert some.frames_left == len(frames) - at


@given(st.binary(min_size=1, max_size=300), st.sampled_from([CLASSIC, MIXED, FD]))
def test_the_estimate_of_a_short_payload_is_exact(payload: bytes, wire: Wire) -> None:
    assert estimated_seconds(payload, wire, 64) == pytest.approx(transfer_seconds(payload, wire))


@given(st.integers(0, 255), st.integers(300, 4095), st.integers(1, 32), st.sampled_from([CLASSIC, MIXED, FD]))
def test_an_estimate_takes_all_frames_for_such_as_it_looked_at(
    byte: int, length: int, samples: int, wire: Wire
) -> None:
    frames = list(transfer_frames(bytes((byte,)) * length, wire))
    times = [frame_seconds(frame, wire.bitrate_bps, wire.data_bitrate_bps) for frame in frames]
    begun, consecutive = times[:2], times[2:]
    estimate = estimated_seconds(bytes((byte,)) * length, wire, samples) - sum(begun)
    assert min(consecutive) * 0.9999 <= estimate / len(consecutive) <= max(consecutive) * 1.0001


@pytest.mark.parametrize("wire", [CLASSIC, MIXED])
def test_the_estimates_of_many_payloads_agree_with_their_frames(wire: Wire) -> None:
    dice = Random(1)
    kinds = (dice.randbytes(4095), bytes(4095), b"\xff" * 4095, bytes(range(256)) * 15, b"\x00\x01" * 2000)
    payloads = [bytes((0x36, number)) + kinds[number % len(kinds)][2:] for number in range(60)]
    exact = sum(transfer_seconds(payload, wire) for payload in payloads)
    assert sum(estimated_seconds(payload, wire, 8) for payload in payloads) == pytest.approx(exact, rel=0.01)


def test_a_mirrored_wire_is_the_other_ends() -> None:
    ours = IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True, tx_extension=0x10, rx_extension=0xF1)
    wire = Wire(500_000, ours)
    theirs = IsoTpAddress(0x18DAF110, 0x18DA10F1, extended_ids=True, tx_extension=0xF1, rx_extension=0x10)
    assert wire.mirrored() == Wire(500_000, theirs)
    assert wire.mirrored().mirrored() == wire
