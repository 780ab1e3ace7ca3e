"""The byte by which 10 asks for another bit rate: XXXYYYYY stands for 2^X * (Y + 32) * 200 bit/s."""

from __future__ import annotations

_STEP_BPS = 200
_TOLERANCE = 0.02
"""Between the rate that is meant and the nearest that a byte can name."""


def rate_of(code: int) -> int:
    """Bits per second of a byte."""
    return (1 << (code >> 5)) * ((code & 0x1F) + 32) * _STEP_BPS


def code_of(rate_bps: int) -> int:
    """The byte that names a rate. Raises ValueError where none is near it."""
    code = min(range(0x100), key=lambda one: abs(rate_of(one) - rate_bps))
    if abs(rate_of(code) - rate_bps) > rate_bps * _TOLERANCE:
        raise ValueError(f"no byte names {rate_bps} bit/s; {rate_of(code)} is the nearest")
    return code
