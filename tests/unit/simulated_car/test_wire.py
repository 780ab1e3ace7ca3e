"""Odd but legal ISO-TP behaviour of the simulated ECU, and its kinds of addressing."""

from __future__ import annotations

import asyncio

import pytest

from appliance.protocols.isotp.interface import IsoTpError
from drivers.can.interface import CanFrame
from simulator.car import Car, CarSettings
from simulator.ecu.functional import single_frame_payload
from simulator.ecu.options import EcuOptions

from .bench import RawTester, build, on_virtual_time

LONG = bytes.fromhex("3D 44 D0000000 00000100") + bytes(range(256))


def quirks(**changes: int) -> CarSettings:
    return CarSettings(options={"bench-ecu": EcuOptions(**changes)})  # type: ignore[arg-type]


async def send_long(car: Car, tester: RawTester) -> tuple[list[CanFrame], float]:
    """Frames of the ECU while it takes a request of 266 bytes, and the seconds that took."""
    await tester.ask("10 03")
    await tester.unlock(1)
    frames: list[CanFrame] = []
    tester.port.subscribe(frames.append)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await tester.ask(LONG))[0] == 0x7D
    return [frame for frame in frames if frame.data[0] >> 4 == 3], loop.time() - began


@pytest.mark.parametrize(("block_size", "count"), [(0, 1), (1, 38), (8, 5)])
def test_block_size(block_size: int, count: int) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        flow, _ = await send_long(car, tester)
        assert len(flow) == count
        assert {frame.data[1] for frame in flow} == {block_size}

    on_virtual_time(scenario, settings=quirks(block_size=block_size))


@pytest.mark.parametrize(("stmin", "gap_s"), [(0xF3, 0.0003), (0x0A, 0.010), (0x7F, 0.127)])
def test_separation_time(stmin: int, gap_s: float) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        flow, seconds = await send_long(car, tester)
        assert flow[0].data[2] == stmin
        assert seconds > 36 * gap_s

    on_virtual_time(scenario, settings=quirks(stmin=stmin))


def test_wait_frames() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        flow, _ = await send_long(car, tester)
        assert [frame.data[0] for frame in flow] == [0x31, 0x31, 0x31, 0x30]

    on_virtual_time(scenario, settings=quirks(wait_frames=3))


def test_overflow() -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        with pytest.raises(IsoTpError, match="OVERFLOW"):
            await tester.ask(LONG)
        assert await tester.ask("3E 00") == b"\x7e\x00"

    on_virtual_time(scenario, settings=quirks(max_payload_bytes=100))


@pytest.mark.parametrize(
    ("addressing", "bus"),
    [
        ({"mode": "mixed", "request_extension": 0x18}, {}),
        ({"mode": "extended", "request_extension": 0x12, "response_extension": 0xF1}, {}),
        (
            {
                "extended_ids": True,
                "request_id": 0x18DA10F1,
                "response_id": 0x18DAF110,
                "functional_id": 0x18DB33F1,
            },
            {},
        ),
        ({}, {"kind": "can-fd", "data_bitrate_bps": 2_000_000}),
    ],
)
def test_every_kind_of_addressing(addressing: dict[str, object], bus: dict[str, object]) -> None:
    async def scenario(car: Car, tester: RawTester) -> None:
        await send_long(car, tester)
        tester.broadcast("22 F186")
        assert await tester.heard() == bytes.fromhex("62 F186 03")

    on_virtual_time(scenario, build(addressing=addressing, bus=bus))


@pytest.mark.parametrize(
    ("frame", "extension", "payload"),
    [
        ("02 3E80 5555555555", None, "3E80"),
        ("10 14 62F1905042584A", None, None),
        ("00 55555555555555", None, None),
        ("08 01020304050607", None, None),
        ("12 02 3E80 55555555", 0x12, "3E80"),
        ("13 02 3E80 55555555", 0x12, None),
        ("", None, None),
        ("00 09 010203040506070809 CC", None, "010203040506070809"),
    ],
)
def test_single_frames_to_everyone(frame: str, extension: int | None, payload: str | None) -> None:
    expected = bytes.fromhex(payload) if payload else None
    assert single_frame_payload(bytes.fromhex(frame), extension) == expected
