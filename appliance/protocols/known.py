"""The protocols that this box speaks, registered by their names."""

from __future__ import annotations

from appliance.protocols.kwp2000 import links as kwp2000
from appliance.protocols.kwp2000.legislated import survey
from appliance.protocols.registry import ProtocolOffer, register
from appliance.protocols.uds.links import keep, open_ecu, require_alone
from appliance.protocols.uds.looking import discover


def register_all() -> None:
    """Whatever an engine needs before it opens an ECU."""
    register("uds", _UDS)
    register("kwp2000", _KWP2000)


_UDS = ProtocolOffer(open_ecu, discover, require_alone, keep)
_KWP2000 = ProtocolOffer(kwp2000.open_ecu, kwp2000.discover, kwp2000.require_alone, kwp2000.keep, survey)
