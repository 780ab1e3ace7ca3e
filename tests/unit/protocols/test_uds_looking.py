"""At which bit rates ECUs are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.library import Way
from appliance.protocols.ports import CarInterface
from appliance.protocols.uds.looking import discover
from simulator.virtualtime import run_virtual

from .uds_bench import definition


class NoRates:
    """A connection whose interface can be set to no rate at all, and that must not be joined."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []

    def usable_rates(self, rates_bps: Sequence[int]) -> tuple[int, ...]:
        self.asked.append(tuple(rates_bps))
        return ()


@pytest.mark.parametrize("rates", [(125_000, 500_000, 250_000), (500_000, 125_000, 500_000)])
def test_each_rate_that_a_definition_knows_is_tried_once_and_the_fastest_first(rates: Sequence[int]) -> None:
    known = [definition("pbx-e400", bus={"bitrate_bps": rate}) for rate in rates]
    ways = [Way(one, uds_access(one)) for one in known]
    car = NoRates()
    assert run_virtual(discover(cast(CarInterface, car), ways, every=True)) == ()
    assert car.asked == [tuple(sorted(set(rates), reverse=True))]
