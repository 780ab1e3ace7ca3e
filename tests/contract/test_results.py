"""Results that earlier releases stored are read as they are: no update makes the past unreadable."""

from __future__ import annotations

from appliance.contract.checked import checked
from appliance.contract.results import Written

BEFORE_MEMORIES_WERE_MANY = {
    "job": "4cbf6889e115",
    "result": "done",
    "blocks": {"total": 16, "written": 4, "skipped": 12},
    "verify": {"method": "hash", "blocks": 38, "result": "pass", "sha256": "0" * 64, "unproven": []},
    "write_efficiency": 0.91,
    "identity_after": {
        "hw": "H",
        "sw": "S",
        "boot": None,
        "serial": "1",
        "vin": None,
        "compared": ["hw", "serial"],
        "known_by": "serial",
    },
    "dtcs_after": [],
    "rituals": [],
}


def test_a_write_of_a_release_that_knew_one_memory_alone_can_be_read() -> None:
    checked(Written, BEFORE_MEMORIES_WERE_MANY)
