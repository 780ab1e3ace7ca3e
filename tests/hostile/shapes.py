"""Small ECUs on CAN to be hostile with: what they are made of, and the definition the box is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition
from tests.hostile.parts import BOOT, HW, SECRET, SERIAL, SW, VIN, Part, Shape, three_parts

DIDS = {0xF191: HW, 0xF188: SW, 0xF180: BOOT, 0xF18C: SERIAL, 0xF190: VIN}
READ_PIECE, WRITE_PIECE = 256, 130
_ID_PREFIX = "hostile-"


@dataclass(frozen=True, slots=True)
class CanShape(Shape):
    """What an ECU on CAN is, and how it is spoken to."""

    proof: Literal["hash_range", "compare_block", "read_back"]
    by: Literal["address", "block_id"] = "address"
    upload: bool = False
    """Reads by 35/36/37 instead of by 23."""
    fd: bool = False
    extension: tuple[int, int] | None = None
    """Address bytes of request and answer, before the protocol control information."""
    recoverability: Literal["bootloader", "bench"] = "bootloader"


_SECTORED = three_parts((512, 1024, 512), (1, 2, 3))
_BLOCKS = three_parts((512, 1536, 1024), (1, 1, 1))

SHAPES = (
    CanShape("hash", _SECTORED, "hash_range"),
    CanShape("back", _SECTORED, "read_back", extension=(0x30, 0x30)),
    CanShape("block", _BLOCKS, "compare_block", by="block_id", upload=True, extension=(0x10, 0xF1)),
    CanShape("fd", _SECTORED, "hash_range", fd=True, upload=True),
    CanShape("bench", _SECTORED, "hash_range", recoverability="bench"),
)
BY_NAME = {shape.name: shape for shape in SHAPES}


def definition_of(shape: CanShape) -> Definition:
    """What the box is told of such an ECU."""
    return definition_from_json(json.dumps(_tables(shape)))


def _tables(shape: CanShape) -> dict[str, Any]:
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


def _addressing(shape: CanShape) -> dict[str, Any]:
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
