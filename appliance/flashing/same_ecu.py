"""Whether the ECU that answers is the one a job is for: nothing is opened, erased or cleared on a guess.

A serial number, a chip id or a VIN belongs to one ECU alone. Hardware and boot numbers tell only its kind,
and a bootloader may tell no more than them, or nothing: then a person must name the car.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.contract.results import IdentityAfter
from appliance.protocols.access import EcuIdentity

OF_ONE_ECU = ("serial", "vin", "chip_id")
OF_ITS_KIND = ("hw", "boot")


@dataclass(frozen=True, slots=True)
class Likeness:
    """What an ECU told of itself, beside what is known of the one that is meant."""

    told: EcuIdentity = field(default_factory=EcuIdentity)
    agreed: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    """Fields that differ."""

    @property
    def other(self) -> bool:
        """Another ECU, by its own word."""
        return bool(self.strange)

    @property
    def proven(self) -> bool:
        """The very ECU, by its own word."""
        return not self.other and any(name in OF_ONE_ECU for name in self.agreed)


@dataclass(slots=True)
class Acquaintance:
    """What one operation knows of the ECU on its wire."""

    confirmed: bool = False
    """A person named the car at the beginning of this operation."""
    likeness: Likeness = field(default_factory=Likeness)
    """As last asked."""
    application_dead: bool = False
    """Only its bootloader answers, or what an access finds that needs no program at all."""
    meant: EcuIdentity | None = None
    """Who must answer, where no job keeps an identity yet."""
    doubtful: bool = False
    """It was asked since the link was last opened, and did not prove itself."""


def summary(likeness: Likeness, *, confirmed: bool) -> IdentityAfter:
    """For the report: what was told, which fields agreed, and by what the ECU was known for the job's."""
    by = [name for name in OF_ONE_ECU if name in likeness.agreed] or ["person" if confirmed else "kind"]
    told = likeness.told
    return IdentityAfter(
        hw=told.hw,
        sw=told.sw,
        boot=told.boot,
        serial=told.serial,
        vin=told.vin,
        chip_id=told.chip_id,
        compared=list(likeness.agreed),
        known_by=by[0],
    )


def compare(told: EcuIdentity, known: EcuIdentity) -> Likeness:
    """Field by field; what either side does not tell says nothing."""
    agreed: list[str] = []
    strange: list[str] = []
    for name in (*OF_ITS_KIND, *OF_ONE_ECU):
        now, kept = getattr(told, name), _kept(name, told, known)
        if now is not None and kept:
            (agreed if now in kept else strange).append(name)
    return Likeness(told, tuple(agreed), tuple(strange))


def _kept(name: str, told: EcuIdentity, known: EcuIdentity) -> tuple[str, ...]:
    """Texts that agree; none where there is nothing to compare with.

    A bootloader may tell its hardware by a field of its own, and in other words than the application.
    """
    value = getattr(known, name)
    if name != "hw" or told.bootloader_hw is None or told.hw != told.bootloader_hw:
        return () if value is None else (value,)
    if known.bootloader_hw is not None:
        return (known.bootloader_hw,)
    return (value,) if value == told.hw else ()
