"""The way into an ECU before anything is sent to it: its access's entry, on the ports of this box."""

from __future__ import annotations

import logging
from functools import partial

from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.pin_steps import PIN_NAMES
from appliance.definitions.wiring import is_wire
from appliance.engine.context import EngineContext
from appliance.flashing.entry import Entry
from appliance.flashing.entry_actions import make_safe
from appliance.flashing.entry_record import write_down
from appliance.flashing.session_end import must_stay
from appliance.protocols.port_missing import PortMissingError
from appliance.protocols.ports import CarInterface

log = logging.getLogger("pitbox.engine")


def let_go(connection: CarInterface) -> None:
    """Pins released, supply off: where the engine ends nobody watches over them. Never raises."""
    try:
        pins = connection.pins().names & PIN_NAMES
    except PortMissingError:
        return
    try:
        connection.supply()
        supply = True
    except PortMissingError:
        supply = False
    for problem in make_safe(connection, pins, supply=supply):
        log.error("at the end of the engine: %s", problem)


def entered(
    box: EngineContext, access: AccessDefinition, job_id: str | None = None, *, kept: bool = False
) -> Entry:
    """`async with`: the controller is where the access needs it.

    `kept`: an ECU was kept in its session till now. One that a reset would silence for good is left under
    power at the end, and is found there by the next operation.
    """

    def stays() -> bool:
        return job_id is not None and must_stay(box.journal, access, job_id)

    inside = kept and stays()
    record = partial(write_down, box.journal)
    return Entry(
        access.choreography,
        box.connection,
        record,
        access.name,
        job_id,
        wires=lambda step: access.method == "bench" and is_wire(step, access.wiring),
        wiring=box.wirings.of(job_id, access.name),
        inside=inside,
        stays=stays,
        tell=box.journal.events.tell,
    )
