"""Rate, share of the wire, time left: figures a technician plans by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.contract.events import Phase, ProgressEvent
from appliance.contract.voltage import Voltage
from appliance.flashing.progress import Progress, wire_share
from appliance.protocols.access import WireMeter
from simulator.virtualtime import run_virtual

SUPPLY = Voltage(13.5, 0.1, "steady")
POWER: Any = SimpleNamespace(voltage=lambda: SUPPLY)


def shown(*steps: tuple[float, int, bool], total: int = 1000, ceiling: float = 200.0) -> list[ProgressEvent]:
    """Events of a phase in which, after so many seconds each, bytes were done."""
    events: list[Any] = []

    async def scene() -> None:
        meter = WireMeter(ceiling_bytes_per_s=ceiling)
        progress = Progress(events.append, "job", Phase.WRITE, total, lambda: meter, POWER)
        for seconds, count, moved in steps:
            await asyncio.sleep(seconds)
            progress.add(count, moved=moved)

    run_virtual(scene())
    return events


def test_time_left_is_what_is_left_at_the_rate_so_far() -> None:
    first, second = shown((2.0, 200, True), (2.0, 200, True))
    assert (first.bytes_per_s, first.eta_s, first.wire_share) == (100.0, 8.0, 0.5)
    assert (second.done_bytes, second.total_bytes, second.eta_s) == (400, 1000, 6.0)
    assert (second.phase, second.job_id, second.voltage) == (Phase.WRITE, "job", SUPPLY)


def test_at_the_end_no_time_is_left() -> None:
    assert shown((10.0, 1000, True))[-1].eta_s == 0.0


def test_bytes_that_were_skipped_are_done_and_not_carried() -> None:
    (event,) = shown((2.0, 500, False))
    assert (event.done_bytes, event.bytes_per_s, event.wire_share) == (500, 0.0, None)
    assert event.eta_s == 2.0, "where nothing crosses the wire, what is done tells the pace"


def test_skipped_bytes_do_not_shorten_what_must_be_carried() -> None:
    event = shown((1.0, 500, False), (1.0, 100, True))[-1]
    assert event.eta_s == 400 / 50.0


def test_what_travels_compressed_is_told_apart_from_what_is_stored() -> None:
    events: list[Any] = []
    meter = WireMeter(ceiling_bytes_per_s=200.0, sent_bytes=50, sent_memory_bytes=50)

    async def scene() -> None:
        nonlocal meter
        progress = Progress(events.append, "job", Phase.WRITE, 1000, lambda: meter, POWER)
        await asyncio.sleep(1.0)
        meter = replace(meter, sent_bytes=150, sent_memory_bytes=450)
        progress.add(400)

    run_virtual(scene())
    (event,) = events
    assert (event.done_bytes, event.bytes_per_s, event.wire_bytes) == (400, 400.0, 100)
    assert event.wire_share == pytest.approx(400 * (150 / 450) / 200)


def test_without_time_there_is_no_rate() -> None:
    (event,) = shown((0.0, 500, True))
    assert (event.bytes_per_s, event.eta_s, event.wire_share) == (0.0, None, None)


def test_events_come_a_few_times_a_second_and_the_last_one_always() -> None:
    events = shown(*[(0.01, 10, True)] * 100)
    assert [event.done_bytes for event in events] == [10, 260, 510, 760, 1000]


@pytest.mark.parametrize(
    ("rate", "ceiling", "share"),
    [
        (50.0, 100.0, 0.5),
        (100.0, 100.0, 1.0),
        (105.0, 100.0, 1.0),
        (106.0, 100.0, None),
        (887.0, 100.0, None),
        (0.0, 100.0, None),
        (50.0, 0.0, None),
    ],
)
def test_a_share_is_possible_or_not_told(rate: float, ceiling: float, share: float | None) -> None:
    assert wire_share(rate, ceiling) == share
