"""The error for a port that a box has not got."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError


class PortMissingError(EngineError):
    """This box has not got a port that the way into the ECU needs."""

    def __init__(self, port: Phrase, option: str | None = None) -> None:
        """`option` is the engine's that gives a box that port."""
        if option is None:
            super().__init__("PORT_MISSING", port=port, points=[port])
        else:
            super().__init__("PORT_MISSING.option", port=port, option=option, points=[port])
