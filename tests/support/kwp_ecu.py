"""The simulated ECUs of the invented definitions on a K-line."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from appliance.definitions.schema import Definition
from appliance.flashing.own_checksums import own_checksums
from simulator.ecu.memory import FlashMemory
from simulator.kline.ecu import KwpEcu
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.kline.wire import KWire
from tests.support.kwp_definition import SECRET, how_of

HW = {"pbx-k7": b"026PBX7001", "pbx-k15": b"028PBX1501"}


def settings_of(definition: Definition) -> KwpEcuSettings:
    """Strict, and in what they want of the tester as different as the real kinds are."""
    line = how_of(definition).line
    slow = line.wake == "slow"
    return KwpEcuSettings(
        address=line.target,
        wake_address=line.wake_address or 0x01,
        wakes=frozenset(("slow",)) if slow else frozenset(("fast",)),
        key_bytes=(0xEF, 0x8F) if slow else (0x6B, 0x8F),
        times=LineTimes() if slow else LineTimes(p4_min_s=0.017),
        secret=SECRET,
    )


def right(definition: Definition, data: bytes) -> bytes:
    """With the checksum that the family wants."""
    (checksum,) = own_checksums(definition)
    return checksum.module.correct(data)


def stock(definition: Definition) -> bytes:
    """What the ECU left its works with."""
    return right(definition, random.Random(5).randbytes(definition.regions[0].size_bytes))


def tuned(definition: Definition, data: bytes, *places: int) -> bytes:
    """A few bytes of it changed, at these places."""
    changed = bytearray(data)
    for place in places or (0x300,):
        for at in range(place, place + 0x20):
            changed[at] ^= 0x5A
    return right(definition, bytes(changed))


class KwpCar:
    """A wire, the ECU on it, and its flash."""

    def __init__(self, definition: Definition, **changed: object) -> None:
        self.definition = definition
        self.wire = KWire()
        settings = replace(settings_of(definition), **changed)  # type: ignore[arg-type]
        self.ecu = KwpEcu(self.wire, settings)
        self.flash = FlashMemory(definition.regions, lambda: stock(definition))
        records = {
            0x92: HW[definition.id],
            0x94: b"1037PBX001",
            0x9B: b"1K0909144E  2501rest",
            0x8C: b"SER0000001",
            0x90: b"WPBXZZZ1JZW000001",
        }
        told = Told(records, [(0x4123, 0xE0)], frozenset((0x94, 0x90)))
        self.server = KwpServer(self.ecu, self.flash, told, asyncio.get_running_loop().time)

    @property
    def memory(self) -> bytes:
        """All of its flash."""
        return self.flash.whole()
