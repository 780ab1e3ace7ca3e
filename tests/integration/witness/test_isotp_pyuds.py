"""Our ISO-TP cuts payloads into the frames that py-uds cuts them into, and each reads the other's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from uds.addressing import AddressingType
from uds.can import (
    CanAddressingFormat,
    CanAddressingInformation,
    CanDlcHandler,
    CanFlowStatus,
    CanPacket,
    CanPacketType,
    CanSegmenter,
)
from uds.message import UdsMessage

from appliance.protocols.isotp.codec import FlowControl, FlowStatus
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.isotp.machine import Reassembly
from drivers.can.interface import CanFrame
from simulator.bus import SimBus
from simulator.virtualtime import run_virtual

LENGTHS = [*range(1, 20), *range(58, 66), 111, 112, 113, 255, 256, 1000, 4094, 4095, 4096, 4500]
FORMAT = CanAddressingFormat


@dataclass(frozen=True)
class Pair:
    """One address seen by us, and the same node's in the other library's words."""

    ours: IsoTpAddress
    form: CanAddressingFormat
    tx: dict[str, int]
    rx: dict[str, int]

    def segmenter(self, settings: IsoTpSettings) -> CanSegmenter:
        other = {**self.tx, "can_id": 0x701}, {**self.rx, "can_id": 0x702}
        fixed = self.form in (FORMAT.NORMAL_FIXED_ADDRESSING, FORMAT.MIXED_29BIT_ADDRESSING)
        functional = (self.tx, self.rx) if fixed else other
        information = CanAddressingInformation(
            self.form,
            rx_physical_params=self.rx,
            tx_physical_params=self.tx,
            rx_functional_params=functional[1],
            tx_functional_params=functional[0],
        )
        padding = settings.padding
        return CanSegmenter(
            addressing_information=information,
            dlc=CanDlcHandler.encode_dlc(settings.tx_frame_bytes),
            min_dlc=None if padding is None else 8,
            use_data_optimization=True,  # FD frames no longer than they have to be
            filler_byte=0xCC if padding is None else padding,
        )


PAIRS = {
    "normal": Pair(
        IsoTpAddress(0x7E0, 0x7E8), FORMAT.NORMAL_ADDRESSING, {"can_id": 0x7E0}, {"can_id": 0x7E8}
    ),
    "normal fixed": Pair(
        IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True),
        FORMAT.NORMAL_FIXED_ADDRESSING,
        {"target_address": 0x10, "source_address": 0xF1},
        {"target_address": 0xF1, "source_address": 0x10},
    ),
    "extended": Pair(
        IsoTpAddress(0x6F1, 0x612, tx_extension=0x12, rx_extension=0xF1),
        FORMAT.EXTENDED_ADDRESSING,
        {"can_id": 0x6F1, "target_address": 0x12},
        {"can_id": 0x612, "target_address": 0xF1},
    ),
    "mixed": Pair(
        IsoTpAddress(0x7E0, 0x7E8, tx_extension=0x55, rx_extension=0x55),
        FORMAT.MIXED_11BIT_ADDRESSING,
        {"can_id": 0x7E0, "address_extension": 0x55},
        {"can_id": 0x7E8, "address_extension": 0x55},
    ),
    "mixed, 29 bit": Pair(
        IsoTpAddress(0x18CE10F1, 0x18CEF110, True, tx_extension=0x55, rx_extension=0x55),
        FORMAT.MIXED_29BIT_ADDRESSING,
        {"target_address": 0x10, "source_address": 0xF1, "address_extension": 0x55},
        {"target_address": 0xF1, "source_address": 0x10, "address_extension": 0x55},
    ),
}
SETTINGS = {
    "padded": IsoTpSettings(padding=0x55),
    "bare": IsoTpSettings(padding=None),
    "FD 64": IsoTpSettings(padding=0xCC, tx_frame_bytes=64),
    "FD 20": IsoTpSettings(padding=0xAA, tx_frame_bytes=20),
}
everything = pytest.mark.parametrize(
    ("pair", "settings"),
    [pytest.param(p, s, id=f"{a}, {b}") for a, p in PAIRS.items() for b, s in SETTINGS.items()],
)


def payload_of(length: int) -> bytes:
    return bytes((n * 31 + n // 256) & 0xFF for n in range(length))


def our_frames(pair: Pair, settings: IsoTpSettings, payload: bytes) -> list[CanFrame]:
    """What our link puts on the wire for the payload."""
    back = pair.ours
    mirrored = IsoTpAddress(back.rx_id, back.tx_id, back.extended_ids, back.rx_extension, back.tx_extension)

    async def main() -> list[CanFrame]:
        bus = SimBus(500_000, 2_000_000)
        trace: list[CanFrame] = []
        bus.tap = trace.append
        sender = SoftIsoTpLink(bus.attach("sender"), pair.ours, settings)
        receiver = SoftIsoTpLink(bus.attach("receiver"), mirrored, settings)
        await asyncio.gather(sender.send(payload), receiver.receive(1))
        return trace

    return run_virtual(main())


def their_packets(pair: Pair, settings: IsoTpSettings, payload: bytes) -> tuple[CanPacket, ...]:
    message = UdsMessage(payload, AddressingType.PHYSICAL)
    return tuple(pair.segmenter(settings).segmentation(message))


@everything
def test_the_same_frames_for_the_same_payload(pair: Pair, settings: IsoTpSettings) -> None:
    for length in LENGTHS:
        ours = [f for f in our_frames(pair, settings, payload_of(length)) if f.can_id == pair.ours.tx_id]
        theirs = their_packets(pair, settings, payload_of(length))
        assert [frame.data for frame in ours] == [bytes(packet.raw_frame_data) for packet in theirs]
        assert {frame.can_id for frame in ours} == {packet.can_id for packet in theirs}


@everything
def test_we_read_what_they_cut(pair: Pair, settings: IsoTpSettings) -> None:
    skip = 0 if pair.ours.tx_extension is None else 1
    for length in LENGTHS:
        receiver = Reassembly(settings)
        arrived = [
            receiver.feed(bytes(packet.raw_frame_data)[skip:])
            for packet in their_packets(pair, settings, payload_of(length))
        ]
        assert arrived[:-1] == [None] * (len(arrived) - 1)
        assert arrived[-1] == payload_of(length)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (FlowControl(FlowStatus.CONTINUE, 8, 0x14), (CanFlowStatus.ContinueToSend, 8, 0x14)),
        (FlowControl(FlowStatus.CONTINUE, 0, 0xF3), (CanFlowStatus.ContinueToSend, 0, 0xF3)),
        (FlowControl(FlowStatus.WAIT), (CanFlowStatus.Wait, None, None)),
        (FlowControl(FlowStatus.OVERFLOW), (CanFlowStatus.Overflow, None, None)),
    ],
)
def test_we_read_their_flow_control(
    pair: Pair, ours: FlowControl, theirs: tuple[CanFlowStatus, int | None, int | None]
) -> None:
    status, block_size, stmin = theirs
    packet = pair.segmenter(SETTINGS["padded"]).get_flow_control_packet(status, block_size, stmin)
    assert packet.packet_type is CanPacketType.FLOW_CONTROL
    skip = 0 if pair.ours.tx_extension is None else 1
    read = FlowControl.decode(bytes(packet.raw_frame_data)[skip:])
    assert read.status is ours.status
    if status is CanFlowStatus.ContinueToSend:
        assert read == ours
