"""What a definition asks of its link."""

from __future__ import annotations

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.access.uds_link import Timing
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.protocols.uds.addressing import link_settings
from appliance.protocols.uds.timing import UdsTiming


def over_uds() -> list[Definition]:
    packs = (load_definition(path) for path in sorted(PACKS.glob("*.toml")))
    return [pack for pack in packs if any(access.protocol == "uds" for access in pack.accesses)]


@pytest.mark.parametrize("definition", over_uds(), ids=lambda definition: str(definition.id))
def test_an_answer_is_bounded_in_length_and_in_time(definition: Definition) -> None:
    settings = link_settings(uds_access(definition))
    assert uds_access(definition).reading.block_bytes + 2 <= settings.max_payload_bytes <= 0x1_0010
    carried_s = settings.max_payload_bytes * 8 / uds_access(definition).bus.bitrate_bps
    assert settings.reassembly_s == pytest.approx(10 + 20 * carried_s)
    assert settings.reassembly_s < 60.0


def test_the_milliseconds_of_a_definition_are_the_seconds_of_its_client() -> None:
    told = Timing(p2_ms=50, p2_star_ms=5000, tester_present_ms=2000, pending_ceiling_s=90)
    assert UdsTiming.of(told) == UdsTiming(0.05, 5.0, 2.0, 90.0)
