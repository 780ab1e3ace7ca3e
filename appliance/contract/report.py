"""The report of a job, in the JSON form that crosses the engine's socket: its keys are a promise."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from appliance.contract.gates import GateTold
from appliance.contract.preview import EarlierOriginal
from appliance.contract.results import BlockCounts, Identity, IdentityAfter, Proof, ReadPass, SealedSegment


class Word(TypedDict):
    """What a named person stated, and when (seconds since 1970)."""

    by: str
    reason: str
    at: float


class GateWaived(TypedDict):
    """A named person set a gate aside, and when (seconds since 1970)."""

    gate: str
    by: str
    reason: str
    at: float


class CarNamed(TypedDict):
    """A person named the car, where its ECU could not."""

    named: str
    at: float


class EarlierWrite(TypedDict):
    """What an earlier write of the same job did."""

    result: str | None
    blocks: BlockCounts | None
    verify: Proof | None
    write_efficiency: float | None
    dtcs_after: list[str] | None
    identity_after: IdentityAfter | None


class FaultCodesAround(TypedDict):
    """Fault codes before and after a write; None where they were not read."""

    before: list[str] | None
    after: list[str] | None


class VoltageSpan(TypedDict):
    """Lowest and highest supply voltage over all work on the job, and when they were measured."""

    min_v: float
    max_v: float
    min_at: float | None
    """Seconds since 1970; None where an earlier release noted it, as `source`."""
    max_at: float | None
    source: str | None
    """What measured last."""


class Wire(TypedDict):
    """Rates as shares of what the wire can carry, and its bit rate in bit/s."""

    read_efficiency: float | None
    write_efficiency: float | None
    bitrate: int | None


class Interruption(TypedDict):
    """Where work stopped, and whether it was taken up again."""

    phase: str
    at_byte: int
    resumed: bool


class Report(TypedDict):
    """A job's whole story."""

    job: str
    result: str
    definition: str | None
    evidence: str | None
    identity: Identity
    method: str | None
    reads: list[ReadPass]
    sealed: list[SealedSegment]
    gates: list[GateTold]
    blocks: BlockCounts | None
    verify: Proof | None
    identity_after: IdentityAfter | None
    car_confirmed: list[CarNamed]
    waived: list[GateWaived]
    settled: list[Word]
    set_aside: list[Word]
    earlier: list[EarlierWrite]
    dtcs: FaultCodesAround
    voltage: VoltageSpan | None
    wire: Wire
    interruptions: list[Interruption]
    seconds: float
    original_before: NotRequired[EarlierOriginal | None]
    """Where this box had tuned the ECU before the job read it: the ECU's original is that one."""
