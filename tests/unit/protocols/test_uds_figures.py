"""Throughput figures, addresses and link settings."""

from __future__ import annotations

import asyncio

from appliance.definitions.access.uds import uds_access
from appliance.protocols.access import EcuAccess
from appliance.protocols.uds.addressing import functional_address, link_settings, physical_address
from tests.support.places import flash

from .scripted import asked, later
from .uds_bench import T300, definition, run


def test_the_meter_counts_memory_bytes_and_the_time_spent_on_them() -> None:
    async def scenario(access: EcuAccess) -> tuple[int, float, int]:
        before = access.memory.meter()
        assert (before.payload_bytes, before.busy_s) == (0, 0.0)
        assert before.ceiling_bytes_per_s > 20_000
        await access.memory.read(flash(0x10000, 4))
        await asyncio.sleep(1.0)
        after = access.memory.meter()
        return after.payload_bytes, round(after.busy_s, 6), after.bitrate_bps

    answer = asked("23 23 010000 0004", later(0.02, "63 AAAAAAAA"))
    assert run(T300, scenario, answer, asked("3E 00", later(0.01, "7E 00"))) == (4, 0.03, 500_000)


def test_addresses_follow_from_the_definition() -> None:
    mixed = physical_address(uds_access(T300).addressing)
    assert (mixed.tx_id, mixed.rx_id, mixed.tx_extension, mixed.rx_extension) == (0x7E1, 0x7E9, 0x30, 0x30)
    everyone = functional_address(uds_access(definition("pbx-fd20")).addressing)
    assert (everyone.tx_id, everyone.rx_id, everyone.extended_ids) == (0x18DB33F1, 0x18DB33F1, True)
    extended = definition(
        "pbx-e400",
        addressing={"mode": "extended", "request_extension": 0x12, "response_extension": 0xF1},
    )
    address = physical_address(uds_access(extended).addressing)
    assert (address.tx_extension, address.rx_extension) == (0x12, 0xF1)


def test_links_are_set_as_the_bus_and_the_ecu_need() -> None:
    fd = link_settings(uds_access(definition("pbx-fd20")))
    assert (fd.tx_frame_bytes, fd.bit_rate_switch, fd.padding) == (64, True, 0xCC)
    classic = link_settings(uds_access(definition("pbx-s18")))
    assert (classic.tx_frame_bytes, classic.bit_rate_switch, classic.stmin_override_us) == (8, False, 350)


def test_an_ecu_that_everyone_is_addressed_by_gets_no_frames_between_those_of_a_request() -> None:
    own = uds_access(definition("pbx-e400", addressing={"functional_id": 0x7E0})).addressing
    assert own.functional_id == own.request_id
    assert functional_address(own) is None
