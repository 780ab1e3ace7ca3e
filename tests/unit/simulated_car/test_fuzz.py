"""Whatever a tester sends, the ECU answers by the rules and lives on."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.car import Car, CarSettings
from simulator.ecu.chip import Program
from simulator.ecu.dispatch import SERVICES, wants_no_answer
from simulator.ecu.nrc import Nrc
from simulator.ecu.options import EcuOptions
from simulator.virtualtime import run_virtual

from .bench import CAL, RawTester, build, running, span

upload = build(reading={"method": "upload", "block_bytes": 1024}, sessions={"read_session": "default"})
sids = st.sampled_from(sorted(SERVICES)) | st.integers(0, 255)
tails = st.binary(max_size=12) | st.sampled_from(
    [
        b"\x01",
        b"\x02",
        b"\x03",
        b"\x82",
        b"\x44" + span(CAL, 0x1000),
        b"\x00\x44" + span(CAL, 0x1000),
        b"\x01\xff\x00\x44" + span(CAL, 0x1000),
        b"\x01\xff\x01",
        b"\x01\x02\x02\x44" + span(CAL, 0x100),
        b"\x03\xff\x00",
        b"\x01" + bytes(32),
        b"\x02" + bytes(32),
        b"\xf1\x90",
    ]
)
requests = st.builds(lambda sid, tail: bytes((sid,)) + tail, sids, tails)


async def ask_by_the_rules(tester: RawTester, request: bytes) -> None:
    tester.link.drain()
    try:
        answer = await tester.ask(request, timeout_s=6.0)
    except TimeoutError:
        assert wants_no_answer(request)
        return
    if answer[0] == 0x7F and len(answer) == 3 and request[0] != 0x3F:
        assert answer[1] == request[0]
        assert answer[2] in set(Nrc)
    else:
        assert answer[0] == request[0] + 0x40
    assert await tester.heard(0.1) is None


async def boot(car: Car) -> None:
    if car.ecu.program is Program.BOOTING:
        await asyncio.sleep(1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(requests, min_size=1, max_size=15),
    st.sampled_from(["default", "extended", "programming"]),
    st.booleans(),
)
def test_random_requests(sent: list[bytes], session: str, by_upload: bool) -> None:
    async def main() -> None:
        relaxed = CarSettings(options={"bench-ecu": EcuOptions(key_attempts=100)})
        async with running(upload if by_upload else build(), relaxed) as (car, tester):
            boot_area = car.ecu.memory.read(0x8000_0000, 0x4000)
            if session == "programming":
                await tester.enter_programming()
            elif session == "extended":
                await tester.ask("10 03")
                await tester.unlock(1)
            for request in sent:
                await boot(car)
                await ask_by_the_rules(tester, request)
            await boot(car)
            assert await tester.ask("3E 00") == b"\x7e\x00"
            assert car.ecu.memory.read(0x8000_0000, 0x4000) == boot_area

    run_virtual(main())
