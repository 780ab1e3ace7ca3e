"""Events in the JSON form that crosses the engine's socket: one type per kind, told apart by `kind`.

What is not required was not told by earlier releases, whose events a journal keeps.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

from appliance.contract.actors import ActorTold
from appliance.contract.catalogue import FieldTold
from appliance.contract.errors import ErrorTold
from appliance.contract.gates import GateTold
from appliance.contract.places import Place
from appliance.contract.voltage import VoltageTold


class EventTold(TypedDict):
    """What every event says; of a kind that is not known, all that can be read."""

    seq: int
    """Numbers rise and never come again; some are left out."""
    at: float
    """Seconds since 1970, as the box's clock stood."""
    actor: ActorTold | None
    """None where the event was changed on the disk."""
    job_id: str | None


class StateTold(EventTold):
    """A job entered a state."""

    kind: Literal["state"]
    state: str
    before: str | None


class StepTold(EventTold):
    """One more step of a write is in the journal."""

    kind: Literal["step"]
    write: int
    step: str
    memory: NotRequired[str | None]
    block_start: int | None
    detail: str | None


class OperationChanged(EventTold):
    """An operation began or ended."""

    kind: Literal["operation"]
    id: str
    verb: str
    state: str
    parameters_sha256: str
    error: ErrorTold | None


class DroppedTold(EventTold):
    """The oldest events made room."""

    kind: Literal["dropped"]
    events: int
    through_seq: int
    through_at: float


class ProgressTold(EventTold):
    """How far a phase is."""

    kind: Literal["progress"]
    phase: str
    done_bytes: int
    total_bytes: int
    bytes_per_s: float
    wire_share: float | None
    eta_s: float | None
    voltage: NotRequired[VoltageTold | None]
    voltage_v: NotRequired[float | None]
    """Of earlier releases: nobody knows how old it was."""
    wire_bytes: NotRequired[int | None]


class NoteTold(EventTold):
    """Something worth telling."""

    kind: Literal["note"]
    key: NotRequired[str]
    fields: NotRequired[dict[str, FieldTold]]
    text: str


class AlarmTold(EventTold):
    """Something the technician must act on now."""

    kind: Literal["alarm"]
    code: str
    key: NotRequired[str]
    fields: NotRequired[dict[str, FieldTold]]
    text: str
    raised: bool


class WaiverTold(TypedDict):
    """Who sets a gate aside, and why."""

    by: str
    reason: str


class GateJudged(GateTold):
    """A gate with its question and who sets it aside."""

    question: str
    waiver: WaiverTold | None


class RegionChanged(TypedDict):
    """What a write will make different in one region."""

    region: str
    tag: str
    place: NotRequired[Place]
    size_bytes: NotRequired[int]
    """Of earlier releases, which did not say where."""
    changed_bytes: int
    ranges: list[Place]
    ranges_total: int


class GatesTold(EventTold):
    """All gates with their verdicts, and what the write would change."""

    kind: Literal["gates"]
    gates: list[GateJudged]
    changes: list[RegionChanged]


class EntryTold(EventTold):
    """A step of an access's entry, or of its ending."""

    kind: Literal["entry"]
    access: str
    outcome: str
    what: str
    """In English."""
    step: int | None
    key: NotRequired[str]
    """Of what it says, with its fields, for screens that translate. Not told by earlier releases."""
    fields: NotRequired[dict[str, FieldTold]]


class QuestionFields(TypedDict):
    """A question to the person at the box, and how it stands."""

    id: str
    key: str
    text: str
    choices: list[str]
    asked_at: float
    deadline_s: float
    state: str
    answer: str | None
    by: str | None
    answered_at: float | None
    who: NotRequired[Literal["at_the_box", "anybody"]]
    """Whose answer counts: `at_the_box` is not the web's."""
    fields: dict[str, str]


class QuestionTold(QuestionFields):
    """A question in a list of them."""

    kind: Literal["question"]
    job_id: str | None


class QuestionAsked(EventTold, QuestionFields):
    """A question was asked, or stands otherwise than before."""

    kind: Literal["question"]


class ProposalChanged(EventTold):
    """Something became of a proposal."""

    kind: Literal["proposal"]
    id: str
    verb: str
    what: str
    state: str
    digest: str
    waits_for: list[str]
    by: str | None
    operation: str | None
    why: str | None


class DamagedTold(EventTold):
    """An event that was changed on the disk: nobody is to believe it."""

    kind: Literal["damaged"]


class HeartbeatTold(TypedDict):
    """Of a stream: nothing was told for so long, and the engine lives."""

    kind: Literal["heartbeat"]
    silent_s: float


class BehindTold(TypedDict):
    """Of a stream: its reader is so far behind that it is told the rest from the journal."""

    kind: Literal["behind"]
    after: int
    head: int


AnyEvent: TypeAlias = (
    StateTold
    | StepTold
    | OperationChanged
    | DroppedTold
    | ProgressTold
    | NoteTold
    | AlarmTold
    | GatesTold
    | EntryTold
    | QuestionAsked
    | ProposalChanged
    | DamagedTold
)
"""What the journal keeps and the engine tells."""
