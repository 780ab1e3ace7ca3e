"""What hangs on what in the ECU of a run: erases that take others, regions that wait, what comes last."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.schema import Definition
from tests.support.definitions import raw, validated

SHARE = 0.25
"""Of the runs that have one."""


class Tie(StrEnum):
    """How two regions of an ECU hang together."""

    NONE = "none"
    ONE_WAY = "one_way"
    """An erase of the calibration takes the other."""
    BOTH_WAYS = "both_ways"
    IN_ORDER = "in_order"
    """The other is taken when the calibration is whole."""
    ALL = "all"
    """An erase of the calibration takes the other, which waits for it."""
    FIRST = "first"
    """The other comes before all that is written, each region from its end."""
    ENDS = "ends"
    """The last block of the other is written again at the end, or nothing is complete."""


_REGIONS: Mapping[Tie, tuple[Mapping[str, str], Mapping[str, str]]] = {
    Tie.ONE_WAY: ({"calibration": "other"}, {}),
    Tie.BOTH_WAYS: ({"calibration": "other", "other": "calibration"}, {}),
    Tie.IN_ORDER: ({}, {"other": "calibration"}),
    Tie.ALL: ({"calibration": "other"}, {"other": "calibration"}),
}
"""By tie: what is erased with what, and what depends on what."""


def drawn(seed: int) -> Tie:
    """That of a run."""
    dice = random.Random(f"{seed}/ties")
    return dice.choice([tie for tie in Tie if tie is not Tie.NONE]) if dice.random() < SHARE else Tie.NONE


def tied(definition: Definition, tie: Tie) -> Definition:
    """The same ECU with two of its regions tied; as it is where only one can be written."""
    access = definition.accesses[0]
    in_place = access.erasing.in_place if isinstance(access, UdsAccessDefinition) else ()
    names = [one.name for one in definition.regions if one.writable and one.name not in in_place]
    if tie is Tie.NONE or len(names) < 2:
        return definition
    calibration = next(one.name for one in definition.regions if one.tag == "calibration")
    called = {"calibration": calibration, "other": next(name for name in names if name != calibration)}
    tables = raw(definition)
    _tie_regions([one for memory in tables["memories"] for one in memory["regions"]], tie, called)
    for table in tables["access"]:
        if tie is Tie.FIRST:
            table["recovery"].update(
                first=[called["other"]], last=[], rewrite_last=False, block_order="descending"
            )
        if tie is Tie.ENDS:
            table["recovery"].update(last=[called["other"]], rewrite_last=True)
    return validated(tables)


def _tie_regions(regions: Sequence[dict[str, Any]], tie: Tie, called: Mapping[str, str]) -> None:
    erases, needs = _REGIONS.get(tie, ({}, {}))
    for role, name in called.items():
        region = next(one for one in regions if one["name"] == name)
        region["erases_with"] = [called[erases[role]]] if role in erases else []
        region["depends_on"] = [called[needs[role]]] if role in needs else []
