"""Encoders against bytes of the standard and public sources, decoders against anything."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from inspect import isfunction
from typing import Any, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from udsoncan import services
from udsoncan.ResponseCode import ResponseCode

from appliance.protocols import nrc
from appliance.protocols.access import Dtc, EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.obd import services as obd
from appliance.protocols.request import Request
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.conversation import MisfitAnswerError
from appliance.protocols.uds.services import control, data, faults, memory, routine, transfer, unlock
from appliance.protocols.uds.services.memory import SpanFormat
from appliance.protocols.uds.status import require_preconditions, require_success, succeeded
from appliance.protocols.uds.timing import UdsTiming
from simulator.virtualtime import run_virtual

from .scripted import Parrot

SPAN = SpanFormat(4, 4)
BLOCK_ID_SPAN = SpanFormat(1, 4)

ENCODINGS: list[tuple[Request[Any], str, str]] = [
    (control.change_session(0x02), "10 02", "50 02"),
    (control.reset_ecu(), "11 01", "51 01"),
    (control.switch_communication(False), "28 03 01", "68 03"),
    (control.switch_communication(True), "28 00 01", "68 00"),
    (control.switch_dtc_setting(False), "85 02", "C5 02"),
    (control.switch_dtc_setting(True), "85 01", "C5 01"),
    (control.verify_rate(500_000, 0x12), "87 01 12", "C7 01"),
    (control.verify_rate(150_000, None), "87 02 02 49 F0", "C7 02"),
    (control.change_rate(), "87 03", "C7 03"),
    (control.tester_present(), "3E 00", "7E 00"),
    (unlock.request_seed(0x11, 4), "27 11", "67 11"),
    (unlock.send_key(0x11, b"\x01\x02\x03\x04"), "27 12 01020304", "67 12"),
    (unlock.authentication_configuration(), "29 08", "69 08"),
    (data.read_data(0xF190), "22 F190", "62 F190"),
    (data.write_data(0xF15A, b"\x26\x11"), "2E F15A 2611", "6E F15A"),
    (memory.read_memory(SpanFormat(3, 2), 0x10000, 0x800), "23 23 010000 0800", "63"),
    (routine.start_routine(0xFF00, b"\x01\x05", record_bytes=1), "31 01 FF00 0105", "71 01 FF00"),
    (routine.routine_results(0xFF00, record_bytes=1), "31 03 FF00", "71 03 FF00"),
    (transfer.request_download(0xAA, BLOCK_ID_SPAN, 5, 0x7FC00), "34 AA 41 05 0007FC00", "74"),
    (transfer.announced(bytes.fromhex("3482440008400000010000")), "34 82 44 00084000 00010000", "74"),
    (transfer.request_upload(0x00, SPAN, 0x80000000, 0x1000), "35 00 44 80000000 00001000", "75"),
    (transfer.send_block(0xFF, b"\xde\xad"), "36 FF DEAD", "76 FF"),
    (transfer.fetch_block(0x01), "36 01", "76 01"),
    (transfer.exit_transfer(), "37", "77"),
    (faults.clear_dtcs(), "14 FFFFFF", "54"),
    (faults.dtcs_by_status(0x0D), "19 02 0D", "59 02"),
    (obd.engine_speed(), "01 0C", "41 0C"),
    (obd.stored_dtcs(), "03", "43"),
    (obd.clear_emission_dtcs(), "04", "44"),
    (obd.pending_dtcs(), "07", "47"),
    (obd.permanent_dtcs(), "0A", "4A"),
    (obd.vin(), "09 02", "49 02"),
]


@pytest.mark.parametrize(
    ("request_", "sent", "echo"), ENCODINGS, ids=lambda value: getattr(value, "sid", value)
)
def test_encodings(request_: Request[Any], sent: str, echo: str) -> None:
    assert request_.payload == bytes.fromhex(sent)
    assert request_.echo == bytes.fromhex(echo)


NOT_REPEATABLE = {0x11, 0x27, 0x31, 0x34, 0x35, 0x37, 0x87}


def test_only_what_does_no_harm_twice_is_idempotent() -> None:
    for request, _, _ in ENCODINGS:
        seed = request.sid == 0x27 and request.payload[1] % 2 == 1
        results = request.sid == 0x31 and request.payload[1] == 0x03
        rate = request.sid == 0x87 and request.payload[1] != 0x03
        assert request.idempotent == (request.sid not in NOT_REPEATABLE or seed or results or rate)


@given(st.sampled_from([request for request, _, _ in ENCODINGS]), st.binary(max_size=64))
def test_decoders_take_anything_or_refuse_it_as_no_answer(request: Request[Any], rest: bytes) -> None:
    with suppress(ValueError):  # the documented way to say "not an answer to this"
        request.decode(rest)


@pytest.mark.parametrize(
    ("request_", "rest", "value"),
    [
        (control.change_session(3), "0032 01F4", control.SessionTiming(0.05, 5.0)),
        (control.change_session(3), "", None),
        (unlock.request_seed(1, 4), "00000000", bytes(4)),
        (unlock.authentication_configuration(), "02", 2),
        (transfer.request_download(0, SPAN, 0, 1), "20 0FFF", 0xFFF),
        (transfer.request_upload(0, SPAN, 0, 1), "40 00000102", 0x102),
        (transfer.request_download(0, SPAN, 0, 1), "10 10", 0x10),
        (faults.dtcs_by_status(0xFF), "FF", ()),
        (
            faults.dtcs_by_status(0xFF),
            "FF 030100 2C C10011 08",
            (Dtc("P0301-00", 0x2C), Dtc("U0100-11", 0x08)),
        ),
        (faults.dtcs_by_status(0xFF), "FF 030100 2C 00000000 0000", (Dtc("P0301-00", 0x2C),)),
        (obd.engine_speed(), "0BB8", 750.0),
        (obd.vehicle_speed(), "32", 50.0),
        (obd.module_voltage(), "34BC", 13.5),
        (obd.stored_dtcs(), "02 0301 9234 0000", (Dtc("P0301"), Dtc("B1234"))),
        (obd.stored_dtcs(), "00", ()),
        (obd.vin(), "01" + b"PBXTESTCAR0000E40".hex(), ("PBXTESTCAR0000E40",)),
        (
            obd.calibration_ids(),
            "02" + b"ONE".ljust(16, b"\0").hex() + b"TWO".ljust(16, b"\0").hex(),
            ("ONE", "TWO"),
        ),
        (obd.calibration_numbers(), "02 E400CAFE 00000001", ("E400CAFE", "00000001")),
        (obd.ecu_name(), "01" + b"ENGINE".ljust(20, b"\0").hex(), ("ENGINE",)),
    ],
)
def test_decodings(request_: Request[Any], rest: str, value: object) -> None:
    assert request_.decode(bytes.fromhex(rest)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("request_", "rest"),
    [
        (control.change_session(3), "0032 01"),
        (unlock.request_seed(1, 4), ""),
        (transfer.request_download(0, SPAN, 0, 1), ""),
        (transfer.request_download(0, SPAN, 0, 1), "20 0F"),
        (transfer.request_download(0, SPAN, 0, 1), "00"),
        (transfer.request_download(0, SPAN, 0, 1), "10 02"),
        (memory.read_memory(SPAN, 0, 2), "AA"),
        (transfer.fetch_block(1, 4), "AAAAAA"),
        (faults.dtcs_by_status(0xFF), ""),
        (faults.dtcs_by_status(0xFF), "FF 0301"),
        (obd.stored_dtcs(), "02 0301"),
        (obd.calibration_numbers(), "01 E400"),
        (obd.module_voltage(), "34"),
    ],
)
def test_malformed_records_are_no_answers(request_: Request[Any], rest: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        request_.decode(bytes.fromhex(rest))


@pytest.mark.parametrize(
    ("number", "code"),
    [(0x0301, "P0301"), (0x1234, "P1234"), (0x4001, "C0001"), (0x9ABC, "B1ABC"), (0xC100, "U0100")],
)
def test_fault_codes_are_written_as_people_do(number: int, code: str) -> None:
    assert faults.fault_code(number) == code


def test_text_is_never_guessed_at() -> None:
    assert obd.text(b"SW-1  \x00\x00") == "SW-1"
    assert obd.text(b"\x12\xab") == "12AB"


@given(st.integers(0, 0xFF))
def test_the_block_counter_visits_every_value(counter: int) -> None:
    assert transfer.next_counter(counter) == (counter + 1) % 256


@given(st.integers(1, 5), st.integers(1, 4), st.data())
def test_a_span_says_how_it_is_written(address_bytes: int, size_bytes: int, draw: st.DataObject) -> None:
    address = draw.draw(st.integers(0, 256**address_bytes - 1))
    size = draw.draw(st.integers(0, 256**size_bytes - 1))
    encoded = SpanFormat(address_bytes, size_bytes).encode(address, size)
    assert encoded[0] & 0x0F == address_bytes
    assert encoded[0] >> 4 == size_bytes
    assert int.from_bytes(encoded[1 : 1 + address_bytes]) == address
    assert int.from_bytes(encoded[1 + address_bytes :]) == size


def test_an_address_that_does_not_fit_is_not_cut_off() -> None:
    with pytest.raises(OverflowError):
        SpanFormat(2, 2).encode(0x10000, 1)


ALL_SERVICES: list[tuple[Request[Any], list[int], bool]] = [
    (control.change_session(0x02), [0, 4], False),
    (control.reset_ecu(), [0], False),
    (control.switch_communication(False), [0], False),
    (control.switch_dtc_setting(True), [0], False),
    (control.verify_rate(500_000, 0x12), [0], False),
    (control.verify_rate(250_000, None), [0], False),
    (control.change_rate(), [0], False),
    (control.tester_present(), [0], False),
    (unlock.request_seed(0x11, 4), [4], False),
    (unlock.send_key(0x11, b"\x01"), [0], False),
    (unlock.authentication_configuration(), [1], False),
    (data.active_session(), [1], False),
    (data.read_data(0xF191, 5), [5], False),
    (data.write_data(0xF15A, b"\x26"), [0], False),
    (memory.read_memory(SPAN, 0, 9), [9], True),
    (routine.start_routine(0xFF00, record_bytes=0), [0], True),
    (routine.start_routine(0x0202, record_bytes=4), [4], True),
    (routine.routine_results(0xFF00, record_bytes=1), [1], True),
    (transfer.send_block(0xFF, b"\xde\xad"), [0], False),
    (transfer.fetch_block(0x01, 7), [7], False),
    (transfer.exit_transfer(), [0], False),
    (faults.clear_dtcs(), [0], False),
    (obd.engine_speed(), [2], False),
    (obd.vehicle_speed(), [1], False),
    (obd.module_voltage(), [2], False),
    (obd.clear_emission_dtcs(), [0], False),
]
"""Every service with a record of known length: the request, these lengths, whether answers look alike."""
TABLED = {
    "change_session", "reset_ecu", "switch_communication", "switch_dtc_setting", "verify_rate",
    "change_rate", "tester_present",
    "request_seed", "send_key", "authentication_configuration", "active_session", "write_data", "read_memory",
    "start_routine", "routine_results", "send_block", "fetch_block", "exit_transfer",
    "clear_dtcs", "engine_speed", "vehicle_speed", "module_voltage", "clear_emission_dtcs",
}  # fmt: skip
OPEN_ENDED = {
    "read_data",
    "check_preconditions",
    "request_download",
    "announced",
    "request_upload",
    "dtcs_by_status",
    "stored_dtcs",
    "pending_dtcs",
    "permanent_dtcs",
    "vin",
    "calibration_ids",
    "calibration_numbers",
    "ecu_name",
}
"""Records that tell their own length, or text of any."""


def test_the_table_knows_every_service() -> None:
    made = {
        name
        for module in (control, data, faults, memory, routine, transfer, unlock, obd)
        for name, maker in vars(module).items()
        if isfunction(maker) and maker.__module__ == module.__name__ and not name.startswith("_")
        if get_origin(get_type_hints(maker)["return"]) is Request
    }
    assert made == OPEN_ENDED | TABLED


@pytest.mark.parametrize(("request_", "lengths", "lookalike"), ALL_SERVICES)
def test_a_record_of_another_length_is_no_answer(
    request_: Request[Any], lengths: list[int], lookalike: bool
) -> None:
    for length in range(12):
        if length in lengths:
            request_.decode(bytes(length))
        else:
            with pytest.raises(ValueError, match=r"."):
                request_.decode(bytes(length))
    assert request_.lookalike is lookalike


@pytest.mark.parametrize(("request_", "lengths", "lookalike"), ALL_SERVICES)
@pytest.mark.parametrize("spoil", ["short", "long", "echo", "cut echo"])
def test_a_spoilt_answer_is_an_error_and_never_success(
    request_: Request[Any], lengths: list[int], lookalike: bool, spoil: str
) -> None:
    """Through the client: an error that tells what came, within the time the request has."""
    whole = request_.echo + bytes(lengths[-1])
    wrong = {
        "short": whole[:-1] if lengths[-1] else request_.echo[:-1],
        "long": whole + b"\x00",
        "echo": _with_wrong_echo(request_, whole),
        "cut echo": request_.echo[:-1],
    }[spoil]

    async def main() -> None:
        client = UdsClient(Parrot({request_.payload: wrong}), None, UdsTiming(pending_ceiling_s=10.0))
        with pytest.raises((MisfitAnswerError, EcuSilentError)) as caught:
            await client.ask(request_)
        if spoil == "long":
            assert wrong[:4].hex(" ").upper() in str(caught.value)
        assert asyncio.get_running_loop().time() < 30

    run_virtual(main())


def _with_wrong_echo(request: Request[Any], whole: bytes) -> bytes:
    at = len(request.echo) - 1
    return whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]


def test_routine_status() -> None:
    assert not succeeded(b"")
    assert succeeded(b"\x00\x01")
    assert not succeeded(b"\x02")
    require_success(b"", "ecu.erase_failed")  # what the definition promises no status of
    require_success(b"\x00", "ecu.erase_failed")
    with pytest.raises(EcuRefusedError, match="erase failed with status 0200"):
        require_success(b"\x02\x00", "ecu.erase_failed")


def test_preconditions_are_met_by_an_empty_list_or_zeroes() -> None:
    """A bare `71 01 0203` is good; what follows it lists conditions (sources: uds-preconditions)."""
    require_preconditions(b"")
    require_preconditions(b"\x00")
    for record in (b"\x02", b"\x00\x01"):
        with pytest.raises(EcuRefusedError, match="not met") as caught:
            require_preconditions(record)
        assert caught.value.refusal is Refusal.CONDITIONS


CLASSES = {
    Refusal.CONDITIONS: [0x22, 0x81, 0x83, 0x88, 0x8D, 0x8F, 0x91],
    Refusal.VOLTAGE: [0x92, 0x93],
    Refusal.SECURITY: [0x33, 0x35],
    Refusal.LOCKED_OUT: [0x36, 0x37],
    Refusal.SEQUENCE: [0x24, 0x73],
    Refusal.PROGRAMMING: [0x71, 0x72],
    Refusal.SESSION_LOST: [0x7E, 0x7F],
    Refusal.AUTHENTICATION: [0x34, *range(0x50, 0x5E)],
    Refusal.BUSY: [0x21],
    Refusal.UNSUPPORTED: [0x10, 0x11, 0x12, 0x13, 0x14, 0x31, 0x70],
}


@pytest.mark.parametrize(("refusal", "codes"), CLASSES.items())
def test_refusals_are_classified_as_the_sheet_has_them(refusal: Refusal, codes: list[int]) -> None:
    assert {nrc.classify(code) for code in codes} == {refusal}


@given(st.integers(0, 0xFF), st.integers(0, 0xFF))
def test_every_refusal_can_be_shown(sid: int, code: int) -> None:
    error = nrc.refused(sid, code)
    assert error.code == code
    assert f"7F {sid:02X} {code:02X}" in str(error)


RESERVED_FOR_DATA_LINK_SECURITY = set(range(0x3B, 0x50))


def test_every_code_that_udsoncan_names_has_a_name() -> None:
    named = {name: value for name, value in vars(ResponseCode).items() if not name.startswith("_")}
    codes = {value for value in named.values() if isinstance(value, int) and 0 < value < 0x95}
    assert len(codes) > 40
    unnamed = {code for code in codes if nrc.nrc_name(code) == "unknown"}
    assert unnamed <= RESERVED_FOR_DATA_LINK_SECURITY


KNOWN_ELSEWHERE = {
    "OBD current data": 0x01,
    "OBD stored DTCs": 0x03,
    "OBD clear DTCs": 0x04,
    "OBD pending DTCs": 0x07,
    "OBD vehicle information": 0x09,
    "OBD permanent DTCs": 0x0A,
}
"""Modes of SAE J1979; the names of all others are those of udsoncan."""


def test_every_service_that_is_asked_is_named_as_others_name_it() -> None:
    named = {
        service._sid: service.__name__ for service in vars(services).values() if hasattr(service, "_sid")
    }
    for request in [request for request, _, _ in ENCODINGS]:
        name = nrc.service_name(request.sid)
        if request.sid < 0x10:
            assert KNOWN_ELSEWHERE[name] == request.sid
        else:
            assert name == named[request.sid]
    assert nrc.service_name(0xBA) == "service 0xBA"
