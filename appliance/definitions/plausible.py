"""How far a tuned file may be from the read it was made from before the box calls it implausible."""

from __future__ import annotations

from pydantic import Field

from appliance.definitions.fields import Strict


class Plausibility(Strict):
    """Limits of the plausibility gate. Each may be left out; the defaults allow a tune and no other file.

    Shares are of a region's content: bytes that are blank in both the read and the file do not count.
    """

    calibration_changed_share: float = Field(default=0.25, ge=0, le=1)
    """Most that may differ in a region tagged `calibration` or `data`."""
    code_changed_share: float = Field(default=0.05, ge=0, le=1)
    """Most that may differ in a region tagged `code` or `boot`."""
    entropy_bits: float = Field(default=7.9, ge=0, le=8)
    """Most bits per byte in 4,096 or more new bytes of a region, unless what they replace holds as many:
    compressed and encrypted data, pictures and noise have nearly 8."""
    reset_area_bytes: int = Field(default=64, ge=0, le=0x1_0000)
    """Vectors and reset area: so much at the start of the lowest region, where that is code or boot, may
    not change at all."""
