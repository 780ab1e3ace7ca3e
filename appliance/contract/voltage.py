"""A supply voltage is told with its age: what was measured a while ago says nothing of the supply now."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import TypedDict

STALE_S = 2.0
"""Above this age a reading is no longer that of now: a watched supply is measured ten times a second."""


@dataclass(frozen=True, slots=True)
class Voltage:
    """What was measured, how long before it is told, and by what."""

    volts: float
    age_s: float
    """On the car's clock."""
    source: str
    """The voltmeter's kind, such as `ina226` or `simulated`."""


class VoltageTold(TypedDict):
    """A voltage with its age when it is told, and what measured it."""

    volts: float
    age_s: float
    source: str
