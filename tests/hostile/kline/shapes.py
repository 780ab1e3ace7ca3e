"""Small ECUs on a K-line to be hostile with, and the definition the box is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from appliance.definitions.parsing import definition_from_json
from appliance.definitions.schema import Definition
from tests.hostile.parts import BOOT, HW, SECRET, SERIAL, SW, VIN, Part, Shape, three_parts

WRITE_PIECE = 0x62
"""Longest 36 of a download, its service byte included."""
TOOL = b"PITBOX"
RECORDS = {0x92: HW, 0x94: SW, 0x9B: BOOT, 0x8C: SERIAL, 0x90: VIN}
STATUS = 0x9C


@dataclass(frozen=True, slots=True)
class LineShape(Shape):
    """What an ECU on a K-line is, and how it is woken and spoken to."""

    wake: Literal["slow", "fast"]
    address: int
    """To which it is woken, and by which it is spoken to."""
    keys: tuple[int, int]
    parity: Literal["none", "odd", "even"] = "none"
    addressed: bool = True
    length_byte: bool = False
    p4_min_s: float = 0.005
    rates: tuple[int, ...] = (10_400,)
    read_session: int | None = 0x86
    read_rate: int | None = None
    write_rate: int | None = None
    to_limits: bool = False
    check: Literal["none", "crc32-low16", "sum16"] = "none"
    upload: bool = False
    status: bool = False
    """Whether it says by 1A 9C if it can be programmed."""
    ends_pending: bool = False
    read_piece: int = 0x80
    """Longest piece that is told at once."""
    recoverability: Literal["bootloader", "bench"] = "bootloader"


_PARTS = three_parts((256, 512, 256), (1, 2, 3))

SHAPES = (
    LineShape(
        "slow", _PARTS, "slow", 0x01, (0xEF, 0x8F), parity="odd", rates=(10_400, 124_800), read_rate=124_800,
        write_rate=124_800, to_limits=True, check="crc32-low16", status=True,
    ),
    LineShape(
        "fast", _PARTS, "fast", 0x12, (0x6B, 0x8F), p4_min_s=0.017, read_session=None, write_rate=57_600,
    ),
    LineShape(
        "plain", _PARTS, "fast", 0x33, (0xE6, 0x8F), addressed=False, length_byte=True, check="sum16",
        rates=(10_400, 38_400), write_rate=38_400, recoverability="bench",
    ),
    LineShape(
        "loads", _PARTS, "slow", 0x56, (0xD5, 0x8F), addressed=False, upload=True, ends_pending=True,
        to_limits=True, read_piece=0x3E,
    ),
)  # fmt: skip
BY_NAME = {shape.name: shape for shape in SHAPES}


def definition_of(shape: LineShape) -> Definition:
    """What the box is told of such an ECU."""
    return definition_from_json(json.dumps(_tables(shape)))


def _tables(shape: LineShape) -> dict[str, Any]:
    calibration = next(part for part in shape.parts if part.name == "calibration")
    end = calibration.start + calibration.size
    ranges = [[calibration.start, end - 4]]
    return {
        "schema_version": 2,
        "id": f"hostile-line-{shape.name}",
        "name": f"Hostile {shape.name}",
        "kind": "engine",
        "maker": "nobody",
        "cpu": "none",
        "evidence": {"sources": ["ISO 14230"]},
        "memories": [
            {"name": "flash", "page_bytes": 64, "regions": [_region(part) for part in shape.parts]},
        ],
        "access": [_access(shape)],
        "checksums": [
            {
                "module": "sum32-at",
                "region": "calibration",
                "parameters": {
                    "base": calibration.start,
                    "ranges": ranges,
                    "store_at": end - 4,
                    "order": "big",
                },
            }
        ],
        "simulation": {"hw": HW, "sw": SW, "boot": BOOT, "serial": SERIAL, "vin": VIN, "calid": "NONE"},
    }


def _access(shape: LineShape) -> dict[str, Any]:
    security = {"level": 1, "algorithm": "toy-xor", "constant": SECRET}
    sessions: dict[str, Any] = {"write_security": security, "programming_rate_bps": shape.write_rate}
    if shape.read_session is not None:
        sessions |= {"read": shape.read_session, "read_rate_bps": shape.read_rate, "read_security": security}
    if shape.status:
        sessions["status_option"] = STATUS
    slow = {"wake_address": shape.address, "wake_parity": shape.parity} if shape.wake == "slow" else {}
    checking = {} if shape.check == "none" else {"checking": {"routine": 0xC5, "kind": shape.check}}
    return {
        "name": "obd",
        "method": "obd",
        "protocol": "kwp2000",
        "evidence": "simulated",
        "reason": "It is small.",
        "recognition": {"hw": ["HST-*"]},
        "line": {
            "wake": shape.wake,
            "target": shape.address,
            "addressed": shape.addressed,
            "length_byte": shape.length_byte,
            **slow,
        },
        "times": {"p4_min_ms": round(shape.p4_min_s * 1000), "to_limits": shape.to_limits},
        "identity": {
            "hw": {"option": 0x92},
            "sw": {"option": 0x94},
            "boot": {"option": 0x9B},
            "serial": {"option": 0x8C},
            "vin": {"option": 0x90},
        },
        "sessions": {key: value for key, value in sessions.items() if value is not None},
        "reading": {"method": "upload" if shape.upload else "by_address", "block_bytes": shape.read_piece},
        "erasing": {"tool_code": TOOL.hex(), "longest_s": 20},
        "writing": {"ends_pending": shape.ends_pending},
        **checking,
        "voltage": {"min_v": 12.0, "max_v": 14.8, "steady_s": 0.1},
        "recovery": {"recoverability": shape.recoverability, "advice": "Recover."},
    }


def _region(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "tag": part.name,
        "start": part.start,
        "size_bytes": part.size,
        "sectors": [{"size_bytes": part.sector, "count": part.count}],
        "writable": part.writable,
    }
