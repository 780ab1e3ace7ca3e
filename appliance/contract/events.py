"""What happens, as the journal keeps it and the engine tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from appliance.contract.actors import Actor
from appliance.contract.alarm_texts import ALARMS
from appliance.contract.catalogue import Field, spelled
from appliance.contract.gates import GateVerdict
from appliance.contract.note_texts import NOTES
from appliance.contract.places import Range
from appliance.contract.voltage import Voltage


class Phase(StrEnum):
    """What the box is doing to the ECU right now."""

    IDENTIFY = "identify"
    READ_1 = "read_1"
    READ_2 = "read_2"
    PREFLIGHT = "preflight"
    COMPARE = "compare"
    WRITE = "write"
    VERIFY = "verify"
    COMMIT = "commit"
    DTC = "dtc"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class Event:
    """One typed change; `kind` names the class in JSON."""

    job_id: str | None

    def as_dict(self) -> dict[str, object]:
        """JSON form that crosses the engine's socket."""
        return {"kind": type(self).__name__.removesuffix("Event").lower(), **asdict(self)}


@dataclass(frozen=True, slots=True)
class StateEvent(Event):
    """The job entered a state."""

    state: str
    before: str | None = None
    """The state it left; None for a new job."""


@dataclass(frozen=True, slots=True)
class StepEvent(Event):
    """One more step of a write is in the journal."""

    write: int
    step: str
    memory: str | None
    """Of the block that the step is about, if it is about one."""
    block_start: int | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class OperationEvent(Event):
    """An operation began or ended. What it gave is kept with the operation itself."""

    id: str
    verb: str
    state: str
    """running, done, failed, cancelled, or interrupted: the box stopped without a word."""
    parameters_sha256: str
    error: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class DroppedEvent(Event):
    """The oldest events made room; counted from the first day on."""

    events: int
    through_seq: int
    through_at: float
    """Time of the last one that is gone, s since the epoch as the box's clock stood."""


@dataclass(frozen=True, slots=True)
class ProgressEvent(Event):
    """How far a phase is. Bytes count only once the ECU acknowledged or delivered them."""

    phase: Phase
    done_bytes: int
    total_bytes: int
    bytes_per_s: float
    wire_share: float | None
    """Rate as a share of the wire's ceiling, 0 to 1."""
    eta_s: float | None
    voltage: Voltage | None
    """Of the supply; None where nothing was ever read."""
    wire_bytes: int | None = None
    """Payload sent for a write: less than memory where it travels compressed, more where it was repeated."""


@dataclass(frozen=True, slots=True)
class NoteEvent(Event):
    """Something worth telling: a skipped best-effort step, a third read, a retry.

    Screens translate by the key; `text` is English.
    """

    key: str
    fields: dict[str, Field] = field(default_factory=dict)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what the catalogue has no words for."""
        object.__setattr__(self, "text", spelled(NOTES, self.key, self.fields))


@dataclass(frozen=True, slots=True)
class AlarmEvent(Event):
    """Something the technician must act on now, such as a sagging supply.

    Screens translate by the key; `text` is English.
    """

    code: str
    """What it is about: the same while it is raised and when it is over."""
    key: str
    raised: bool
    fields: dict[str, Field] = field(default_factory=dict)
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what the catalogue has no words for."""
        object.__setattr__(self, "text", spelled(ALARMS, self.key, self.fields))


@dataclass(frozen=True, slots=True)
class RegionChange:
    """What a write will make different in one region that it covers, before anything is erased."""

    region: str
    tag: str
    place: Range
    changed_bytes: int
    ranges: tuple[Range, ...]
    """Bytes close together count as one range, and only the first are listed."""
    ranges_total: int


@dataclass(frozen=True, slots=True)
class GatesEvent(Event):
    """All gates with their verdicts, and what the write would change, by region."""

    gates: tuple[GateVerdict, ...]
    changes: tuple[RegionChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event with its number, the time as the box's clock stood, and who asked.

    Numbers rise and never come again; some are left out. They, not times, say what came first.
    """

    seq: int
    at: float
    actor: Actor
    event: Event

    def as_dict(self) -> dict[str, object]:
        """JSON form that crosses the engine's socket."""
        return {"seq": self.seq, "at": self.at, "actor": self.actor.as_dict(), **self.event.as_dict()}


Tell = Callable[[Event], None]
"""Has an event written down and told; never raises."""
Heard = Callable[[Recorded], None]
"""Called with each event once it is written down."""
