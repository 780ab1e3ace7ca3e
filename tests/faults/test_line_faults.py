"""Faults of a K-line in the campaign: every class strikes, and a box that bears with it is caught."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from appliance.flashing import comparing
from appliance.protocols.access import AccessError, Block
from appliance.protocols.kwp2000.access import KwpLifecycle
from appliance.protocols.kwp2000.memory import KwpMemory
from appliance.protocols.kwp2000.session import KwpSession
from simulator.faults import LINE_KINDS, Fault, FaultKind, FaultPlan, Trigger
from tests.faults import run as runs
from tests.faults.campaign import campaign
from tests.faults.hardships import Hardship
from tests.faults.run import Result
from tests.faults.scenario import Storm

SEED, RUNS = 11, 2
K7, K15 = "pbx-k7", "pbx-k15"
CLASSES = [(pack, kind) for pack in (K7, K15) for kind in sorted(LINE_KINDS)]
CLASSES.remove((K15, FaultKind.RATE_REFUSED))
"""That one refuses its bit rate by nature."""

Work = Callable[..., Awaitable[None]]


def struck_by(monkeypatch: pytest.MonkeyPatch, pack: str, *faults: Fault) -> list[Result]:
    """A few runs in which these, at the job itself, are all that goes wrong."""
    calm = Storm(FaultPlan(), None)
    storm = Storm(FaultPlan(faults=faults), None)
    monkeypatch.setattr(runs, "storm_for", lambda _scenario, attempt, _totals: calm if attempt else storm)
    return list(campaign(SEED, RUNS, pack, hardship=Hardship.NONE))


def fault_of(kind: FaultKind) -> Fault:
    """While a block is handed over; a bit rate is refused where the session of the write begins."""
    if kind is FaultKind.RATE_REFUSED:
        return Fault(kind=kind, on=Trigger.REQUEST, service=0x10, at=1, count=9)
    return Fault(kind=kind, on=Trigger.REQUEST, service=0x36, at=2, mask=0x10, duration_s=3.0)


def bearing(work: Work) -> Work:
    """Takes any end of it for success."""

    async def borne(*asked: Any, **options: Any) -> None:
        with suppress(AccessError):
            await work(*asked, **options)

    return borne


def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that bears with whatever the line does to its work, and looks at nothing afterwards."""
    for owner, name in (
        (KwpLifecycle, "open"),
        (KwpLifecycle, "commit"),
        (KwpMemory, "erase"),
        (KwpMemory, "program"),
    ):
        monkeypatch.setattr(owner, name, bearing(getattr(owner, name)))

    async def blind(*_arguments: object, **_options: object) -> list[Block]:
        return []

    monkeypatch.setattr(comparing, "differing", blind)


def credulous(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a bit rate for agreed, too."""
    careless(monkeypatch)
    enter = KwpSession._enter

    async def entered(session: KwpSession, wanted: int, rate_bps: int | None) -> None:
        await enter(session, wanted, rate_bps)
        if rate_bps is not None:
            session.line.set_rate(rate_bps)

    monkeypatch.setattr(KwpSession, "_enter", entered)


@pytest.mark.parametrize(("pack", "broken"), [(K7, careless), (K7, credulous), (K15, careless)])
def test_a_broken_box_is_not_caught_as_long_as_nothing_goes_wrong(
    pack: str, broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is by the fault that it is caught below."""
    broken(monkeypatch)
    assert [result.broken for result in struck_by(monkeypatch, pack) if result.broken] == []


@pytest.mark.parametrize(("pack", "kind"), CLASSES)
def test_each_class_strikes_and_a_box_that_bears_with_it_is_caught(
    pack: str, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = fault_of(kind)
    honest = struck_by(monkeypatch, pack, fault)
    assert [result.broken for result in honest if result.broken] == []
    assert [result.struck for result in honest] == [1] * RUNS
    (credulous if kind is FaultKind.RATE_REFUSED else careless)(monkeypatch)
    caught = struck_by(monkeypatch, pack, fault)
    assert all("are wrong" in result.broken for result in caught)
