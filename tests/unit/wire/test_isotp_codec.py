"""Protocol control information, frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocols.isotp.codec import (
    FlowControl,
    FlowStatus,
    first_frame,
    first_frame_length,
    padded,
    single_frame,
    single_frame_payload,
    stmin_seconds,
)
from appliance.protocols.isotp.interface import IsoTpError, IsoTpSettings
from appliance.protocols.isotp.machine import Reassembly, Segmentation

ROOMS = [size - extension for size in (8, 12, 16, 20, 24, 32, 48, 64) for extension in (0, 1)]


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (0x00, 0), (0x01, 0.001), (0x7F, 0.127), (0x80, 0.127), (0xF0, 0.127),
        (0xF1, 0.0001), (0xF9, 0.0009), (0xFA, 0.127), (0xFF, 0.127),
    ],
)  # fmt: skip
def test_separation_times(raw: int, seconds: float) -> None:
    assert stmin_seconds(raw) == pytest.approx(seconds)


@given(st.binary(max_size=70), st.sampled_from(ROOMS))
def test_a_single_frame_fits_and_reads_back_or_is_refused(payload: bytes, room: int) -> None:
    frame = single_frame(payload, room)
    limit = room - 1 if room <= 8 else room - 2
    assert (frame is None) == (len(payload) > limit)
    if frame is not None and payload:
        assert len(frame) <= room
        assert single_frame_payload(padded(frame, 0xAA, room > 8)) == payload


@given(st.integers(8, 10_000), st.sampled_from(ROOMS))
def test_a_first_frame_fills_its_room_and_tells_the_length(length: int, room: int) -> None:
    payload = bytes(n & 0xFF for n in range(length))
    if single_frame(payload, room) is not None:
        return
    frame, taken = first_frame(payload, room)
    assert len(frame) == room
    assert first_frame_length(frame) == (length, 2 if length <= 4095 else 6)
    assert frame[-taken:] == payload[:taken]


@pytest.mark.parametrize(
    "pci",
    [
        bytes.fromhex("1014"),  # cut short
        bytes.fromhex("100000001000"),  # cut short within the long length
        bytes.fromhex("1007112233445566"),  # would fit a single frame
        bytes.fromhex("10 06 112233445566"),  # is complete already
        bytes.fromhex("1000 00000000 1122"),  # zero length
        bytes((0x10, 62)) + bytes(62),  # would fit a single FD frame
    ],
)
def test_first_frames_that_the_standard_ignores(pci: bytes) -> None:
    assert first_frame_length(pci) is None
    receiver = Reassembly(IsoTpSettings())
    assert receiver.feed(pci) is None
    assert not receiver.active
    assert receiver.reply is None


@pytest.mark.parametrize(
    "pci", ["00", "0811223344556677", "05112233", "0000" + "11" * 10, "000b" + "11" * 10, ""]
)
def test_single_frames_of_impossible_length_are_ignored_amid_a_transfer(pci: str) -> None:
    receiver = Reassembly(IsoTpSettings())
    receiver.feed(bytes.fromhex("100a112233445566"))
    assert receiver.feed(bytes.fromhex(pci)) is None
    assert receiver.feed(bytes.fromhex("2177889900")) == bytes.fromhex("11223344556677889900")


def test_a_shortened_consecutive_frame_is_not_taken_for_less_data() -> None:
    receiver = Reassembly(IsoTpSettings())
    receiver.feed(bytes.fromhex("1014112233445566"))
    assert receiver.feed(bytes.fromhex("21aabb")) is None
    with pytest.raises(IsoTpError, match="2 came where 1 was due"):
        receiver.feed(bytes.fromhex("22aabbccddeeff00"))


def test_a_new_opening_ends_the_old_transfer() -> None:
    receiver = Reassembly(IsoTpSettings())
    receiver.feed(bytes.fromhex("1014112233445566"))
    assert receiver.feed(bytes.fromhex("02aabb")) == bytes.fromhex("aabb")
    assert not receiver.active
    receiver.feed(bytes.fromhex("1014112233445566"))
    receiver.feed(bytes.fromhex("1009aabbccddeeff"))
    assert receiver.feed(bytes.fromhex("21010203")) == bytes.fromhex("aabbccddeeff010203")


@pytest.mark.parametrize(
    ("pci", "flow"),
    [
        ("300000", FlowControl(FlowStatus.CONTINUE)),
        ("3108145555555555", FlowControl(FlowStatus.WAIT, 8, 0x14)),
        ("32ffff", FlowControl(FlowStatus.OVERFLOW, 255, 255)),
    ],
)
def test_flow_controls_read(pci: str, flow: FlowControl) -> None:
    assert FlowControl.decode(bytes.fromhex(pci)) == flow
    assert flow.encode() == bytes.fromhex(pci)[:3]


@pytest.mark.parametrize("pci", ["33 00 00", "3f 00 00", "30 00", "30"])
def test_flow_controls_that_end_a_transfer(pci: str) -> None:
    with pytest.raises(IsoTpError, match="invalid flow control"):
        FlowControl.decode(bytes.fromhex(pci))


@pytest.mark.parametrize("settings", [IsoTpSettings(max_payload_bytes=100)])
def test_a_payload_too_long_is_answered_with_overflow(settings: IsoTpSettings) -> None:
    receiver = Reassembly(settings)
    receiver.feed(bytes.fromhex("1065112233445566"))
    assert receiver.reply == FlowControl(FlowStatus.OVERFLOW)
    assert not receiver.active
    receiver.feed(bytes.fromhex("1064112233445566"))
    assert receiver.reply == FlowControl(FlowStatus.CONTINUE)


def test_the_length_escape_begins_at_4096_bytes() -> None:
    for length, head in ((4095, "1fff"), (4096, "100000001000"), (70_000, "100000011170")):
        frame = Segmentation(bytes(length), IsoTpSettings(), 8).opening()
        assert frame.hex().startswith(head)


@given(st.binary(min_size=8, max_size=300), st.sampled_from(ROOMS))
def test_sequence_numbers_wrap_and_every_byte_arrives_once(payload: bytes, room: int) -> None:
    sender, receiver = Segmentation(payload, IsoTpSettings(), room), Reassembly(IsoTpSettings())
    arrived = receiver.feed(sender.opening())
    number = 0
    while not sender.done:
        if sender.awaits_flow_control:
            sender.on_flow_control(b"\x30\x00\x00")
        frame = sender.consecutive()
        number = (number + 1) % 16
        assert frame[0] == 0x20 | number
        assert arrived is None
        arrived = receiver.feed(frame)
    assert arrived == payload


@given(st.lists(st.binary(max_size=64), max_size=40))
def test_garbage_never_breaks_a_receiver(frames: list[bytes]) -> None:
    receiver = Reassembly(IsoTpSettings(block_size=2, max_payload_bytes=1 << 16))
    for frame in frames:
        try:
            receiver.feed(frame)
        except IsoTpError:
            assert not receiver.active
    assert receiver.feed(b"\x02\xaa\xbb") == b"\xaa\xbb"


@given(st.lists(st.binary(max_size=12), max_size=40))
def test_garbage_never_breaks_a_sender(frames: list[bytes]) -> None:
    sender = Segmentation(bytes(200), IsoTpSettings(), 8)
    sender.opening()
    for frame in frames:
        try:
            sender.on_flow_control(frame)
        except IsoTpError:
            return
        while not sender.done and not sender.awaits_flow_control:
            sender.consecutive()


@pytest.mark.parametrize("length", [0x12345678, 0xFF000000, 0xFFFFFFFF])
def test_a_long_length_is_four_bytes(length: int) -> None:
    assert first_frame_length(b"\x10\x00" + length.to_bytes(4, "big") + b"\0\0") == (length, 6)
