from __future__ import annotations

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.flashing.errors import access_problem
from appliance.protocols.access import EcuRefusedError, Refusal
from tests.support.box import small_definition

BOOTLOADER, BENCH = (uds_access(small_definition("hash", kind)) for kind in ("bootloader", "bench"))
SWITCHED_OFF = "switch the ignition off"


@pytest.mark.parametrize("refusal", [Refusal.CONDITIONS, Refusal.SEQUENCE])
def test_an_ecu_that_may_not_come_back_is_never_simply_switched_off(refusal: Refusal) -> None:
    """Its journal may be lost, or another box may have left it half written."""
    error = EcuRefusedError(refusal, "7F 10 22")
    assert SWITCHED_OFF in access_problem(error, BOOTLOADER).do_now
    for accesses in [(BENCH,), (BOOTLOADER, BENCH), ()]:
        told = access_problem(error, *accesses).do_now
        assert SWITCHED_OFF not in told
        assert "half-written one" in told


def test_every_refusal_has_its_advice() -> None:
    for refusal in Refusal:
        told = access_problem(EcuRefusedError(refusal, "no"), BENCH)
        assert told.do_now.endswith(".")
        assert told.code == f"ECU_REFUSED_{refusal.value.upper()}"
