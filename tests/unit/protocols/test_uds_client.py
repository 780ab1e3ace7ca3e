"""The request policy: timing, response pending, busy, repeats, and answers that belong to something else."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocols.access import AccessError, EcuRefusedError, EcuSilentError, LinkLostError, Refusal
from appliance.protocols.isotp.interface import IsoTpError
from appliance.protocols.uds.client import BUSY_DELAYS_S, BrokenTransferError, UdsClient
from appliance.protocols.uds.services import control
from appliance.protocols.uds.services.control import SessionTiming, change_session
from appliance.protocols.uds.services.data import read_data
from appliance.protocols.uds.services.memory import SpanFormat, read_memory
from appliance.protocols.uds.services.routine import start_routine
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.interface import CanBusGoneError
from simulator.virtualtime import run_virtual

from .scripted import ScriptedLink, SilentLink, asked, later, play

TIMING = UdsTiming(p2_s=0.05, p2_star_s=5.0, tester_present_s=2.0, pending_ceiling_s=20.0)
SPAN = SpanFormat(4, 2)
READ_A = "23 24 00001000 0002"
READ_B = "23 24 00002000 0002"
PRESENT = asked("3E 00", "7E 00")
IN_SESSION = asked("22 F186", "62 F186 01")


def client(link: ScriptedLink, functional: SilentLink | None = None) -> UdsClient:
    return UdsClient(link, functional, TIMING)


async def hw(link: ScriptedLink) -> bytes:
    return await client(link).ask(read_data(0xF191))


def test_an_answer_is_returned_without_its_echo() -> None:
    assert play(hw, asked("22 F191", "62 F191 41 42")) == b"AB"


def test_a_refusal_carries_name_code_and_class() -> None:
    with pytest.raises(
        EcuRefusedError, match=r"ReadDataByIdentifier refused: securityAccessDenied"
    ) as caught:
        play(hw, asked("22 F191", "7F 22 33"))
    assert (caught.value.code, caught.value.refusal) == (0x33, Refusal.SECURITY)


@pytest.mark.parametrize(
    "stray",
    ["62 F190 41", "7F 2E 22", "7E 00", "50 03 0032 01F4", "62 F1", "7F 22", "00"],
)
def test_what_is_not_the_answer_is_ignored(stray: str) -> None:
    assert play(hw, asked("22 F191", stray, later(0.02, "62 F191 41"))) == b"A"


def test_a_stray_answer_does_not_extend_the_deadline() -> None:
    steps = [asked("22 F191", later(0.14, "62 F190 41"), later(0.16, "62 F191 41"))]

    async def scenario(link: ScriptedLink) -> None:
        with pytest.raises(EcuSilentError, match="within 150 ms"):
            await client(link).ask(read_data(0xF191), attempts=1)

    play(scenario, *steps)


def test_response_pending_starts_p2_star_again_each_time() -> None:
    pending = [later(seconds, "7F 31 78") for seconds in (0.04, 5.0, 10.0, 15.0)]

    async def scenario(link: ScriptedLink) -> bytes:
        return await client(link).ask(start_routine(0xFF00, record_bytes=1))

    assert play(scenario, asked("31 01 FF00", *pending, later(19.0, "71 01 FF00 00")), PRESENT) == b"\x00"


def test_response_pending_ends_at_the_ceiling() -> None:
    pending = [later(seconds, "7F 31 78") for seconds in range(1, 40, 4)]

    async def scenario(link: ScriptedLink) -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(EcuSilentError):
            await client(link).ask(start_routine(0xFF00, record_bytes=0))
        return loop.time()

    assert play(scenario, asked("31 01 FF00", *pending)) == pytest.approx(20.0)


def test_pending_of_another_service_does_not_extend() -> None:
    async def scenario(link: ScriptedLink) -> None:
        with pytest.raises(EcuSilentError):
            await client(link).ask(read_data(0xF191), attempts=1)

    play(scenario, asked("22 F191", "7F 31 78", later(0.3, "62 F191 41")))


def test_busy_is_asked_again_until_it_is_not() -> None:
    busy = [asked("31 01 FF00", "7F 31 21") for _ in range(3)]

    async def scenario(link: ScriptedLink) -> list[float]:
        await client(link).ask(start_routine(0xFF00, record_bytes=0))
        times = [at for at, payload in link.sent if payload[0] == 0x31]
        return [round(after - before, 3) for before, after in itertools.pairwise(times)]

    assert play(scenario, *busy, asked("31 01 FF00", "71 01 FF00"), PRESENT) == [0.101, 0.201, 0.301]


def test_busy_forever_is_a_refusal() -> None:
    attempts = [asked("22 F191", "7F 22 21") for _ in range(len(BUSY_DELAYS_S) + 1)]
    with pytest.raises(EcuRefusedError) as caught:
        play(hw, *attempts)
    assert caught.value.refusal is Refusal.BUSY


def test_a_lost_answer_is_asked_for_again_once_the_ecu_is_known_to_be_through() -> None:
    assert play(hw, asked("22 F191"), PRESENT, asked("22 F191", "62 F191 41")) == b"A"


def test_a_broken_answer_counts_as_lost() -> None:
    lost = asked("22 F191", (0.01, IsoTpError("a frame is missing")))
    assert play(hw, lost, PRESENT, asked("22 F191", "62 F191 41")) == b"A"


def test_a_request_that_could_not_be_sent_is_sent_again() -> None:
    unsent = asked("22 F191", send_error=IsoTpError("no flow control"))

    async def scenario(link: ScriptedLink) -> int:
        asking = client(link)
        await asking.ask(read_data(0xF191))
        return asking.repeats

    assert play(scenario, unsent, PRESENT, asked("22 F191", "62 F191 41")) == 1


def test_the_late_answer_to_a_lost_read_is_not_taken_for_the_next_ones() -> None:
    """0x63 carries no address: only the order of answers tells them apart."""

    async def scenario(link: ScriptedLink) -> bytes:
        asking = client(link)
        with pytest.raises(EcuSilentError):
            await asking.ask(read_memory(SPAN, 0x1000, 2), attempts=1)
        return await asking.ask(read_memory(SPAN, 0x2000, 2))

    late = asked(READ_A, later(0.16, "63 AAAA"))
    settled = (asked("3E 00", later(0.03, "7E 00")), IN_SESSION)
    assert play(scenario, late, *settled, asked(READ_B, "63 BBBB"), PRESENT) == b"\xbb\xbb"


def test_a_read_of_another_length_is_not_an_answer() -> None:
    async def scenario(link: ScriptedLink) -> bytes:
        return await client(link).ask(read_memory(SPAN, 0x2000, 2))

    again = (PRESENT, IN_SESSION, asked(READ_B, "63 BBBB"), PRESENT)
    assert play(scenario, asked(READ_B, "63 AAAAAA", "63 BBBB"), *again) == b"\xbb\xbb"


def test_an_ecu_that_is_busy_with_the_lost_request_is_waited_for() -> None:
    steps = [
        asked("31 01 FF00"),
        asked("3E 00", "7F 3E 21"),
        asked("3E 00", "7F 31 78", "7F 3E 21"),
        asked("3E 00", "71 01 FF00", later(0.01, "7E 00")),
        asked("22 F191", "62 F191 41"),
    ]

    async def scenario(link: ScriptedLink) -> bytes:
        asking = client(link)
        with pytest.raises(EcuSilentError):
            await asking.ask(start_routine(0xFF00, record_bytes=0))
        return await asking.ask(read_data(0xF191))

    assert play(scenario, *steps) == b"A"


def test_what_changes_the_ecu_is_sent_once_and_waited_for_longer() -> None:
    async def scenario(link: ScriptedLink) -> float:
        with pytest.raises(EcuSilentError):
            await client(link).ask(start_routine(0xFF00, record_bytes=0))
        return asyncio.get_running_loop().time()

    assert play(scenario, asked("31 01 FF00")) == pytest.approx(5.1)


def test_a_silent_ecu_is_given_up_after_four_tries() -> None:
    with pytest.raises(EcuSilentError, match="TesterPresent"):
        play(hw, asked("22 F191"), *[asked("3E 00")] * 3)


def test_a_bus_that_is_gone_is_not_tried_again() -> None:
    with pytest.raises(LinkLostError) as caught:
        play(hw, asked("22 F191", send_error=CanBusGoneError("can0 vanished")))
    assert not isinstance(caught.value, BrokenTransferError)


def test_an_attempt_swallows_refusal_and_silence_within_its_deadline() -> None:
    async def scenario(link: ScriptedLink) -> tuple[bytes | None, bytes | None, float]:
        asking = client(link)
        refused = await asking.attempt(read_data(0xF191))
        silent = await asking.attempt(start_routine(0x0203, record_bytes=0), within_s=0.5)
        return refused, silent, asyncio.get_running_loop().time()

    steps = [asked("22 F191", "7F 22 31"), asked("31 01 0203")]
    refused, silent, now_s = play(scenario, *steps)
    assert (refused, silent) == (None, None)
    assert now_s < 0.6


def test_longer_promises_of_the_ecu_are_adopted_and_shorter_ones_are_not() -> None:
    assert TIMING.adopting(SessionTiming(0.5, 1.0)) == UdsTiming(0.5, 5.0, 2.0, 20.0)
    assert TIMING.adopting(SessionTiming(65.535, 655.35)) == UdsTiming(5.0, 20.0, 2.0, 20.0)

    async def scenario(link: ScriptedLink) -> bytes:
        asking = client(link)
        asking.adopt(await asking.ask(change_session(0x03)))
        return await asking.ask(read_data(0xF191), attempts=1)

    slow = asked("22 F191", later(1.05, "62 F191 41"))
    assert play(scenario, asked("10 03", "50 03 03E8 01F4"), slow) == b"A"


def test_the_definitions_timing_comes_back_with_the_default_session() -> None:
    async def scenario(link: ScriptedLink) -> None:
        asking = client(link)
        asking.adopt(SessionTiming(9.0, 9.0))
        asking.adopt(None)
        assert asking.timing == TIMING

    play(scenario)


def test_tester_present_goes_out_in_a_steady_beat_whatever_else_does() -> None:
    async def scenario(link: ScriptedLink) -> list[tuple[float, bytes]]:
        functional = SilentLink()
        asking = client(link, functional)
        asking.keep_session()
        await asyncio.sleep(3.0)
        await asking.ask(control.tester_present())
        await asyncio.sleep(3.9)
        await asking.release_session()
        await asyncio.sleep(10.0)
        return [(round(at, 2), payload) for at, payload in functional.sent]

    assert play(scenario, PRESENT) == [(at, b"\x3e\x80") for at in (2.0, 4.0, 6.0)]


def test_without_a_functional_link_tester_present_takes_its_turn_among_the_requests() -> None:
    """A read of one piece after the other leaves no pause, and the session is kept all the same."""
    piece = asked("22 F191", later(0.9, "62 F191 41"))

    async def scenario(link: ScriptedLink) -> list[float]:
        asking = client(link)
        asking.keep_session()
        for _ in range(6):
            await asking.ask(read_data(0xF191), first_answer_s=1.0)
        await asking.release_session()
        return [round(at, 2) for at, payload in link.sent if payload == b"\x3e\x80"]

    silent = asked("3E 80")
    steps = (piece, piece, piece, silent, piece, piece, silent, piece)
    assert play(scenario, *steps) == [2.7, 4.5]


def test_tester_present_keeps_coming_during_a_long_pending() -> None:
    async def scenario(link: ScriptedLink) -> int:
        functional = SilentLink()
        asking = client(link, functional)
        asking.keep_session()
        await asking.ask(start_routine(0xFF00, record_bytes=0))
        await asking.close()
        assert link.closed
        assert functional.closed
        return len(functional.sent)

    pending = [later(seconds, "7F 31 78") for seconds in (1, 5, 9)]
    assert play(scenario, asked("31 01 FF00", *pending, later(9.5, "71 01 FF00")), PRESENT) == 4


def test_without_a_functional_link_tester_present_waits_for_the_request_to_end() -> None:
    async def scenario(link: ScriptedLink) -> list[float]:
        asking = client(link)
        asking.keep_session()
        await asking.ask(start_routine(0xFF00, record_bytes=0))
        await asyncio.sleep(0.5)
        await asking.release_session()
        return [round(at, 2) for at, _ in link.sent]

    erase = asked("31 01 FF00", later(1.0, "7F 31 78"), later(4.2, "71 01 FF00"))
    assert play(scenario, erase, PRESENT, asked("3E 80")) == [0.0, 4.2, 4.2]


def test_tester_present_survives_a_bus_that_does_not() -> None:
    async def scenario(link: ScriptedLink) -> int:
        asking = client(link)
        asking.keep_session()
        await asyncio.sleep(4.5)
        await asking.release_session()
        return len(link.sent)

    assert play(scenario, asked("3E 80", send_error=CanBusGoneError("gone")), asked("3E 80")) == 2


def test_two_askers_take_turns() -> None:
    async def scenario(link: ScriptedLink) -> list[bytes]:
        asking = client(link)
        return list(await asyncio.gather(asking.ask(read_data(0xF191)), asking.ask(read_data(0xF190))))

    steps = [asked("22 F191", later(0.04, "62 F191 41")), asked("22 F190", "62 F190 42")]
    assert play(scenario, *steps) == [b"A", b"B"]


def test_a_cancelled_request_leaves_its_answer_behind() -> None:
    async def scenario(link: ScriptedLink) -> bytes:
        asking = client(link)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asking.ask(read_memory(SPAN, 0x1000, 2))
        return await asking.ask(read_memory(SPAN, 0x2000, 2))

    first = asked(READ_A, later(0.012, "63 AAAA"))
    settled = (asked("3E 00", later(0.01, "7E 00")), IN_SESSION)
    assert play(scenario, first, *settled, asked(READ_B, "63 BBBB"), PRESENT) == b"\xbb\xbb"


def test_what_arrived_between_two_requests_is_no_answer_and_puts_the_step_in_doubt() -> None:
    """The second copy of an answer comes while nobody asks; the next read of that shape must not take it."""

    async def scenario(link: ScriptedLink) -> list[bytes]:
        asking = client(link)
        first = await asking.ask(read_memory(SPAN, 0x1000, 2))
        await asyncio.sleep(1.0)
        assert not asking.lost_step
        second = await asking.ask(read_memory(SPAN, 0x2000, 2), attempts=2)
        assert not asking.lost_step
        return [first, second]

    steps = (
        asked(READ_A, "63 AAAA"),
        asked("3E 00", "7E 00", later(0.5, "63 AAAA")),
        asked(READ_B, "63 BBBB"),
        IN_SESSION,
        PRESENT,
        asked(READ_B, "63 BBBB"),
        IN_SESSION,
    )
    assert play(scenario, *steps) == [b"\xaa\xaa", b"\xbb\xbb"]


def test_an_ecu_that_never_stops_answering_is_never_believed() -> None:
    async def scenario(link: ScriptedLink) -> float:
        with pytest.raises(LinkLostError):
            await client(link).ask(read_memory(SPAN, 0x1000, 2), attempts=1)
        return asyncio.get_running_loop().time()

    chatter = [later(0.01 * n, "63 AAAA") for n in range(1, 2000)]
    assert play(scenario, asked(READ_A, *chatter), asked("3E 00", later(0.015, "7E 00"))) < 5


def test_a_refusal_left_over_from_another_request_refuses_nothing() -> None:
    """The true answer is behind it: what was sent once is told as lost, and never as refused."""

    async def scenario(link: ScriptedLink) -> None:
        with pytest.raises(BrokenTransferError, match="more answers than requests"):
            await client(link).ask(start_routine(0xFF00, record_bytes=1))

    steps = (asked("31 01 FF00", "7F 31 31", "71 01 FF00 00"), PRESENT, IN_SESSION)
    play(scenario, *steps)


def test_refusals_and_answers_with_something_else_before_them_are_doubted_alike() -> None:
    async def scenario(link: ScriptedLink) -> None:
        with pytest.raises(BrokenTransferError, match="more answers than requests"):
            await client(link).ask(start_routine(0xFF00, record_bytes=1))

    play(scenario, asked("31 01 FF00", "7E 00", "7F 31 31"), PRESENT, IN_SESSION)


@pytest.mark.parametrize(("second", "believed"), [("00", True), ("01", False)])
def test_two_answers_to_what_is_sent_once_count_if_they_say_the_same(second: str, believed: bool) -> None:
    async def scenario(link: ScriptedLink) -> bytes:
        return await client(link).ask(start_routine(0xFF00, record_bytes=1))

    steps = (asked("31 01 FF00", "71 01 FF00 00", f"71 01 FF00 {second}"), PRESENT, IN_SESSION)
    if believed:
        assert play(scenario, *steps) == b"\x00"
    else:
        with pytest.raises(BrokenTransferError, match="more answers than requests"):
            play(scenario, *steps)


def test_an_old_answer_to_the_same_question_is_not_the_new_one() -> None:
    """The supply is asked for again and again: what was doubled a second ago is no measurement."""

    async def scenario(link: ScriptedLink) -> list[bytes]:
        asking = client(link)
        first = await asking.ask(read_data(0xF442))
        await asyncio.sleep(1.0)
        return [first, await asking.ask(read_data(0xF442))]

    steps = (asked("22 F442", "62 F442 87", later(0.5, "62 F442 87")), asked("22 F442", "62 F442 50"))
    assert play(scenario, *steps) == [b"\x87", b"\x50"]


HEADS = [bytes.fromhex(head) for head in ("63", "62F191", "62F186", "7101FF00", "7F23", "7F31", "7E00", "7F")]
BYTES = st.one_of(
    st.binary(max_size=12),
    st.tuples(st.sampled_from(HEADS), st.binary(max_size=6)).map(b"".join),
)
ROWS = st.lists(st.lists(st.tuples(st.floats(0.0, 30.0), BYTES), max_size=6), max_size=12)


class BabblingLink(SilentLink):
    """Answers each request with the next row of payloads, whatever it asked; at last with nothing."""

    def __init__(self, rows: list[list[tuple[float, bytes]]]) -> None:
        super().__init__()
        self._rows = list(rows)
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.delivered: list[bytes] = []

    async def send(self, payload: bytes) -> None:
        await super().send(payload)
        loop = asyncio.get_running_loop()
        for delay_s, answer in self._rows.pop(0) if self._rows else ():
            loop.call_later(delay_s, self._arrive, answer)

    async def receive(self, timeout_s: float) -> bytes:
        async with asyncio.timeout(timeout_s):
            payload = await self._arrived.get()
        self.delivered.append(payload)
        return payload

    def drain(self) -> int:
        count = self._arrived.qsize()
        self._arrived = asyncio.Queue()
        return count

    def _arrive(self, answer: bytes) -> None:
        self._arrived.put_nowait(answer)


@given(ROWS, st.sampled_from(["did", "memory", "routine", "step"]))
def test_no_bytes_make_anything_but_an_answer_or_an_access_error(
    rows: list[list[tuple[float, bytes]]], what: str
) -> None:
    """Within bounded time, and what is returned is what one payload said to the question that was asked."""
    requests = {
        "did": read_data(0xF191),
        "memory": read_memory(SPAN, 0x1000, 2),
        "routine": start_routine(0xFF00, record_bytes=1),
    }

    async def main() -> None:
        link = BabblingLink(rows)
        asking = UdsClient(link, SilentLink(), TIMING)
        with suppress(AccessError):
            if what == "step":
                await asking.proves_step()
            else:
                request = requests[what]
                assert request.echo + await asking.ask(request) in link.delivered
        assert asyncio.get_running_loop().time() < 600
        await asking.close()

    run_virtual(main())
