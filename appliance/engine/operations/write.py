"""Write a tuned file, put the original back, finish what was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.gates import Waiver
from appliance.contract.jobs import JobState
from appliance.contract.operations import GateWaiver
from appliance.contract.phrases import phrase
from appliance.contract.results import Written
from appliance.definitions.schema import Definition
from appliance.engine.conditions import LiveConditions
from appliance.engine.confirming import confirmed
from appliance.engine.context import EngineContext
from appliance.engine.ecu import on_ecu
from appliance.engine.ecu_discovery import in_bootloader, refuse_two_ecus
from appliance.engine.job_access import access_of, over
from appliance.engine.last_proven import last_proven
from appliance.engine.operations.written import codes_of, keep_outcome, set_outcome_aside
from appliance.engine.originals import (
    Original,
    load_original,
    seal_target,
)
from appliance.engine.owner_secrets import owners_secrets
from appliance.engine.plaintext import Opened, wiped_afterwards
from appliance.engine.sources import original_instead, other_source, target_of_order, what_was_there
from appliance.engine.tuned_package import (
    OWN_ORIGINAL,
    MasterWish,
    Tuned,
    as_plain,
    count_start,
    is_package,
    open_tuned,
    package_plain_file,
    writable_regions,
)
from appliance.engine.waiving import waived
from appliance.flashing.borrowed_access import borrow, give_back
from appliance.flashing.context import JobContext
from appliance.flashing.diagnosis import clear_dtcs, read_dtcs
from appliance.flashing.errors import GatesRefusedError
from appliance.flashing.gates.request import WriteRequest
from appliance.flashing.journal import FlashRecord, JobRecord, Step
from appliance.flashing.marks import UNFINISHED
from appliance.flashing.own_checksums import own_checksums
from appliance.flashing.preflight import preflight
from appliance.flashing.recovering import recover as finish
from appliance.flashing.set_aside import unfinished_job
from appliance.flashing.write_order import WriteOrder
from appliance.flashing.writing import write as execute
from appliance.protocols.access import EcuState, Purpose, told_identity
from appliance.protocols.secrets_needed import require_secrets


async def write(
    box: EngineContext,
    job_id: str,
    upload: str,
    wish: MasterWish | None = None,
    target_sha256: str | None = None,
    *,
    engine_off: bool = False,
    car: str | None = None,
) -> Written:
    """Write a tuned file: a signed package, or on a master-role box a plain file.

    `target_sha256` is what a preview said and a person confirmed: nothing else is written then. The file
    itself is let go of before the long work begins. `engine_off` is a person's word for an ECU that does
    not tell, `car` for one that tells no number of its own.
    """
    job, definition = identified(box, job_id)
    with wiped_afterwards() as opened:
        wished = wish or MasterWish()
        original, tuned, plain = opened_files(
            box, job, definition, lambda: box.take_upload(upload), wished, opened
        )
        _refuse_unconfirmed(original, tuned, target_sha256)
        try:
            return await _write(box, job, definition, original, tuned, opened, engine_off, car)
        except GatesRefusedError as error:
            if plain:
                error.advise(
                    *_what_to_type(
                        wished, writable_regions(job, definition), {gate.name for gate in error.failed}
                    )
                )
            raise


def _what_to_type(wish: MasterWish, writable: Sequence[str], failed: set[str]) -> Iterator[Phrase]:
    """The options that a plain file lacks, where they would do."""
    if "checksum" in failed and not wish.correct_checksums:
        yield phrase("advice.correct_checksums")
    if "changed_ranges" in failed:
        yield phrase("advice.name_regions", regions=",".join(writable))


def opened_files(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    handed_in: Callable[[], bytes],
    wish: MasterWish,
    opened: Opened,
) -> tuple[Original | None, Tuned, bool]:
    """The original and what was handed in, in the clear until `opened` is wiped; and whether that was plain.

    `handed_in` is asked for the file once, and nobody here keeps it. Raises PitboxError.
    """
    data = handed_in()
    original = load_original(box, job, opened)
    if original is not None and not is_package(data):
        package = package_plain_file(box, job, definition, original, data, wish)
        del data
        with package:
            return original, as_plain(open_tuned(box, job, package, opened), original, wish), True
    if wish.stated or wish.made_from is not None:
        raise EngineError("OPTION_UNUSED")
    return original, open_tuned(box, job, data, opened), not is_package(data)


def _refuse_unconfirmed(original: Original | None, tuned: Tuned, target_sha256: str | None) -> None:
    """Where the file does not open at all, the gates say so."""
    if target_sha256 is None or original is None or tuned.content is None:
        return
    if original.image.overlaid(tuned.content).sha256() != target_sha256:
        raise not_confirmed()


def not_confirmed() -> PitboxError:
    """What would be done is not what a person saw."""
    return EngineError("NOT_WHAT_WAS_CONFIRMED")


async def restore(
    box: EngineContext,
    job_id: str,
    car: str | None = None,
    access: str | None = None,
    *,
    waivers: Sequence[GateWaiver] = (),
) -> Written:
    """Put the ECU's own original back: offline, for everyone, always; also where its application is dead.

    `car` is a person's word for an ECU that cannot say who it is, `access` the way in, if not the job's: what
    that does not reach of the original stays as it is. `waivers` are words for gates that let themselves be
    set aside.
    """
    job, definition = identified(box, job_id)
    words = waived(box, job_id, waivers)
    with _taking(box, job, over(job, definition, access)) as job, wiped_afterwards() as opened:
        original = load_original(box, job, opened)
        return await _write(box, job, definition, original, OWN_ORIGINAL, opened, car=car, waivers=words)


@contextmanager
def _taking(box: EngineContext, job: JobRecord, chosen: JobRecord) -> Iterator[JobRecord]:
    """The job keeps another access while it writes over that, and until such a write is over."""
    if chosen is not job:
        borrow(box.journal, job, str(chosen.detail["access"]))
    try:
        yield chosen
    finally:
        give_back(box.journal, job.id)


async def recover(
    box: EngineContext,
    job_id: str | None = None,
    original: bool = False,
    car: str | None = None,
    access: str | None = None,
    *,
    more_erases: bool = False,
) -> Written:
    """Finish the interrupted write, or put the original back instead; `car` is a person's word for it.

    `access` is the way in from now on, if not the one it was begun over: till the write is over. With
    `more_erases` a person lets blocks be erased as often again as the definition allows.
    """
    flash = interrupted_flash(box, job_id)
    job, definition = identified(box, flash.job_id)
    order = WriteOrder.from_json(flash.write_order)
    with _taking(box, job, over(job, definition, access)) as job, wiped_afterwards() as opened:
        if original:
            order = original_instead(box, definition, flash, order, opened)
        target = target_of_order(box, definition, order, opened)
        other = other_source(box, definition, flash, order, opened) if target.gaps else None
        before = what_was_there(box, definition, order, opened) if target.gaps else None
        set_outcome_aside(box, job)
        if more_erases:
            box.journal.step(flash.id, Step.ERASES_ALLOWED)
        try:
            named = confirmed(box, job, car)
            async with on_ecu(box, job.id, definition, purpose=Purpose.RECOVER, confirmed=named) as ecu:
                result = await finish(ecu, flash, order, target.image, target.gaps, other, before)
                return await keep_outcome(box, result, ecu)
        finally:
            give_back(box.journal, job.id)


async def _write(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    original: Original | None,
    tuned: Tuned,
    opened: Opened,
    engine_off: bool = False,
    car: str | None = None,
    waivers: Mapping[str, Waiver] | None = None,
) -> Written:
    request = request_of(box, job, definition, original, tuned, opened, engine_off)
    request = replace(request, waivers=waivers or {})
    set_outcome_aside(box, job)
    access = access_of(job, definition)
    require_secrets(access, Purpose.WRITE, owners_secrets(box, definition))
    await refuse_two_ecus(box, access)
    named = confirmed(box, job, car)
    async with on_ecu(box, job.id, definition, confirmed=named) as ecu:
        live = LiveConditions(ecu.access, box.settings.state_dir)
        box.journal.note(job.id, dtcs_before=codes_of(await read_dtcs(ecu)))
        try:
            ready = await preflight(ecu, request, live)
        except GatesRefusedError as refused:
            raise await _explained(box, ecu, request, refused) from refused
        opened.keep(ready.plan.target)
        await _make_ready(box, ecu, tuned)
        result = await execute(ecu, ready)
        return await keep_outcome(box, result, ecu)


def request_of(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    original: Original | None,
    tuned: Tuned,
    opened: Opened,
    engine_off: bool = False,
) -> WriteRequest:
    """What the gates are asked about."""
    return WriteRequest(
        job_id=job.id,
        definition=definition,
        access=access_of(job, definition),
        original_file=original.file_id if original else None,
        original=original.image if original else None,
        tuned=tuned.content,
        tuned_file=tuned.file_id,
        papers=tuned.papers,
        checksums=own_checksums(definition, access_of(job, definition)),
        engine_off_stated=engine_off,
        last_proven=lambda: last_proven(box, job.id, definition, opened),
    )


async def _explained(
    box: EngineContext, ecu: JobContext, request: WriteRequest, refused: GatesRefusedError
) -> PitboxError:
    """Where only the bootloader answers, the request is not wrong: a write may have been forgotten."""
    access = ecu.access
    failed = {gate.name for gate in refused.failed}
    forgotten = "identity" in failed and "no_open_write" not in failed
    if forgotten and not request.restores and await access.lifecycle.state() is EcuState.BOOTLOADER:
        return in_bootloader(box, ecu.definition.id, await told_identity(access))
    return refused


async def _make_ready(box: EngineContext, job: JobContext, tuned: Tuned) -> None:
    """What must be durable before the first step: the sealed target, and the grant's start."""
    try:
        if tuned.content is not None:
            seal_target(box, job.definition, box.journal.job(job.id), tuned.content, tuned.file_id)
        count_start(box, job.id, tuned)
        await clear_dtcs(job)
    except BaseException:
        box.journal.move(job.id, JobState.READ_VERIFIED)
        raise


def identified(box: EngineContext, job_id: str) -> tuple[JobRecord, Definition]:
    """A job whose ECU is known, and the definition it was begun with. Raises PitboxError."""
    job = box.journal.job(job_id)
    if job.definition_id is None:
        raise EngineError("JOB_NOT_IDENTIFIED", job=job_id)
    return job, box.definition(job.definition_id, job.definition_sha256)


def interrupted_flash(box: EngineContext, job_id: str | None) -> FlashRecord:
    """The write that is to be finished, of a job or at all. Raises PitboxError."""
    flash = box.journal.last_flash(job_id) if job_id else next(iter(box.journal.open_flashes()), None)
    aside = unfinished_job(box.journal)
    if flash is None or flash.outcome not in UNFINISHED:
        if job_id is not None:
            raise EngineError("NOTHING_TO_RECOVER.of_job", job=job_id)
        if aside:
            raise EngineError("NOTHING_TO_RECOVER.set_aside", job=aside)
        raise EngineError("NOTHING_TO_RECOVER")
    return flash
