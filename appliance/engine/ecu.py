"""One ECU on the wire for the length of an operation."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

from appliance.contract.errors import PitboxError
from appliance.definitions.access.base import AccessDefinition
from appliance.definitions.library import Way
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.entering import entered
from appliance.engine.job_access import access_of
from appliance.engine.owner_secrets import owners_secrets
from appliance.flashing.context import JobContext
from appliance.flashing.errors import access_problem
from appliance.flashing.power import PowerGuard
from appliance.flashing.recognising import recognise
from appliance.flashing.retries import asked_patiently
from appliance.flashing.same_ecu import Acquaintance
from appliance.flashing.session_end import must_stay
from appliance.protocols.access import AccessError, Purpose
from appliance.protocols.registry import offer_of
from appliance.protocols.secrets_needed import require_secrets
from appliance.protocols.transforms import SecretNamed

log = logging.getLogger("pitbox.engine")


@asynccontextmanager
async def on_ecu(
    box: EngineContext,
    job_id: str,
    definition: Definition,
    *,
    purpose: Purpose | None = None,
    access: AccessDefinition | None = None,
    confirmed: bool = False,
) -> AsyncIterator[JobContext]:
    """The ECU opened by its protocol, supply watched; all given back at the end. Raises PitboxError.

    What the ECU or the link did wrong before anything was erased becomes a PitboxError here; once something
    was erased the heart has told it already. With a `purpose` it will be opened for that, and a secret of the
    owner that is missing then is told before anything is switched, asked or sent. `confirmed` says that a
    person has named the car; `access` is the job's own where it is not told.
    """
    way = Way(definition, access or access_of(box.journal.job(job_id), definition))
    offer_of(way.access)
    secret = owners_secrets(box, definition)
    if purpose is not None:
        require_secrets(way.access, purpose, secret)
    kept = await box.vigil.end()
    car = Acquaintance(confirmed)
    async with (
        entered(box, way.access, job_id, kept=kept),
        _on_wire(box, job_id, way, secret, car, kept=kept) as ecu,
    ):
        yield ecu


@asynccontextmanager
async def _on_wire(
    box: EngineContext, job_id: str, way: Way, secret: SecretNamed, car: Acquaintance, *, kept: bool
) -> AsyncIterator[JobContext]:
    tell, powers = box.journal.events.tell, way.access.entry.switches
    power = PowerGuard(box.connection.meter, way.access.voltage, tell, job_id, own_supply=powers)
    box.power = power
    try:
        async with offer_of(way.access).open(box.connection, way, secret, kept=kept) as opened:
            power.start()
            yield JobContext(
                job_id,
                way.definition,
                way.access,
                opened,
                box.journal,
                box.blobs,
                box.images,
                power,
                box.now,
                car,
            )
    except AccessError as error:
        raise access_problem(error, way.access) from error
    finally:
        await power.stop()
        _keep_voltages(box, job_id, power)
        if power.left_window:
            box.wirings.of(job_id, way.access.name).doubt()
        if must_stay(box.journal, way.access, job_id):
            box.vigil.begin(box.connection, way.access)


async def require_same_ecu(job: JobContext) -> None:
    """Raises PitboxError ECU_CHANGED when another ECU answers than the one the job was opened for."""
    await asked_patiently(job, lambda: recognise(job))


def _keep_voltages(box: EngineContext, job_id: str, power: PowerGuard) -> None:
    """Widen the job's record of the supply by what this operation saw; never the reason that it fails."""
    seen = power.span()
    if seen is None:
        return
    try:
        known = box.journal.job(job_id).detail.get("voltage")
        kept = dict(known) if isinstance(known, dict) else {}
        low, high = seen
        if low.volts < kept.get("min_v", inf):
            kept |= {"min_v": low.volts, "min_at": box.now() - low.age_s}
        if high.volts > kept.get("max_v", -inf):
            kept |= {"max_v": high.volts, "max_at": box.now() - high.age_s}
        box.journal.note(job_id, voltage=kept | {"source": low.source})
    except PitboxError as error:
        if error.code == "JOB_UNKNOWN":  # whoever asks who answers has no job yet
            return
        log.warning("the voltages of job %s are not kept: %s", job_id, error.what)
