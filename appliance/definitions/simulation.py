"""How the simulated twin of an ECU behaves."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PlainValidator

from appliance.definitions.access import parse_twins
from appliance.definitions.fields import DtcText, HexBytes, Strict

Table = TypeVar("Table", bound=Strict)


class Simulation(Strict):
    """How the simulated twin behaves; nothing here is used on a real ECU."""

    erase_ms_per_kib: float = Field(default=4.0, ge=0)
    """Time to erase."""
    program_ms_per_kib: float = Field(default=2.0, ge=0)
    """Time to program."""
    hash_ms_per_kib: float = Field(default=0.25, ge=0)
    """Time to hash."""
    boot_ms: float = Field(default=300.0, ge=0)
    """Time to boot."""
    strap_keeps: Literal["boot_loader", "boot_loader_of_incomplete"] = "boot_loader"
    """What a boot strap that is set at the start does: keep the boot loader always, or only where the
    application is incomplete."""
    max_block_bytes: int = Field(default=4095, ge=18, le=0xFFFF)
    """Longest TransferData message that it takes, its two header bytes included."""
    kind: Literal["plain", "vw", "vbf", "psa", "veteran"] = "plain"
    """Which of the simulator's ECUs it is: one that follows the tables, or a strict one of its own kind."""
    secrets: dict[str, HexBytes] = Field(default_factory=dict, max_length=16)
    """Invented values for the owner's secrets; the twin is built from them, and no real ECU knows them."""
    hw: str
    """Hardware number that it tells."""
    sw: str
    """Software number that it tells."""
    boot: str
    """Boot loader version that it tells."""
    serial: str
    """Serial number that it tells."""
    vin: str = Field(pattern=r"^[A-HJ-NPR-Z0-9]{17}$")
    """Vehicle identification number that it tells."""
    calid: str = Field(max_length=16)
    """Calibration number of OBD mode 09."""
    cvn: str = Field(default="DEADC0DE", pattern=r"^[0-9A-F]{8}$")
    """Calibration verification number of OBD mode 09."""
    dtcs: tuple[DtcText, ...] = ()
    """Fault codes that it has stored."""
    protocols: Annotated[dict[str, Any], PlainValidator(parse_twins)] = Field(default_factory=dict)
    """What is simulated of one protocol alone, by its name."""

    def of(self, protocol: str, model: type[Table]) -> Table:
        """What is said of a protocol; its defaults where nothing is."""
        found = self.protocols.get(protocol)
        return found if isinstance(found, model) else model()
