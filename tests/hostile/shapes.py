"""Small ECUs to be hostile with: what they are made of, and the definition the box is told."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Literal

from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition

SECRET = 0x0BAD_5EED
HW, SW, BOOT, SERIAL, VIN = "HST-HW-1", "HST-SW-1", "HST-BL-1", "HST0001", "PBXTESTCAR000HST1"
DIDS = {0xF191: HW, 0xF188: SW, 0xF180: BOOT, 0xF18C: SERIAL, 0xF190: VIN}
READ_PIECE, WRITE_PIECE = 256, 130
_ID_PREFIX = "hostile-"


@dataclass(frozen=True, slots=True)
class Part:
    """A region of memory and its equal erase sectors."""

    name: str
    start: int
    sector: int
    count: int
    block_id: int

    @property
    def size(self) -> int:
        return self.sector * self.count

    @property
    def writable(self) -> bool:
        return self.name != "boot"


@dataclass(frozen=True, slots=True)
class Shape:
    """What an ECU is, and how it is spoken to."""

    name: str
    parts: tuple[Part, ...]
    proof: Literal["hash_range", "compare_block", "read_back"]
    by: Literal["address", "block_id"] = "address"
    upload: bool = False
    """Reads by 35/36/37 instead of by 23."""
    fd: bool = False
    extension: tuple[int, int] | None = None
    """Address bytes of request and answer, before the protocol control information."""
    recoverability: Literal["bootloader", "bench"] = "bootloader"

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def place(self, name: str) -> slice:
        """Where a region lies in the whole memory."""
        at = 0
        for part in self.parts:
            if part.name == name:
                return slice(at, at + part.size)
            at += part.size
        raise KeyError(name)

    def stock(self) -> bytes:
        """A memory of this shape with a right checksum."""
        return with_checksum(self, random.Random(f"stock/{self.name}").randbytes(self.size))


def with_checksum(shape: Shape, memory: bytes) -> bytes:
    """The sum of all 32-bit words of the calibration but the last, stored in the last."""
    where = shape.place("calibration")
    words = memory[where.start : where.stop - 4]
    total = sum(int.from_bytes(words[at : at + 4]) for at in range(0, len(words), 4)) & 0xFFFF_FFFF
    return memory[: where.stop - 4] + total.to_bytes(4) + memory[where.stop :]


def _parts(sectors: tuple[int, int, int], counts: tuple[int, int, int]) -> tuple[Part, ...]:
    named = zip(
        ("boot", "code", "calibration"), (0x1000, 0x8000, 0xC000), sectors, counts, (1, 2, 3), strict=True
    )
    return tuple(Part(*one) for one in named)


_SECTORED = _parts((512, 1024, 512), (1, 2, 3))
_BLOCKS = _parts((512, 1536, 1024), (1, 1, 1))

SHAPES = (
    Shape("hash", _SECTORED, "hash_range"),
    Shape("back", _SECTORED, "read_back", extension=(0x30, 0x30)),
    Shape("block", _BLOCKS, "compare_block", by="block_id", upload=True, extension=(0x10, 0xF1)),
    Shape("fd", _SECTORED, "hash_range", fd=True, upload=True),
    Shape("bench", _SECTORED, "hash_range", recoverability="bench"),
)
BY_NAME = {shape.name: shape for shape in SHAPES}


def definition_of(shape: Shape) -> Definition:
    """What the box is told of such an ECU."""
    return definition_from_json(json.dumps(_tables(shape)))


def _tables(shape: Shape) -> dict[str, Any]:
    by_id = shape.by == "block_id"
    calibration = next(part for part in shape.parts if part.name == "calibration")
    end = calibration.start + calibration.size
    return {
        "schema_version": 1,
        "id": _ID_PREFIX + shape.name,
        "name": f"Hostile {shape.name}",
        "kind": "engine",
        "maker": "nobody",
        "cpu": "none",
        "evidence": {"level": "simulated", "sources": ["ISO 14229-1"]},
        "recognition": {"hw": ["HST-*"]},
        "bus": {"kind": "can-fd", "bitrate_bps": 500_000, "data_bitrate_bps": 2_000_000}
        if shape.fd
        else {"kind": "can", "bitrate_bps": 500_000},
        "addressing": _addressing(shape),
        "timing": {"reset_wait_s": 0.5},
        "identity": {"hw": 0xF191, "sw": 0xF188, "boot": 0xF180, "serial": 0xF18C, "vin": 0xF190}
        | {"obd_mode_09": False},
        "sessions": {"write_security": {"level": 1, "algorithm": "toy-xor", "constant": SECRET}},
        "regions": [_region(part, by_id) for part in shape.parts],
        "reading": {
            "method": "upload" if shape.upload else "by_address",
            "block_bytes": READ_PIECE,
            "bootloader_reads": shape.proof == "read_back",
        },
        "erasing": {"by": shape.by},
        "writing": {"by": shape.by, "block_bytes": WRITE_PIECE, "address_bytes": 1 if by_id else 4},
        "checking": {"style": "none", "verify": "read_back"}
        if shape.proof == "read_back"
        else {"style": shape.proof, "routine": 0x0202},
        "checksum": {
            "module": "sum32-at",
            "region": "calibration",
            "parameters": {
                "base": calibration.start,
                "ranges": [[calibration.start, end - 4]],
                "store_at": end - 4,
                "order": "big",
            },
        },
        "voltage": {"min_v": 12.0, "max_v": 14.8, "steady_s": 0.1},
        "recovery": {"recoverability": shape.recoverability, "advice": "Recover."},
        "method": {"recommended": "obd", "reason": "It is small."},
        "simulation": {"hw": HW, "sw": SW, "boot": BOOT, "serial": SERIAL, "vin": VIN, "calid": "NONE"},
    }


def _addressing(shape: Shape) -> dict[str, Any]:
    table: dict[str, Any] = {"request_id": 0x7E0, "response_id": 0x7E8, "functional_id": 0x7DF}
    if shape.extension is not None:
        sent, answered = shape.extension
        table |= {"mode": "mixed" if sent == answered else "extended", "request_extension": sent}
        if sent != answered:
            table["response_extension"] = answered
    return table


def _region(part: Part, by_id: bool) -> dict[str, Any]:
    return {
        "name": part.name,
        "tag": part.name,
        "start": part.start,
        "size_bytes": part.size,
        "sectors": [{"size_bytes": part.sector, "count": part.count}],
        "writable": part.writable,
        "page_bytes": 64,
        "block_id": part.block_id if by_id else None,
    }
