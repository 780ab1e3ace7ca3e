"""Our ISO-TP and the can-isotp package put the same frames on the wire, as sender and as receiver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import isotp
import pytest

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import CanFrame
from simulator.bus import SimBus
from simulator.virtualtime import run_virtual
from tests.support.canisotp_node import CanIsoTpNode

MODE = isotp.AddressingMode


@dataclass(frozen=True)
class Pair:
    """One address seen by us, and by the other library on the other side."""

    ours: IsoTpAddress
    theirs: isotp.Address


PAIRS = {
    "normal": Pair(IsoTpAddress(0x7E0, 0x7E8), isotp.Address(MODE.Normal_11bits, txid=0x7E8, rxid=0x7E0)),
    "normal fixed, 29 bit": Pair(
        IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True),
        isotp.Address(MODE.NormalFixed_29bits, target_address=0xF1, source_address=0x10),
    ),
    "extended": Pair(
        IsoTpAddress(0x6F1, 0x612, tx_extension=0x12, rx_extension=0xF1),
        isotp.Address(MODE.Extended_11bits, txid=0x612, rxid=0x6F1, source_address=0x12, target_address=0xF1),
    ),
    "extended, 29 bit": Pair(
        IsoTpAddress(0x1FFF0001, 0x1FFF0002, True, tx_extension=0x12, rx_extension=0xF1),
        isotp.Address(
            MODE.Extended_29bits, txid=0x1FFF0002, rxid=0x1FFF0001, source_address=0x12, target_address=0xF1
        ),
    ),
    "mixed": Pair(
        IsoTpAddress(0x7E0, 0x7E8, tx_extension=0x55, rx_extension=0x55),
        isotp.Address(MODE.Mixed_11bits, txid=0x7E8, rxid=0x7E0, address_extension=0x55),
    ),
    "mixed, 29 bit": Pair(
        IsoTpAddress(0x18CE10F1, 0x18CEF110, True, tx_extension=0x55, rx_extension=0x55),
        isotp.Address(MODE.Mixed_29bits, target_address=0xF1, source_address=0x10, address_extension=0x55),
    ),
}
SHORT = [1, 5, 6, 7, 8, 13, 14, 61, 62, 63, 113, 255, 256, 700]
LONG = [4095, 4096, 4500]


@dataclass
class Wire:
    bus: SimBus
    ours: SoftIsoTpLink
    theirs: CanIsoTpNode
    trace: list[CanFrame]


def wire(pair: Pair, settings: IsoTpSettings, **params: Any) -> Wire:
    bus = SimBus(500_000, 2_000_000)
    trace: list[CanFrame] = []
    bus.tap = trace.append
    fd = settings.tx_frame_bytes > 8
    foreign = {
        "blocksize": settings.block_size,
        "stmin": settings.stmin,
        "tx_padding": settings.padding,
        "tx_data_length": settings.tx_frame_bytes,
        "tx_data_min_length": 8 if fd and settings.padding is not None else None,
        "can_fd": fd,
        "bitrate_switch": fd and settings.bit_rate_switch,
        "max_frame_size": 1 << 20,
        **params,
    }
    return Wire(
        bus,
        SoftIsoTpLink(bus.attach("ours"), pair.ours, settings),
        CanIsoTpNode(bus.attach("theirs"), pair.theirs, foreign),
        trace,
    )


def mirrored(address: IsoTpAddress) -> IsoTpAddress:
    return IsoTpAddress(
        address.rx_id, address.tx_id, address.extended_ids, address.rx_extension, address.tx_extension
    )


def payload_of(length: int) -> bytes:
    return bytes((n * 31 + n // 256) & 0xFF for n in range(length))


async def we_send(pair: Pair, settings: IsoTpSettings, payload: bytes) -> list[CanFrame]:
    both = wire(pair, settings)
    await both.ours.send(payload)
    await asyncio.sleep(0.01)
    assert both.theirs.received() == payload
    assert both.theirs.errors == []
    return both.trace


async def they_send(pair: Pair, settings: IsoTpSettings, payload: bytes) -> list[CanFrame]:
    both = wire(pair, settings)
    both.theirs.send(payload)
    assert await both.ours.receive(1) == payload
    assert both.theirs.errors == []
    return both.trace


async def we_talk_to_ourselves(pair: Pair, settings: IsoTpSettings, payload: bytes) -> list[CanFrame]:
    bus = SimBus(500_000, 2_000_000)
    trace: list[CanFrame] = []
    bus.tap = trace.append
    sender = SoftIsoTpLink(bus.attach("sender"), mirrored(pair.ours), settings)
    receiver = SoftIsoTpLink(bus.attach("receiver"), pair.ours, settings)
    await asyncio.gather(sender.send(payload), receiver.receive(1))
    return trace


SETTINGS = {
    "padded": IsoTpSettings(padding=0x55),
    "bare": IsoTpSettings(padding=None),
    "blocks of 8": IsoTpSettings(padding=0xAA, block_size=8),
    "blocks of 1": IsoTpSettings(padding=0xCC, block_size=1),
    "FD 64": IsoTpSettings(padding=0xCC, block_size=8, tx_frame_bytes=64, bit_rate_switch=True),
    "FD 64 bare": IsoTpSettings(padding=None, tx_frame_bytes=64),
    "FD 32": IsoTpSettings(padding=0xCC, tx_frame_bytes=32),
    "FD 12": IsoTpSettings(padding=0xCC, tx_frame_bytes=12, block_size=3),
}


async def same_frames(pair: Pair, settings: IsoTpSettings, payload: bytes) -> None:
    sent_by_them = await they_send(pair, settings, payload)
    assert await we_talk_to_ourselves(pair, settings, payload) == sent_by_them
    sent_by_us = await we_send(pair, settings, payload)
    other_way = Pair(mirrored(pair.ours), pair.theirs)
    assert await we_talk_to_ourselves(other_way, settings, payload) == sent_by_us


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_the_same_frames_whoever_sends_and_whoever_receives(pair: Pair, settings: IsoTpSettings) -> None:
    for length in SHORT:
        run_virtual(same_frames(pair, settings, payload_of(length)))


@pytest.mark.parametrize("length", LONG)
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_the_same_frames_around_the_length_escape(pair: Pair, length: int) -> None:
    run_virtual(same_frames(pair, SETTINGS["padded"], payload_of(length)))


@pytest.mark.parametrize("stmin", [0x01, 0x0A, 0x7F, 0xF1, 0xF9])
def test_we_keep_the_separation_time_they_ask_for(stmin: int) -> None:
    async def main() -> None:
        both = wire(PAIRS["normal"], IsoTpSettings(), stmin=stmin)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await both.ours.send(payload_of(6 + 7 * 11))
        asked_s = stmin / 1000 if stmin <= 0x7F else (stmin - 0xF0) / 10_000
        assert loop.time() - began == pytest.approx(10 * asked_s + 13 * 0.00024, rel=0.05)
        assert both.trace[1].data[:3] == bytes((0x30, 0, stmin))
        assert both.theirs.received() == payload_of(6 + 7 * 11)

    run_virtual(main())


def test_both_tell_overflow_the_same_way() -> None:
    async def main() -> None:
        both = wire(PAIRS["normal"], IsoTpSettings(max_payload_bytes=100), max_frame_size=100)
        with pytest.raises(IsoTpError, match=r"FC\.OVERFLOW"):
            await both.ours.send(payload_of(101))
        both.theirs.send(payload_of(101))
        await asyncio.sleep(0.1)
        assert any(isinstance(error, isotp.OverflowError) for error in both.theirs.errors)
        ours, theirs = (
            next(f for f in both.trace if f.can_id == i and f.data[0] >> 4 == 3) for i in (0x7E0, 0x7E8)
        )
        assert (ours.data[0], theirs.data[0]) == (0x32, 0x32)

    run_virtual(main())


def test_they_endure_our_wait_frames() -> None:
    async def main() -> None:
        both = wire(PAIRS["normal"], IsoTpSettings(wait_frames=3), wftmax=3)
        both.theirs.send(payload_of(100))
        assert await both.ours.receive(1) == payload_of(100)
        assert both.theirs.errors == []

    run_virtual(main())


@pytest.mark.parametrize(
    "frame",
    [
        "0011223344556677",  # a single frame of length 0
        "0811223344556677",  # of length 8
        "1000000000001122",  # a first frame of length 0
        "2111223344556677",  # a consecutive frame that nobody asked for
        "4011223344556677",  # a kind that does not exist
        "00",
        "10",
        "",
    ],
)
def test_both_pass_over_the_same_nonsense(frame: str) -> None:
    async def main() -> None:
        both = wire(PAIRS["normal"], IsoTpSettings())
        stranger = both.bus.attach("stranger")
        for can_id in (0x7E0, 0x7E8):
            stranger.send(CanFrame(can_id, bytes.fromhex(frame)))
        await asyncio.sleep(0.1)
        assert both.theirs.received() == b""
        with pytest.raises(TimeoutError):
            await both.ours.receive(0.1)
        await both.ours.send(payload_of(30))
        await asyncio.sleep(0.01)
        assert both.theirs.received() == payload_of(30)

    run_virtual(main())
