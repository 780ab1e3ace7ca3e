"""What the engine answers beside reports and results, in the JSON form that crosses its socket."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

from appliance.contract.actors import ActorTold
from appliance.contract.catalogue import FieldTold
from appliance.contract.errors import EcuSafety, ErrorTold
from appliance.contract.events_told import AnyEvent, BehindTold, HeartbeatTold, QuestionTold
from appliance.contract.places import Place
from appliance.contract.proposals_told import ProposalTold
from appliance.contract.results import Result
from appliance.contract.voltage import VoltageTold


class OperationStanding(TypedDict):
    """One thing a client asked for, and how it stands."""

    id: str
    verb: str
    job: str | None
    actor: ActorTold | None
    """None where the record of it was changed on the disk."""
    parameters_sha256: NotRequired[str]
    after: NotRequired[int]
    """Number behind which all its events come; of the engine's present life only."""
    began_at: NotRequired[float]
    """Seconds since 1970, as `ended_at`; of operations that are over."""
    ended_at: NotRequired[float | None]
    state: str
    """running, done, failed, cancelled, interrupted (the box stopped without a word) or damaged."""
    error: ErrorTold | None


class OperationTold(OperationStanding):
    """One thing a client asked for, and what became of it."""

    result: Result | None


class JobTold(TypedDict):
    """A job in the list of jobs."""

    id: str
    state: str
    definition: str | None
    vin: str | None
    hw: str | None
    sw: str | None
    original: str | None
    created_at: float
    """Seconds since 1970."""


class SecretTold(TypedDict):
    """A key or loader of the owner's: whether it is on this box, never what it is."""

    definition: str
    name: str
    role: str | None
    """None, like `about`, where no definition names it any more."""
    about: str | None
    stored: bool


class OriginalTold(TypedDict):
    """A sealed original, whatever the journal knows of it."""

    file: str
    definition: str
    hw: str
    sw: str
    boot: str | None
    earlier: NotRequired[str | None]
    """File of the original that was read before this box tuned the ECU, where this one was read later."""


class RegionTold(TypedDict):
    """A region of a definition, and what of it erases as one."""

    name: str
    tag: str
    place: Place
    writable: bool
    sectors: list[Place]
    """Ascending."""


class DefinitionTold(TypedDict):
    """A definition, or a file that was refused with its error."""

    id: str
    name: str
    kind: str
    evidence: str
    refused: ErrorTold | None
    regions: list[RegionTold]


class OpenWriteTold(TypedDict):
    """A write that did not come to its end, and the car it belongs to."""

    job: str
    definition: str | None
    vin: str | None
    hw: str | None
    state: str
    half_written: bool
    set_aside_by: NotRequired[str | None]
    """Not told, like what follows, by releases that knew of none: a warning must be readable."""
    set_aside_reason: NotRequired[str | None]
    serial: NotRequired[str | None]
    chip_id: NotRequired[str | None]


class SafetyTold(TypedDict):
    """How the ECU asked for stands, and every write of the box that is not over."""

    ecu: EcuSafety
    open_writes: list[OpenWriteTold]


class TroubleTold(TypedDict):
    """Something that is wrong: by key and fields for screens that translate, and in English."""

    key: str
    fields: dict[str, FieldTold]
    text: str


class Rot(TypedDict):
    """A place of a stored file that is not whole."""

    file: str
    place: Place | None
    """None where it is all of the file, or the place of all files."""
    code: NotRequired[str]
    """Of the error that was found, for screens that translate. Not told by earlier releases."""
    what: str
    """In English."""
    key: NotRequired[str]
    """Of what it says, with its fields, for screens that translate."""
    fields: NotRequired[dict[str, FieldTold]]


class StoredFiles(TypedDict):
    """How the sealed files fare: rounds of looking since the start, and what is not whole."""

    rounds: int
    rot: list[Rot]


class Snapshot(TypedDict):
    """All that holds now."""

    kind: Literal["snapshot"]
    role: Literal["master", "slave"]
    device: str
    simulated: bool
    voltmeter_missing: str | None
    """Why no supply voltage can be measured."""
    supply: VoltageTold | None
    """As it was measured last, with its age; None before the first operation."""
    protection_gaps: list[str]
    journal_differences: list[TroubleTold]
    stored_files: StoredFiles
    operation: OperationStanding | None
    """The last that was begun."""
    recoverable: list[JobTold]
    questions: list[QuestionTold]
    proposals: NotRequired[list[ProposalTold]]
    """Writes that wait for consents, or to be started; oldest first. Not told by earlier releases."""
    seq: int
    """Number of the newest event."""
    latest: dict[str, AnyEvent]
    """The newest event of each lasting kind."""


class EventPage(TypedDict):
    """Events behind a number."""

    events: list[AnyEvent]
    after: int
    last: int
    more: bool


class UploadTold(TypedDict):
    """A file that was handed in."""

    upload: str
    bytes: int


class Cancelled(TypedDict):
    """The operation is over or will be."""

    cancelled: Literal[True]


StreamTold: TypeAlias = Snapshot | AnyEvent | HeartbeatTold | BehindTold
"""A line of the stream of events."""
