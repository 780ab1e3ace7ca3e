"""Every service of KWP2000: its bytes, what the ECU repeats of them, and which records it may answer with."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.protocols.kwp2000.services import control, data, memory
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.request import Request

ONCE, AGAIN = False, True
"""Whether it may be sent again when its answer was lost."""
ENCODINGS: list[tuple[Request[Any], str, str, bool]] = [
    (control.start_session(0x85), "10 85", "50 85", AGAIN),
    (control.start_session(0x85, 0x87), "10 85 87", "50 85", ONCE),
    (control.read_timing_limits(), "83 00", "C3 00", AGAIN),
    (control.set_timing(KwpTiming()), f"83 03 {KwpTiming().record().hex()}", "C3 03", ONCE),
    (control.tester_present(), "3E", "7E", AGAIN),
    (control.stop_communication(), "82", "C2", ONCE),
    (control.reset_ecu(), "11 01", "51", ONCE),
    (data.read_identification(0x9B), "1A 9B", "5A 9B", AGAIN),
    (data.flash_status(0x9C), "1A 9C", "5A 9C", AGAIN),
    (data.read_dtcs(), "18 02 FF00", "58", AGAIN),
    (data.clear_dtcs(), "14 FF00", "54 FF00", AGAIN),
    (data.request_seed(0x01), "27 01", "67 01", AGAIN),
    (data.send_key(0x01, b"\xca\xfe"), "27 02 CAFE", "67 02", ONCE),
    (memory.read_memory(0x810000, 0xFE), "23 810000 FE", "63", AGAIN),
    (memory.request_download(0x810000, 0x10000, 0x11), "34 810000 11 010000", "74", ONCE),
    (memory.request_upload(0x810000, 0x200), "35 810000 00 000200", "75", ONCE),
    (memory.next_piece(), "36", "76", ONCE),
    (memory.transfer(b"\xde\xad"), "36 DEAD", "76", ONCE),
    (memory.end_transfer(), "37", "77", ONCE),
    (memory.start_routine(0xC4, memory.span(0x810000, 0x10000)), "31 C4 810000 81FFFF", "71 C4", ONCE),
    (memory.routine_result(0xC4), "33 C4", "73 C4", AGAIN),
]


@pytest.mark.parametrize(("asked", "payload", "echo", "again"), ENCODINGS)
def test_a_service_has_its_bytes_and_its_answer_is_told_by_what_the_ecu_repeats(
    asked: Request[Any], payload: str, echo: str, again: bool
) -> None:
    """Of a session with a bit rate the ECU repeats the session alone: what follows is a byte of its own."""
    assert asked.payload == bytes.fromhex(payload)
    assert asked.echo == bytes.fromhex(echo)
    assert asked.idempotent is again


ANNOUNCING = [memory.request_download(0, 0x100), memory.request_upload(0, 0x100)]


@pytest.mark.parametrize("asked", ANNOUNCING)
@pytest.mark.parametrize(("record", "longest"), [("02", 2), ("FF", 255), ("0002", 2), ("0401", 0x401)])
def test_a_transfer_is_announced_with_its_longest_message(
    asked: Request[int], record: str, longest: int
) -> None:
    assert asked.decode(bytes.fromhex(record)) == longest


@pytest.mark.parametrize("asked", ANNOUNCING)
@pytest.mark.parametrize("record", ["", "00", "01", "0000", "0001", "000000", "000401"])
def test_a_message_without_room_for_a_byte_or_a_length_of_another_size_is_none(
    asked: Request[int], record: str
) -> None:
    with pytest.raises(ValueError, match="no length of a block"):
        asked.decode(bytes.fromhex(record))


@pytest.mark.parametrize(
    "asked",
    [control.start_session(0x85, 0x87), memory.start_routine(0xC4, b""), memory.routine_result(0xC4)],
)
def test_one_byte_of_its_own_may_follow_and_no_more(asked: Request[int]) -> None:
    assert [asked.decode(b""), asked.decode(b"\x01")] == [0, 1]
    with pytest.raises(ValueError, match="2 bytes behind"):
        asked.decode(b"\x00\x00")
