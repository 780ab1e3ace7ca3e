"""The gates of a recovery: who answers, what is to be written, and supply and bus before a first erase."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.contract.events import GatesEvent
from appliance.contract.gates import GateVerdict, Verdict, found
from appliance.flashing.context import JobContext
from appliance.flashing.errors import said_by
from appliance.flashing.gates.bus_quiet import BusQuiet
from appliance.flashing.gates.gate import Gate, Judgement, ResumptionGate, WireGate, failed
from appliance.flashing.gates.link_clean import LinkClean
from appliance.flashing.gates.ordered_blocks import OrderedBlocks
from appliance.flashing.gates.target_whole import TargetWhole
from appliance.flashing.gates.very_ecu import VeryEcu
from appliance.flashing.gates.voltage_window import VoltageWindow
from appliance.flashing.gates.wire_check import WireCheck
from appliance.flashing.resumption import Resumption
from appliance.protocols.access import AccessError, LinkHealth

_PAPER_GATES: tuple[ResumptionGate, ...] = (OrderedBlocks(), TargetWhole())
_ALWAYS: tuple[WireGate, ...] = (VeryEcu(),)
_BEFORE_FIRST_ERASE: tuple[WireGate, ...] = (VoltageWindow(), BusQuiet(), LinkClean())
"""A half-written ECU is finished whatever they would say: its write waits between blocks instead."""


async def ask_the_wire(job: JobContext, *, touched: bool) -> tuple[GateVerdict, ...]:
    """What ECU, supply and bus say now; told as they come. Raises PitboxError for another ECU or none."""
    check = WireCheck(job, lambda: _listen(job))
    verdicts = [_verdict(gate, await _judged(gate, check)) for gate in _ALWAYS]
    for gate in _BEFORE_FIRST_ERASE:
        begun = Judgement(Verdict.NOT_APPLICABLE, (found("write_begun"),))
        verdicts.append(_verdict(gate, begun if touched else await _judged(gate, check)))
    return tuple(verdicts)


def check_resumption(resumption: Resumption) -> tuple[GateVerdict, ...]:
    """Every gate of a recovery; one that nobody asked the wire for is pending, and that is no pass."""
    asked = {one.name: one for one in resumption.on_the_wire}
    on_the_wire = (asked.get(gate.name, _pending(gate)) for gate in (*_ALWAYS, *_BEFORE_FIRST_ERASE))
    return (*on_the_wire, *(_verdict(gate, gate.judge(resumption)) for gate in _PAPER_GATES))


def tell(job: JobContext, verdicts: Iterable[GateVerdict]) -> None:
    """Show them all, as before a fresh write."""
    job.journal.events.tell(GatesEvent(job.id, tuple(verdicts), ()))


async def _listen(job: JobContext) -> LinkHealth | None:
    return None if job.access.link is None else await job.access.link.listen()


async def _judged(gate: WireGate, check: WireCheck) -> Judgement:
    try:
        return await gate.judge(check)
    except (AccessError, OSError) as error:
        return failed("gate_unasked", error=said_by(error))


def _verdict(gate: Gate, judgement: Judgement) -> GateVerdict:
    return GateVerdict(gate.name, judgement.verdict, judgement.findings, gate.question)


def _pending(gate: Gate) -> GateVerdict:
    return _verdict(gate, Judgement(Verdict.PENDING, (found("gate_pending"),)))
