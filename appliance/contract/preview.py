"""What a write would do, told before anything is erased: what a person is asked to confirm."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from appliance.contract.gates import GateTold
from appliance.contract.places import Place

FORM = 2
"""1: a region by memory, start, size, first and last changed address; what gates found in English alone."""


class RegionChange(TypedDict):
    """One region that the write may touch."""

    name: str
    place: Place
    blocks: int
    """Erase blocks of it that belong to the write; those that hold the target already are skipped."""
    changed_bytes: int | None
    """Bytes that will be others than now; None where the present content is not known."""
    changed: Place | None
    """From the first to the last changed byte; None where there is none, or none is known."""


class WaiverAsked(TypedDict):
    """A gate that a named person sets aside."""

    gate: str
    by: str
    reason: str


class Asked(TypedDict):
    """Parameters of a verb, as it was asked; a person's words are among them."""

    job: NotRequired[str | None]
    access: NotRequired[str | None]
    use: NotRequired[str]
    changed_regions: NotRequired[list[str]]
    made_from: NotRequired[str | None]
    memory: NotRequired[str | None]
    original: NotRequired[bool]
    definition: NotRequired[str | None]
    file: NotRequired[str | None]
    car: NotRequired[str | None]
    engine_off: NotRequired[bool]
    more_erases: NotRequired[bool]
    correct_checksums: NotRequired[bool]
    waivers: NotRequired[list[WaiverAsked]]


class EarlierOriginal(TypedDict):
    """What was read of an ECU before this box tuned it: that, and no later read, is its original."""

    file: str
    job: str | None
    """Whose restore puts it back; None where its record is lost."""


class Preview(TypedDict):
    """One write: of what, to which car, with what effect."""

    form: int
    """Of this preview, `FORM`; one of an earlier form was kept by a release that showed it otherwise, and
    nothing is started by its digest any more.
    """
    job: str | None
    """None for a rescue without a journal, which opens a job of its own."""
    verb: str
    """write, restore or recover."""
    kind: str
    """`tuned` or `original`: what the ECU holds afterwards."""
    definition: str
    name: str
    evidence: str
    vin: str | None
    hw: str | None
    sw: str | None
    file: str
    """The stored file's id, or the sha256 of the one handed in."""
    target_sha256: str | None
    """Hash of the memory as it will be; None where the file cannot be opened. `write` takes it back."""
    compared_with: str | None
    """What the changes are counted against: `original`, `last_write`, or None where nothing is known."""
    regions: list[RegionChange]
    left_out: list[str]
    """Memories of the file that the access does not reach: they stay as they are."""
    earlier: NotRequired[EarlierOriginal | None]
    """Where an original goes back that was read after this box had tuned the ECU."""
    rituals: list[str]
    """What the technician must do before this is begun."""
    access: str
    """The definition's way into the ECU, by its name."""
    definition_sha256: str
    """Of the definition in the very version that is worked with."""
    asked: Asked
    """All that was asked for beside the file itself: a person's words among it, as `car` and `engine_off`."""
    gates: list[GateTold]
    """Every gate that needs no car; a recovery has passed them before."""
    refused: list[str]
    """Names of the gates that will refuse this file in any case; what they found is told with them."""
    digest: str
    """SHA-256 over all the rest as RFC 8785 JSON, without `refused` and what gates that refuse found: a
    person confirms it, and a write is started by it."""
