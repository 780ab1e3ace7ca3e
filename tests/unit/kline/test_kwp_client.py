"""Requests to the strict ECU: services, times, refusals, and whatever goes wrong on the line between."""

from __future__ import annotations

import asyncio
import random
import zlib

import pytest

from appliance.protocols.access import Dtc, EcuRefusedError, EcuSilentError, LinkLostError, Refusal
from appliance.protocols.kwp2000.bauds import code_of
from appliance.protocols.kwp2000.client import KwpClient, MisfitAnswerError
from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.link import BrokenMessageError, KwpLink
from appliance.protocols.kwp2000.refusals import CHECK_MISMATCH, STILL_RUNNING
from appliance.protocols.kwp2000.services import control, data, memory
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import wake_fast
from simulator.kline.answering import AnswerFault
from simulator.kline.ecu import Phase
from simulator.kline.settings import KwpEcuSettings
from simulator.kline.wire import WireByte

from .kwp_bench import SECTOR_BYTES, START, KwpBench, now_s, on_a_bench

FORM, TIMING = HeaderForm(0x10), KwpTiming()
LEVEL = 0x01


async def awake(bench: KwpBench) -> KwpClient:
    await wake_fast(bench.line, FORM, TIMING)
    return KwpClient(KwpLink(bench.line, FORM, TIMING))


async def programming(bench: KwpBench, rate_bps: int | None = None) -> KwpClient:
    client = await awake(bench)
    await client.ask(control.start_session(control.PROGRAMMING_SESSION, rate_bps and code_of(rate_bps)))
    if rate_bps is not None:
        bench.line.set_rate(rate_bps)
    await unlocked(client)
    return client


async def unlocked(client: KwpClient) -> None:
    seed = await client.ask(data.request_seed(LEVEL))
    key = int.from_bytes(seed) ^ KwpEcuSettings().secret
    await client.ask(data.send_key(LEVEL, key.to_bytes(4)))


async def polled(client: KwpClient, routine: int) -> int:
    while True:
        try:
            return await client.ask(memory.routine_result(routine))
        except EcuRefusedError as error:
            if error.code != STILL_RUNNING:
                raise
            await asyncio.sleep(0.1)


def test_every_service_of_a_tester_who_keeps_the_rules() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        assert await client.ask(data.read_identification(0x9B)) == b"1K0909144E  2501"
        assert await client.ask(data.read_dtcs()) == (Dtc("C0123", 0xE0),)
        await client.ask(data.clear_dtcs())
        assert await client.ask(data.read_dtcs()) == ()
        assert await client.ask(memory.read_memory(START + 3, 100)) == bench.stock[3:103]
        assert await client.ask(memory.read_memory(START, 254)) == bench.stock[:254]
        limits = await client.ask(control.read_timing_limits())
        assert limits == KwpEcuSettings().limits
        await client.ask(control.stop_communication())
        assert bench.ecu.phase is Phase.ASLEEP
        assert bench.ecu.violations == []

    on_a_bench(work)


@pytest.mark.parametrize("rate_bps", [None, 38_400, 124_800])
def test_a_sector_is_erased_downloaded_without_a_counter_and_checked(rate_bps: int | None) -> None:
    wanted = random.Random(3).randbytes(SECTOR_BYTES)
    start = START + SECTOR_BYTES

    async def work(bench: KwpBench) -> None:
        client = await programming(bench, rate_bps)
        span = memory.span(start, SECTOR_BYTES)
        assert await client.ask(memory.start_routine(0xC4, span + b"PITBOX")) == 0
        assert await polled(client, 0xC4) == 0
        assert bench.server.routines.erased == [start]
        most = await client.ask(memory.request_download(start, SECTOR_BYTES)) - 1
        for at in range(0, SECTOR_BYTES, most):
            await client.ask(memory.transfer(wanted[at : at + most]))
        await client.ask(memory.end_transfer())
        for content, result in ((wanted, 0), (bench.stock[:SECTOR_BYTES], CHECK_MISMATCH)):
            check = (zlib.crc32(content) & 0xFFFF).to_bytes(2)
            await client.ask(memory.start_routine(0xC5, span + check))
            try:
                assert (await polled(client, 0xC5), result) == (0, 0)
            except EcuRefusedError as refused:
                assert refused.code == result
        assert bench.flash.read(start, SECTOR_BYTES) == wanted
        assert bench.ecu.violations == []

    on_a_bench(work)


def test_a_rate_that_the_ecu_does_not_have_is_refused_and_nothing_changes() -> None:
    async def work(bench: KwpBench) -> None:
        client = await awake(bench)
        with pytest.raises(EcuRefusedError):
            await client.ask(control.start_session(control.PROGRAMMING_SESSION, code_of(57_600)))
        assert bench.ecu.rate_bps == 10_400
        assert await client.ask(data.read_identification(0x9B))

    on_a_bench(work)


def test_timing_that_was_set_is_kept_until_the_session_changes() -> None:
    fast = TIMING.adopting(bytes.fromhex("020102FF00"))

    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        await client.ask(control.set_timing(fast))
        client.link.timing = fast
        began_s = now_s()
        await client.ask(memory.read_memory(START, 16))
        wire_s = (4 + 5 + 4 + 18) * 10 / 10_400
        assert now_s() - began_s < wire_s + 0.003
        await client.ask(control.start_session(control.STANDARD_SESSION))
        with pytest.raises(EcuSilentError):
            await client.ask(control.tester_present(), attempts=1)
        assert "P3" in bench.ecu.violations[0]

    on_a_bench(work)


def test_wrong_keys_lock_the_ecu_and_no_key_is_sent_twice() -> None:
    async def work(bench: KwpBench) -> None:
        client = await awake(bench)
        found = []
        for _ in range(3):
            await client.ask(data.request_seed(LEVEL))
            with pytest.raises(EcuRefusedError) as refused:
                await client.ask(data.send_key(LEVEL, bytes(4)))
            found.append(refused.value.code)
        assert found == [0x35, 0x35, 0x36]
        with pytest.raises(EcuRefusedError) as refused:
            await client.ask(data.request_seed(LEVEL))
        assert refused.value.refusal is Refusal.LOCKED_OUT
        keys = [request for request in bench.ecu.requests if request[:2] == b"\x27\x02"]
        assert len(keys) == 3

    on_a_bench(work)


def test_a_request_that_was_sent_again_is_counted_once() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        bench.ecu.faults.append(AnswerFault("garbled"))
        await client.ask(memory.read_memory(START, 16))
        assert client.repeats == 1

    on_a_bench(work)


@pytest.mark.parametrize("kind", ["late", "lost", "garbled", "cut"])
@pytest.mark.parametrize("delay_s", [0.12, 0.5, 1.4])
def test_after_an_answer_that_went_wrong_reads_still_bring_their_own_bytes(kind: str, delay_s: float) -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        for at in range(0, 64, 16):
            if at in (16, 32):
                bench.ecu.faults.append(AnswerFault(kind, delay_s))  # type: ignore[arg-type]
            assert await client.ask(memory.read_memory(START + at, 16)) == bench.stock[at : at + 16]
        assert client.repeats >= 2

    on_a_bench(work)


def test_random_noise_on_the_line_is_heard_as_noise_and_asked_again() -> None:
    chance = random.Random(5)

    async def work(bench: KwpBench) -> None:
        client = await programming(bench)

        def fault(byte: WireByte) -> None:
            if chance.random() < 0.004:
                byte.value = None if chance.random() < 0.5 else chance.randrange(256)

        bench.wire.fault = fault
        right = failed = 0
        for number in range(300):
            at = number * 16 % len(bench.stock)
            try:
                got = await client.ask(memory.read_memory(START + at, 16))
            except (LinkLostError, EcuSilentError, MisfitAnswerError):
                failed += 1
            else:
                assert got == bench.stock[at : at + 16]
                right += 1
        assert right > 200 and client.repeats > 10

    on_a_bench(work)


def test_a_transfer_whose_answer_was_lost_is_not_sent_again() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        await client.ask(memory.start_routine(0xC4, memory.span(START, SECTOR_BYTES)))
        await polled(client, 0xC4)
        await client.ask(memory.request_download(START, SECTOR_BYTES))
        bench.ecu.faults.append(AnswerFault("lost"))
        with pytest.raises(EcuSilentError):
            await client.ask(memory.transfer(bytes(16)))
        assert sum(request[0] == 0x36 for request in bench.ecu.requests) == 1

    on_a_bench(work)


def test_an_ecu_that_needs_time_says_so_and_is_waited_for() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        await client.ask(memory.start_routine(0xC4, memory.span(START, SECTOR_BYTES)))
        await polled(client, 0xC4)
        await client.ask(memory.request_download(START, SECTOR_BYTES))
        began_s = now_s()
        await client.ask(memory.transfer(bytes(100)))
        assert now_s() - began_s > 2.0
        assert client.repeats == 0 and bench.ecu.violations == []

    on_a_bench(work, KwpEcuSettings(program_s_per_byte=0.02))


def test_the_session_is_kept_while_nothing_is_asked_and_lost_without() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        client.keep_session()
        await asyncio.sleep(60)
        assert await client.ask(memory.read_memory(START, 4)) == bench.stock[:4]
        await client.release_session()
        await asyncio.sleep(5.5)
        assert bench.ecu.phase is Phase.ASLEEP
        assert bench.ecu.violations == []

    on_a_bench(work)


def test_somebody_who_speaks_into_a_request_is_told_and_nothing_more_is_sent() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        stranger = bench.wire.attach("stranger")
        asyncio.get_running_loop().call_later(0.056, stranger.send, b"\x0f\x0f\x0f")
        with pytest.raises(LinkLostError, match="somebody else"):
            await client.ask(memory.read_memory(START, 4), attempts=1)

    on_a_bench(work)


def test_an_answer_to_somebody_else_is_no_answer() -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        stranger = bench.wire.attach("stranger")
        bench.ecu.faults.append(AnswerFault("lost"))
        foreign = bytes.fromhex("81F1117E01")
        asyncio.get_running_loop().call_later(0.12, stranger.send, foreign)
        with pytest.raises(EcuSilentError):
            await client.ask(control.tester_present(), attempts=1)
        assert client.link.strangers == 1

    on_a_bench(work)


def test_a_line_that_does_not_fall_silent_is_told() -> None:
    async def work(bench: KwpBench) -> None:
        client = await awake(bench)
        bench.wire.attach("stranger").send(bytes(9000))
        with pytest.raises(BrokenMessageError, match="does not fall silent"):
            await client.link.settle(0.2)

    on_a_bench(work)


@pytest.mark.parametrize("delay_s", [0.12, 0.15, 0.18, 0.2, 0.22, 0.5, 1.0])
def test_the_late_answer_to_one_read_never_passes_for_that_to_the_next(delay_s: float) -> None:
    async def work(bench: KwpBench) -> None:
        client = await programming(bench)
        bench.ecu.faults.append(AnswerFault("late", delay_s))
        with pytest.raises(EcuSilentError):
            await client.ask(memory.read_memory(START, 16), attempts=1)
        assert await client.ask(memory.read_memory(START + 64, 16)) == bench.stock[64:80]

    on_a_bench(work)
