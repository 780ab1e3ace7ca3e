"""The error for a port that a box has not got."""

from __future__ import annotations

from appliance.contract.errors import PitboxError


class PortMissingError(PitboxError):
    """This box has not got a port that the way into the ECU needs."""

    def __init__(self, name: str, how: str = "") -> None:
        """`how` is what gives a box that port."""
        way = f", or {how} when the engine is started" if how else ""
        super().__init__(
            "PORT_MISSING",
            f"this box has no {name}, and this way into the ECU needs it",
            do_now=f"Choose another access, or use a box that has it{way}.",
            details=(name,),
        )
