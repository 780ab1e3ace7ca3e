"""Steps of an entry choreography: supply, ignition, pins, waits and questions, each bounded in time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from appliance.definitions.person_steps import Ask, ConnectWires, Wait
from appliance.definitions.pin_steps import CheckPin, PulsePin, ReleasePin, SetPin
from appliance.definitions.supply_steps import (
    CheckGround,
    CheckOff,
    IgnitionOff,
    IgnitionOn,
    SupplyOff,
    SupplyOn,
)

EntryStep = Annotated[
    SupplyOn
    | SupplyOff
    | IgnitionOn
    | IgnitionOff
    | SetPin
    | PulsePin
    | ReleasePin
    | CheckPin
    | CheckOff
    | CheckGround
    | Wait
    | Ask
    | ConnectWires,
    Field(discriminator="verb"),
]
EndingStep = Annotated[
    SupplyOff | IgnitionOff | SetPin | ReleasePin | Wait,
    Field(discriminator="verb"),
]
"""An ending switches nothing on and waits for nobody."""
