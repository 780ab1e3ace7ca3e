"""Our host reads and writes an ECU that we did not write, in another process, over multicast CAN.

The server is the python-uds-server package on can-isotp and python-can. What it lacks, and so is not
witnessed here: response pending (0x78), ControlDTCSetting (0x85, the definition leaves it out), functional
addressing (tester present goes to the ECU's own address), a bootloader, repeats of a block counter (it
answers 0x73) and OBD-II. A download to cells that are not erased it refuses with the first data (0x72).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_definition
from appliance.definitions.schema import Definition
from appliance.protocols.access import Block, EcuRefusedError, EcuState, Purpose, Refusal
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.uds.access import UdsAccess
from appliance.protocols.uds.addressing import link_settings, physical_address
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.timing import UdsTiming
from drivers.can.pythoncan import open_port
from tests.integration.witness import foreign_ecu
from tests.integration.witness.buses import process
from tests.support.definitions import with_access
from tests.support.multicast import group, needs_multicast
from tests.support.places import flash

T = TypeVar("T")

pytestmark = needs_multicast
SECTOR = Block("code", flash(foreign_ecu.CODE_START + foreign_ecu.SECTOR_BYTES, foreign_ecu.SECTOR_BYTES))
STOCK = foreign_ecu.stock(foreign_ecu.CODE_START, foreign_ecu.CODE_BYTES)
BY_ADDRESS = {"method": "by_address", "block_bytes": 1024}


def foreign(**reading: object) -> Definition:
    """The test-only definition, with another way of reading where one is given."""
    definition = load_definition(Path(__file__).with_name("foreign.toml"))
    return with_access(definition, reading=reading)


def on_foreign_ecu(scenario: Callable[[UdsAccess], Awaitable[T]], definition: Definition | None = None) -> T:
    """Run a scenario on a freshly started foreign ECU."""
    chosen, channel = definition or foreign(), group()

    async def main() -> T:
        port = open_port("udp_multicast", channel, uds_access(chosen).bus.bitrate_bps)
        link = SoftIsoTpLink(
            port, physical_address(uds_access(chosen).addressing), link_settings(uds_access(chosen))
        )
        client = UdsClient(link, timing=UdsTiming.of(uds_access(chosen).timing))
        try:
            return await scenario(UdsAccess(uds_access(chosen), client, chosen))
        finally:
            await client.close()
            port.close()

    with process("tests.integration.witness.foreign_ecu", channel) as ready:
        assert ready["ready"] is True
        return asyncio.run(main())


def test_it_is_identified_and_its_fault_codes_are_read_and_cleared() -> None:
    async def scenario(access: UdsAccess) -> None:
        assert await access.lifecycle.state() is EcuState.APPLICATION
        identity = await access.identity.identify()
        expected = tuple(value.decode() for value in (foreign_ecu.HW, foreign_ecu.SW, foreign_ecu.VIN))
        assert (identity.hw, identity.sw, identity.vin) == expected
        assert [(dtc.code, dtc.status) for dtc in await access.diagnostics.read_dtcs()] == [
            ("P0301-00", 0x2F)
        ]
        await access.diagnostics.clear_dtcs()
        assert await access.diagnostics.read_dtcs() == ()

    on_foreign_ecu(scenario)


@pytest.mark.parametrize("reading", [{}, BY_ADDRESS], ids=["upload", "by address"])
def test_its_memory_is_read_after_an_unlock(reading: dict[str, object]) -> None:
    async def scenario(access: UdsAccess) -> None:
        with pytest.raises(EcuRefusedError) as locked:
            await access.memory.read(flash(foreign_ecu.CODE_START, 16))
        assert locked.value.refusal is Refusal.SECURITY
        await access.lifecycle.open(Purpose.READ)
        assert await access.memory.read(flash(foreign_ecu.CODE_START, foreign_ecu.CODE_BYTES)) == STOCK
        boot = foreign_ecu.stock(foreign_ecu.BOOT_START, foreign_ecu.BOOT_BYTES)
        assert await access.memory.read(flash(foreign_ecu.BOOT_START + 5, 1030)) == boot[5:1035]
        await access.lifecycle.close()

    on_foreign_ecu(scenario, foreign(**reading))


def test_a_sector_is_erased_programmed_proven_and_committed() -> None:
    """Session, SA2 unlock, erase routine, 34/36/37, checksum routine, dependencies, reset, read back."""
    content = random.Random(99).randbytes(SECTOR.size)

    async def scenario(access: UdsAccess) -> None:
        progress: list[int] = []
        await access.lifecycle.open(Purpose.WRITE)
        assert await access.memory.proves_equal(SECTOR, STOCK[SECTOR.size : 2 * SECTOR.size])
        await access.memory.erase(SECTOR)
        await access.memory.program(SECTOR, content, progress.append)
        assert sum(progress) == SECTOR.size
        assert await access.memory.proves_equal(SECTOR, content)
        assert await access.memory.proves_equal(SECTOR, bytes(SECTOR.size)) is False
        await access.lifecycle.commit()
        assert await access.lifecycle.state() is EcuState.APPLICATION
        await access.lifecycle.open(Purpose.READ)
        expected = STOCK[: SECTOR.size] + content + STOCK[2 * SECTOR.size :]
        assert await access.memory.read(flash(foreign_ecu.CODE_START, foreign_ecu.CODE_BYTES)) == expected
        await access.lifecycle.close()

    on_foreign_ecu(scenario)


def test_its_refusals_come_through_as_what_they_are() -> None:
    """A download onto cells that were not erased, and a read outside its memory."""

    async def scenario(access: UdsAccess) -> tuple[Refusal, Refusal]:
        await access.lifecycle.open(Purpose.WRITE)
        with pytest.raises(EcuRefusedError) as unerased:
            await access.memory.program(SECTOR, bytes(SECTOR.size), lambda count: None)
        with pytest.raises(EcuRefusedError) as outside:
            await access.memory.read(flash(0x90_0000, 16))
        await access.lifecycle.close()
        return unerased.value.refusal, outside.value.refusal

    assert on_foreign_ecu(scenario) == (Refusal.PROGRAMMING, Refusal.UNSUPPORTED)
