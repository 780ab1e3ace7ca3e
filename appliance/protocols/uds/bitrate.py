"""Finds the bit rate of a bus without disturbing it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from drivers.can.interface import CanFrame, CanPort

PortOpener = Callable[[int, bool], Awaitable[CanPort]]
"""(bit rate, listen only) to an open port; the detector closes it."""

LISTENED_BPS = (500_000, 250_000, 125_000, 1_000_000, 100_000, 83_300, 33_300)
PROBED_BPS = (500_000, 250_000)
"""The two rates of a legislated OBD socket (ISO 15765-4)."""

_LISTEN_S = 0.25
_PROBE_S = 0.05
_PROBE = CanFrame(0x7DF, bytes.fromhex("023E805555555555"))
"""A tester present that nobody answers: its acknowledge is all that is wanted."""


async def detect_bitrate(
    open_port: PortOpener, listened_bps: tuple[int, ...] = LISTENED_BPS, *, may_probe: bool = True
) -> int | None:
    """Bit rate in bit/s, or None.

    Listens at each rate first: a frame with a valid CRC only appears at the right one. Only if the bus is
    silent at all of them (a diagnostic socket behind a gateway), asks at the legislated rates; another node
    acknowledges a frame at the right rate, and at a wrong one the port is closed at once.
    """
    for bitrate_bps in listened_bps:
        if await _hears_frame(await open_port(bitrate_bps, True)):
            return bitrate_bps
    for bitrate_bps in PROBED_BPS if may_probe else ():
        if await _is_acknowledged(await open_port(bitrate_bps, False)):
            return bitrate_bps
    return None


async def _hears_frame(port: CanPort) -> bool:
    heard = asyncio.Event()
    unsubscribe = port.subscribe(lambda frame: heard.set())
    try:
        return await _within(heard, _LISTEN_S)
    finally:
        unsubscribe()
        port.close()


async def _is_acknowledged(port: CanPort) -> bool:
    acknowledged = asyncio.Event()
    try:
        port.send(_PROBE, acknowledged.set)
        return await _within(acknowledged, _PROBE_S)
    finally:
        port.close()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
