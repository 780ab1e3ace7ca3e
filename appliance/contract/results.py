"""What an operation gives, in the JSON form that crosses the engine's socket."""

from __future__ import annotations

from typing import NotRequired, TypeAlias

from typing_extensions import TypedDict

from appliance.contract.preview import EarlierOriginal, Preview


class Identity(TypedDict):
    """What an ECU says of itself; None is "did not answer", never an invented value."""

    hw: str | None
    sw: str | None
    boot: str | None
    serial: str | None
    vin: str | None
    calid: list[str]
    cvn: list[str]
    bootloader_hw: str | None
    chip_id: str | None


class Protection(TypedDict):
    """What stands between the box and programming."""

    kind: str
    evidence: list[str]
    advice: str


class RecommendedMethod(TypedDict):
    """Which way into the ECU is advised, and why."""

    recommended: str
    reason: str


class Ritual(TypedDict):
    """Something the technician must do at a certain step."""

    when: str
    text: str


class Identified(TypedDict):
    """An ECU was found and a job was opened for it."""

    job: str
    definition: str
    name: str
    evidence: str
    identity: Identity
    protection: Protection
    method: RecommendedMethod
    rituals: list[Ritual]
    others: list[str]
    """Other ECUs that answered, in words."""


class ReadPass(TypedDict):
    """One reading pass."""

    sha256: str
    bytes: int
    seconds: float
    voted_blocks: int
    """Pieces that needed a third read."""


class SealedSegment(TypedDict):
    """One piece of a sealed file."""

    path: str
    ct_sha256: str


class ReadSummary(TypedDict):
    """What a read moved, and how fast."""

    reads: list[ReadPass]
    sealed: list[SealedSegment]
    read_efficiency: float | None
    """Rate as a share of what the wire can carry."""


class ReadDone(ReadSummary):
    """An ECU was read twice and sealed."""

    job: str
    file: str
    full: bool
    """Whether it covers all that can be read, as an original must."""
    earlier: NotRequired[EarlierOriginal | None]
    """Where this box had tuned the ECU before: what was read then is its original, and not this."""


class BlockCounts(TypedDict):
    """Blocks of a write."""

    total: int
    written: int
    skipped: int | None
    """What did not need it; None where the write is not finished."""


class Proof(TypedDict):
    """How memory was proven after a write."""

    method: str
    blocks: int
    result: str
    """`pass`, or `partial` where blocks left alone could not be compared."""
    sha256: str | None
    unproven: list[str]


class IdentityAfter(TypedDict):
    """Which ECU answered after a write."""

    hw: str | None
    sw: str | None
    boot: str | None
    serial: str | None
    vin: str | None
    chip_id: NotRequired[str | None]
    """Not told by releases that knew of none."""
    compared: list[str]
    known_by: str
    """`serial`, `vin`, `chip_id`, `person` or `kind`."""


class WriteFacts(TypedDict):
    """What a write did and proved."""

    result: str
    blocks: BlockCounts
    verify: Proof
    write_efficiency: float | None
    identity_after: IdentityAfter
    left_out: NotRequired[list[str]]
    """Memories of the file that the access does not reach: they are as they were. Not told by releases that
    knew one memory alone.
    """


class Written(WriteFacts):
    """A write came to its end."""

    job: str
    dtcs_after: list[str] | None
    rituals: list[str]
    earlier: NotRequired[EarlierOriginal | None]
    """Where what went back was read after this box had tuned the ECU: that is not its original."""


class Verified(TypedDict):
    """The ECU's memory is what it should be."""

    job: str
    method: str
    blocks: int
    sha256: str


class PersonsWord(TypedDict):
    """What a named person stated, and when (seconds since 1970)."""

    job: str
    by: str
    reason: str
    at: float


class FaultCode(TypedDict):
    """A fault code and its status byte."""

    code: str
    status: int | None


class FaultCodes(TypedDict):
    """Fault codes, before and after clearing where that was asked for."""

    job: str
    dtcs: list[FaultCode]
    before: list[str]
    cleared: bool | None
    new: list[str]


Result: TypeAlias = Identified | ReadDone | Written | Verified | PersonsWord | FaultCodes | Preview
