"""From a definition to the addresses and settings of its links."""

from __future__ import annotations

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.access.uds_link import Addressing
from appliance.protocols.isotp.ceiling import Wire
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings


def physical_address(addressing: Addressing) -> IsoTpAddress:
    """The ECU's own pair of identifiers; in mixed addressing both directions carry the same extension."""
    mixed = addressing.mode == "mixed"
    return IsoTpAddress(
        addressing.request_id,
        addressing.response_id,
        addressing.extended_ids,
        addressing.request_extension,
        addressing.request_extension if mixed else addressing.response_extension,
    )


def functional_address(addressing: Addressing) -> IsoTpAddress | None:
    """The address of all ECUs; None where it is the ECU's own, for a frame on it would break a request off.

    A link on it only sends, which `rx_id == tx_id` says.
    """
    if addressing.functional_id == addressing.request_id:
        return None
    return IsoTpAddress(
        addressing.functional_id,
        addressing.functional_id,
        addressing.extended_ids,
        addressing.request_extension,
        addressing.request_extension,
    )


_CLASSIC_BYTES = 4095
"""The longest payload that a first frame of 12 bits can announce; longer ones are memory blocks only."""
_ANSWER_BYTES = 16
"""Around the memory in an answer."""
_SLOWEST_S = 10.0
_TIMES_THE_WIRE = 20


def link_settings(definition: UdsAccessDefinition) -> IsoTpSettings:
    """No separation time and no blocks asked of the ECU: it may send as fast as the wire goes.

    No answer is longer than the definition's blocks make it, and none comes twenty times slower than the
    wire carries it and ten seconds late besides.
    """
    fd = definition.bus.kind == "can-fd"
    longest = max(_CLASSIC_BYTES, definition.reading.block_bytes + _ANSWER_BYTES)
    wire_s = longest * 8 / definition.bus.bitrate_bps
    return IsoTpSettings(
        tx_frame_bytes=64 if fd else 8,
        bit_rate_switch=fd,
        padding=definition.addressing.padding,
        stmin_override_us=definition.timing.stmin_override_us,
        max_payload_bytes=longest,
        reassembly_s=_SLOWEST_S + _TIMES_THE_WIRE * wire_s,
    )


def wire_of(definition: UdsAccessDefinition) -> Wire:
    """What the throughput of this ECU is measured against."""
    return Wire(
        definition.bus.bitrate_bps,
        physical_address(definition.addressing),
        definition.bus.data_bitrate_bps,
        link_settings(definition),
    )
