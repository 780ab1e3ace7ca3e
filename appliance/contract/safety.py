"""Whether ECUs are safe, as a client is told it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from appliance.contract.errors import EcuSafety


@dataclass(frozen=True, slots=True)
class OpenWrite:
    """A write that did not come to its end, and the car it belongs to."""

    job: str
    definition: str | None
    vin: str | None
    hw: str | None
    state: str
    half_written: bool
    """Whether an erase was begun; before that the ECU is as it was."""
    set_aside_by: str | None = None
    """Who let another car be served first; None where it stands in every other write's way."""
    set_aside_reason: str | None = None
    serial: str | None = None
    """Of its ECU, like the chip id: a number of one ECU alone."""
    chip_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the ECU asked for stands, and every write of the box that is not over."""

    ecu: EcuSafety
    open_writes: tuple[OpenWrite, ...]

    def as_dict(self) -> dict[str, object]:
        """JSON form that crosses the engine's socket."""
        return {"ecu": self.ecu.value, "open_writes": [asdict(one) for one in self.open_writes]}
