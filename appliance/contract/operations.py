"""What the engine can be asked to do: a request for each verb, checked before anything starts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from appliance.contract.uses import Use


class OperationClass(StrEnum):
    """What an operation is beside others."""

    EXCLUSIVE = "exclusive"
    """It has the ECU to itself from its beginning to its end: whatever else would use the ECU is refused."""
    PREEMPTIBLE = "preemptible"
    """It uses the ECU, and is cancelled where an exclusive one is asked for."""
    HARMLESS = "harmless"
    """It asks nothing of the ECU, and runs beside the others."""


JobId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
CarName = Annotated[str, Field(min_length=1, max_length=64)]
"""A VIN as a person reads it off the car, or an id where none is known."""
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=500)]
"""A person's name or reason."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Confirmed = Sha256 | None
"""Digest of the preview that a person saw: nothing else is begun then."""
Name = Annotated[str, Field(max_length=64)]
"""Of a region or a definition."""
Names = Annotated[list[Name], Field(max_length=64)]
FileName = Annotated[str, Field(pattern=r"^[0-9a-f-]{1,64}$")]


class Parameters(BaseModel):
    """Of a verb: nothing that is not known."""

    model_config = ConfigDict(extra="forbid")


class OfJob(Parameters):
    """Of a verb that works on a job."""

    job: JobId


class OfWrite(OfJob):
    """What is written, and what its user states about it."""

    upload: Name
    use: Use = Use.BENCH_RESEARCH
    changed_regions: Names = []
    correct_checksums: bool = False
    made_from: FileName | None = None
    memory: Name | None = None
    """The one that a plain file is of."""
    engine_off: bool = False
    car: CarName | None = None


class GateWaiver(Parameters):
    """A named person sets one gate aside, where that gate lets anybody."""

    gate: Name
    by: Word
    reason: Word


class OfRestore(OfJob):
    """Whose original goes back, and over which of the definition's accesses: by default the job's."""

    access: Name | None = None
    car: CarName | None = None
    waivers: Annotated[list[GateWaiver], Field(max_length=8)] = []


class OfRecovery(Parameters):
    """Which interrupted write; with a definition, which sealed original goes back without a journal.

    An `upload` is a copy of the original that was exported before, for a box that has lost its own.
    """

    job: JobId | None = None
    original: bool = False
    more_erases: bool = False
    definition: Name | None = None
    file: FileName | None = None
    upload: Name | None = None
    access: Name | None = None
    """Which of the definition's accesses, if not the one that the write was begun over."""
    car: CarName | None = None

    @model_validator(mode="after")
    def _all_used(self) -> Self:
        """An option that would not be used is an error: its user meant something else."""
        if self.file is not None and self.definition is None:
            raise ValueError("file belongs to definition, which is not given")
        if self.definition is not None and self.job is not None:
            raise ValueError("definition opens a job of its own: give either job or definition")
        if self.definition is not None and self.more_erases:
            raise ValueError("with definition a new write begins: leave more_erases out")
        if self.definition is not None and self.original:
            raise ValueError("with definition it is always an original that goes back: leave original out")
        return self


class Identify(Parameters):
    """Find and recognise the ECU."""

    verb: Literal["identify"]
    definition: Name | None = None
    access: Name | None = None
    """Which of the definition's accesses alone; one that has to be powered first is taken only so."""

    @model_validator(mode="after")
    def _all_used(self) -> Self:
        if self.access is not None and self.definition is None:
            raise ValueError("access belongs to definition, which is not given")
        return self


class Read(OfJob):
    """Read twice and seal."""

    verb: Literal["read"]
    regions: Names = []


class Write(OfWrite):
    """Write a file that was handed in."""

    verb: Literal["write"]
    confirmed: Confirmed = None


class Restore(OfRestore):
    """Put the ECU's own original back."""

    verb: Literal["restore"]
    confirmed: Confirmed = None


class Recover(OfRecovery):
    """Finish an interrupted write; with a definition, put a sealed original back without a journal."""

    verb: Literal["recover"]
    confirmed: Confirmed = None


class Verify(OfJob):
    """Compare the ECU's memory with a stored file."""

    verb: Literal["verify"]
    file: FileName | None = None


class Settle(OfJob):
    """A person's word that a benched ECU was repaired or replaced elsewhere."""

    verb: Literal["settle"]
    by: Word
    reason: Word


class SetAside(OfJob):
    """A person's word that another car is served before this write is finished."""

    verb: Literal["set_aside"]
    by: Word
    reason: Word


class Dtc(OfJob):
    """Fault codes."""

    verb: Literal["dtc"]
    clear: bool = False
    car: CarName | None = None

    @model_validator(mode="after")
    def _all_used(self) -> Self:
        if self.car is not None and not self.clear:
            raise ValueError("car belongs to clear, which is not given")
        return self


class PreviewWrite(OfWrite):
    """What a write would do."""

    verb: Literal["preview"]
    of: Literal["write"]


class PreviewRestore(OfRestore):
    """What putting the original back would do."""

    verb: Literal["preview"]
    of: Literal["restore"]


class PreviewRecover(OfRecovery):
    """What a recovery would go on with."""

    verb: Literal["preview"]
    of: Literal["recover"]


Operation: TypeAlias = (
    Identify
    | Read
    | Write
    | Restore
    | Recover
    | Verify
    | Settle
    | SetAside
    | Dtc
    | PreviewWrite
    | PreviewRestore
    | PreviewRecover
)
"""Any request to start something: its verb, and `of` in a preview, say which it is."""
