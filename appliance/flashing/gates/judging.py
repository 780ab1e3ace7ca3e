"""All gates in the order they are shown, and how each comes to its verdict."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from appliance.contract.errors import PitboxError
from appliance.contract.gates import GateVerdict, Verdict, found
from appliance.flashing.errors import said_by
from appliance.flashing.gates.base_read import BaseRead
from appliance.flashing.gates.bus_quiet import BusQuiet
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.changed_ranges import ChangedRanges
from appliance.flashing.gates.checksum import ChecksumGate
from appliance.flashing.gates.consents import Consents
from appliance.flashing.gates.definition import DefinitionFits
from appliance.flashing.gates.disk import Disk
from appliance.flashing.gates.engine_off import EngineOff
from appliance.flashing.gates.gate import CarGate, Gate, Judgement, PaperGate, failed
from appliance.flashing.gates.identity import Identity
from appliance.flashing.gates.length import Length
from appliance.flashing.gates.link_clean import LinkClean
from appliance.flashing.gates.method import Method
from appliance.flashing.gates.no_open_write import NoOpenWrite
from appliance.flashing.gates.no_update import NoUpdate
from appliance.flashing.gates.original_stored import OriginalStored
from appliance.flashing.gates.plausibility import PlausibilityGate
from appliance.flashing.gates.regions import Regions
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.gates.signatures import Signatures
from appliance.flashing.gates.temperature import Temperature
from appliance.flashing.gates.voltage_ripple import VoltageRipple
from appliance.flashing.gates.voltage_steady import VoltageSteady
from appliance.flashing.gates.voltage_window import VoltageWindow
from appliance.protocols.access import AccessError

PAPER_GATES: tuple[PaperGate, ...] = (
    Signatures(),
    OriginalStored(),
    DefinitionFits(),
    Method(),
    Regions(),
    Length(),
    BaseRead(),
    ChangedRanges(),
    PlausibilityGate(),
    ChecksumGate(),
    Consents(),
)
CAR_GATES: tuple[CarGate, ...] = (
    Identity(),
    VoltageWindow(),
    VoltageSteady(),
    VoltageRipple(),
    BusQuiet(),
    LinkClean(),
    EngineOff(),
    Disk(),
    Temperature(),
    NoUpdate(),
    NoOpenWrite(),
)
WAIVABLE = {gate.name: gate.waivable for gate in (*PAPER_GATES, *CAR_GATES) if gate.waivable}
"""The gates that somebody may set aside, with the verdicts for which."""
log = logging.getLogger("pitbox.gates")


def check_request(request: WriteRequest) -> list[GateVerdict]:
    """Every gate that can be checked without the wire, in the order they are shown. Raises PitboxError."""
    return [_by_papers(gate, request) for gate in PAPER_GATES]


async def check_car(check: CarCheck) -> AsyncIterator[GateVerdict]:
    """Every gate of the car and the box, one after the other. Raises PitboxError."""
    for gate in CAR_GATES:
        yield await judge_car(gate, check)


async def judge_car(gate: CarGate, check: CarCheck) -> GateVerdict:
    """The verdict of one of them. Raises PitboxError."""
    return _settled(gate, await _by_car(gate, check), check.request)


def pending(judged: int) -> list[GateVerdict]:
    """The gates of the car and the box that come after the first `judged` ones."""
    return [
        GateVerdict(gate.name, Verdict.PENDING, (found("gate_pending"),), gate.question)
        for gate in CAR_GATES[judged:]
    ]


def _by_papers(gate: PaperGate, request: WriteRequest) -> GateVerdict:
    try:
        judgement = gate.judge(request)
    except PitboxError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever breaks in a gate, the answer is no
        judgement = _broken(gate, error)
    return _settled(gate, judgement, request)


async def _by_car(gate: CarGate, check: CarCheck) -> Judgement:
    try:
        reason = gate.applies(check)
        if reason is not None:
            return Judgement(Verdict.NOT_APPLICABLE, (reason,))
        return await gate.judge(check)
    except PitboxError:
        raise
    except (AccessError, OSError) as error:
        return failed("gate_unasked", error=said_by(error))
    except Exception as error:  # noqa: BLE001 - whatever breaks in a gate, the answer is no
        return _broken(gate, error)


def _broken(gate: Gate, error: Exception) -> Judgement:
    log.exception("the gate %s broke", gate.name)
    return failed("gate_broken", error=type(error).__name__)


def _settled(gate: Gate, judgement: Judgement, request: WriteRequest) -> GateVerdict:
    """The verdict, after whoever would waive it; a person is told that it does not help."""
    verdict, findings = judgement
    waiver = request.waiver_of(gate.name)
    told = GateVerdict(gate.name, verdict, findings, gate.question)
    if waiver is None or told.passed:
        return told
    if verdict in gate.waivable:
        why = found("gate_waived", by=waiver.by, reason=waiver.reason)
        return GateVerdict(gate.name, Verdict.WAIVED, (*findings, why), gate.question, waiver)
    if gate.name not in request.waivers:
        return told
    never = found("gate_never_waived", by=waiver.by)
    return GateVerdict(gate.name, verdict, (*findings, never), gate.question)
