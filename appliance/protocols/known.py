"""The protocols that this box speaks, registered by their names."""

from __future__ import annotations

from appliance.protocols.registry import ProtocolOffer, register
from appliance.protocols.uds.links import keep, open_ecu, require_alone
from appliance.protocols.uds.looking import discover


def register_all() -> None:
    """Whatever an engine needs before it opens an ECU."""
    register("uds", _UDS)


_UDS = ProtocolOffer(open_ecu, discover, require_alone, keep)
