"""The protocol over the real driver: real bytes through a pseudo-terminal, and a simulated ECU behind it.

A pseudo-terminal carries no breaks, so the ECU is awake from the start; and it has no timing of its own, so
the ECU is patient. Times and wake-up are held by the tests on the simulated wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from appliance.protocols.access import LinkLostError
from appliance.protocols.kwp2000.bauds import code_of
from appliance.protocols.kwp2000.client import KwpClient
from appliance.protocols.kwp2000.framing import HeaderForm
from appliance.protocols.kwp2000.link import KwpLink
from appliance.protocols.kwp2000.services import control, data, memory
from appliance.protocols.kwp2000.timing import KwpTiming
from simulator.kline.answering import AnswerFault
from simulator.kline.ecu import Phase
from simulator.kline.settings import KwpEcuSettings, LineTimes

from .kwp_bench import SECTOR_BYTES, START, KwpBench
from .pty_line import FarEnd, line_over_a_pty, on_a_patient_loop

PATIENT = LineTimes(p2_s=0.001, p3_min_s=0.0, p3_max_s=600.0, p4_min_s=0.0, p4_max_s=60.0)
TIMING = KwpTiming(p2_min_s=0.0, p2_max_s=30.0, p3_min_s=0.001, p4_min_s=0.0)
Work = Callable[[KwpClient, KwpBench], Coroutine[Any, Any, None]]


def behind_a_pty(far: FarEnd) -> KwpBench:
    """Whatever comes over the terminal is on the simulated wire, and the other way round."""
    bench = KwpBench(replace(KwpEcuSettings(), times=PATIENT, exact_s=60.0))
    bench.ecu.phase = Phase.AWAKE
    node = bench.wire.attach("terminal")

    def carry(byte: bytes) -> bytes:
        node.rate_bps = far.rate_bps
        node.send(byte)
        return b""

    far.echo = carry
    node.on_byte = lambda value: far.send(bytes((value,)))
    return bench


def over_a_pty(work: Work) -> None:
    async def run() -> None:
        with line_over_a_pty() as (line, far):
            bench = behind_a_pty(far)
            await work(KwpClient(KwpLink(line, HeaderForm(0x10), TIMING)), bench)

    on_a_patient_loop(run())


async def unlocked(client: KwpClient) -> None:
    seed = await client.ask(data.request_seed(0x01))
    key = int.from_bytes(seed) ^ KwpEcuSettings().secret
    await client.ask(data.send_key(0x01, key.to_bytes(4)))


def test_memory_is_read_at_two_rates() -> None:
    async def work(client: KwpClient, bench: KwpBench) -> None:
        assert await client.ask(data.read_identification(0x9B)) == b"1K0909144E  2501"
        await client.ask(control.start_session(control.PROGRAMMING_SESSION, code_of(124_800)))
        client.link.line.set_rate(124_800)
        client.link.timing = TIMING
        await unlocked(client)
        for at in range(0, 2_032, 254):
            assert await client.ask(memory.read_memory(START + at, 254)) == bench.stock[at : at + 254]

    over_a_pty(work)


def test_a_sector_is_written() -> None:
    wanted = bytes(range(256)) * (SECTOR_BYTES // 256)

    async def work(client: KwpClient, bench: KwpBench) -> None:
        await client.ask(control.start_session(control.PROGRAMMING_SESSION, code_of(124_800)))
        client.link.line.set_rate(124_800)
        await unlocked(client)
        bench.flash.force(START, bytes((0xFF,)) * SECTOR_BYTES)
        bench.server.core.note_erased(START, SECTOR_BYTES)
        most = await client.ask(memory.request_download(START, SECTOR_BYTES)) - 1
        for at in range(0, SECTOR_BYTES, most):
            await client.ask(memory.transfer(wanted[at : at + most]))
        await client.ask(memory.end_transfer())
        assert bench.flash.read(START, SECTOR_BYTES) == wanted

    over_a_pty(work)


@pytest.mark.parametrize("kind", ["garbled", "cut"])
def test_a_broken_answer_is_asked_for_again(kind: str) -> None:
    async def work(client: KwpClient, bench: KwpBench) -> None:
        await unlocked(client)
        bench.ecu.faults.append(AnswerFault(kind))  # type: ignore[arg-type]
        assert await client.ask(memory.read_memory(START, 32)) == bench.stock[:32]
        assert client.repeats >= 1

    over_a_pty(work)


def test_an_adapter_that_is_unplugged_ends_a_request() -> None:
    async def run() -> None:
        with line_over_a_pty() as (line, far):
            heard = asyncio.Event()

            def note(data: bytes) -> bytes:
                heard.set()
                return b""

            far.answer = note
            client = KwpClient(KwpLink(line, HeaderForm(0x10), TIMING))
            asking = asyncio.create_task(client.ask(control.tester_present()))
            await heard.wait()
            far.unplug()
            with pytest.raises(LinkLostError, match=far.device):
                await asking

    on_a_patient_loop(run())
