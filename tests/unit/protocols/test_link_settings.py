"""What a definition asks of its link."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.protocols.uds.addressing import link_settings


@pytest.mark.parametrize("path", sorted(PACKS.glob("*.toml")), ids=lambda path: str(path.stem))
def test_an_answer_is_bounded_in_length_and_in_time(path: Path) -> None:
    definition = load_definition(path)
    settings = link_settings(uds_access(definition))
    assert uds_access(definition).reading.block_bytes + 2 <= settings.max_payload_bytes <= 0x1_0010
    assert 10.0 < settings.reassembly_s < 60.0
