"""What a tuned file is for."""

from __future__ import annotations

from enum import StrEnum


class Use(StrEnum):
    """What the customer declared the tuned file is for."""

    ROAD_COMPLIANT = "road_compliant"
    MOTORSPORT_OFFROAD = "motorsport_offroad"
    BENCH_RESEARCH = "bench_research"
