"""Messages of KWP2000: every form of header there and back, and nothing that is none is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocols.kwp2000.bauds import code_of, rate_of
from appliance.protocols.kwp2000.framing import (
    FramingError,
    HeaderForm,
    Message,
    decode,
    encode,
    framed_bytes,
    missing_bytes,
)
from appliance.protocols.kwp2000.keybytes import KeyBytes, Spoken
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import SlowWake
from simulator.kline.framing import BrokenError, compose, parse, whole_bytes

FORMS = st.builds(
    HeaderForm,
    target=st.none() | st.integers(0, 255),
    source=st.integers(0, 255),
    functional=st.booleans(),
    length_byte=st.booleans(),
)
PAYLOADS = st.binary(min_size=1, max_size=255)


@pytest.mark.parametrize(
    ("form", "payload", "whole"),
    [
        (HeaderForm(0x33, functional=True), "81", "C133F18166"),
        (HeaderForm(0x01), "81", "8101F181F4"),
        (HeaderForm(), "1085", "02108597"),
        (HeaderForm(), "108587", "031085871F"),
        (HeaderForm(length_byte=True), "3E", "00013E3F"),
        (HeaderForm(0x10, length_byte=True), "3E", "8010F1013EC0"),
    ],
)
def test_known_messages(form: HeaderForm, payload: str, whole: str) -> None:
    assert encode(bytes.fromhex(payload), form) == bytes.fromhex(whole)


@given(FORMS, PAYLOADS)
def test_what_is_encoded_is_decoded_byte_by_byte(form: HeaderForm, payload: bytes) -> None:
    whole = encode(payload, form)
    assert framed_bytes(len(payload), form) == len(whole)
    for at in range(len(whole)):
        assert 0 < missing_bytes(whole[:at]) <= len(whole) - at
    assert missing_bytes(whole) == 0
    addressed = form.target is not None
    assert decode(whole) == Message(
        payload, form.target, form.source if addressed else None, addressed and form.functional
    )


@given(FORMS, PAYLOADS)
def test_host_and_ecu_were_written_apart_and_agree(form: HeaderForm, payload: bytes) -> None:
    whole = encode(payload, form)
    assert whole_bytes(whole) == len(whole)
    heard = parse(whole)
    assert (heard.payload, heard.target) == (payload, form.target)
    answer = compose(payload, form.target, 0x10, form.length_byte)
    assert decode(answer).payload == payload


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_an_error_and_both_sides_say_the_same(data: bytes) -> None:
    try:
        message = decode(data)
    except FramingError:
        message = None
    try:
        length = whole_bytes(data)
        heard = parse(data) if length == len(data) else None
    except BrokenError:
        heard = None
    assert (message is None) == (heard is None)
    if message is not None and heard is not None:
        assert (message.payload, message.target, message.source) == (
            heard.payload,
            heard.target,
            heard.source,
        )


@given(FORMS, PAYLOADS, st.data())
def test_one_changed_byte_never_passes_for_the_same_message(
    form: HeaderForm, payload: bytes, data: st.DataObject
) -> None:
    whole = bytearray(encode(payload, form))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(whole))
    except FramingError:
        return
    assert changed.payload != payload or at < 4


@pytest.mark.parametrize("size", [0, 256])
def test_a_payload_that_no_length_can_name_is_refused(size: int) -> None:
    with pytest.raises(FramingError):
        encode(bytes(size), HeaderForm())


def test_an_ecu_without_a_length_byte_gets_63_bytes_at_most() -> None:
    form = KeyBytes(0x09, 0x8F).limit(HeaderForm(0x10))
    assert len(encode(bytes(63), form)) == 67
    with pytest.raises(FramingError, match="no length byte"):
        encode(bytes(64), form)


@pytest.mark.parametrize(
    ("first", "second", "spoken"),
    [
        (0x08, 0x08, Spoken.ISO9141_2),
        (0x94, 0x94, Spoken.ISO9141_2),
        (0x01, 0x8A, Spoken.KWP1281),
        (0x6B, 0x8F, Spoken.KWP2000),
        (0xEF, 0x8F, Spoken.KWP2000),
        (0xD0, 0x8F, Spoken.KWP2000),
        (0x00, 0x00, Spoken.UNKNOWN),
    ],
)
def test_key_bytes_name_what_is_spoken(first: int, second: int, spoken: Spoken) -> None:
    assert KeyBytes(first, second).spoken is spoken


def test_key_bytes_say_which_headers_are_taken() -> None:
    addressed, plain = HeaderForm(0x10), HeaderForm()
    assert KeyBytes(0x6B, 0x8F).takes(addressed) and not KeyBytes(0x6B, 0x8F).takes(plain)
    assert KeyBytes(0xE5, 0x8F).takes(plain) and not KeyBytes(0xE5, 0x8F).takes(HeaderForm(length_byte=True))
    assert KeyBytes(0xEF, 0x8F).takes(plain) and KeyBytes(0xEF, 0x8F).takes(
        HeaderForm(0x10, length_byte=True)
    )
    assert KeyBytes(0xE0, 0x8F).takes(plain)


def test_the_rates_behind_10_are_those_of_the_field() -> None:
    known = {0x14: 10_400, 0x50: 38_400, 0x64: 57_600, 0x87: 124_800}
    assert {code: rate_of(code) for code in known} == known
    assert {code_of(rate) for rate in known.values()} == set(known)
    with pytest.raises(ValueError, match="no byte names 5000 bit/s"):
        code_of(5_000)


def test_timing_values_there_and_back() -> None:
    standard = KwpTiming()
    assert standard.record() == bytes.fromhex("32026E140A")
    assert standard.adopting(standard.record()) == standard
    fast = standard.adopting(bytes.fromhex("030150FF00"))
    assert (fast.p2_min_s, fast.p2_max_s, fast.p3_min_s, fast.p4_min_s) == (0.0015, 0.025, 0.04, 0.0)
    assert fast.p3_max_s == float("inf") and fast.record() == bytes.fromhex("030150FF00")


@pytest.mark.parametrize("record", ["", "32026E14", "32006E140A", "3202FF000A"])
def test_timing_that_cannot_be_is_refused(record: str) -> None:
    with pytest.raises(ValueError, match=r"timing values|exclude"):
        KwpTiming().adopting(bytes.fromhex(record))


@given(st.binary(min_size=5, max_size=5))
def test_timing_that_was_adopted_is_told_again_as_it_was(record: bytes) -> None:
    try:
        timing = KwpTiming().adopting(record)
    except ValueError:
        return
    assert timing.record() == record


@pytest.mark.parametrize(
    ("wake", "sent"),
    [
        (SlowWake(0x33), 0x33),
        (SlowWake(0x01, "odd"), 0x01),
        (SlowWake(0x11, "odd"), 0x91),
        (SlowWake(0x11, "even"), 0x11),
        (SlowWake(0x01, "even"), 0x81),
    ],
)
def test_the_parity_of_an_address_is_its_eighth_bit(wake: SlowWake, sent: int) -> None:
    assert wake.sent == sent
