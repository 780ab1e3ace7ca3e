"""Verbs a client may ask for, with their parameters checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from appliance.contract import operations as ask
from appliance.contract import results
from appliance.contract.errors import EngineError
from appliance.contract.operations import OperationClass
from appliance.contract.preview import Preview
from appliance.engine.context import EngineContext
from appliance.engine.handed_in_original import put_back
from appliance.engine.misfits import misfits
from appliance.engine.operations import (
    check,
    preview,
    read,
    restore_without_journal,
    setting_aside,
    settling,
    write,
)
from appliance.engine.operations.recovered_original import original_of_recovery
from appliance.engine.tuned_package import wish_of

Work = Coroutine[Any, Any, results.Result]


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing the engine can be asked to do."""

    request: type[ask.Parameters]
    result: type
    kind: OperationClass
    start: Callable[[EngineContext, Any], Work]
    opens_files: bool = False
    """Whether it is long at the worker's thread, which an ECU in the middle of a write must not wait for."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request whose parameters are checked: called with a box, it is the work."""

    verb: Verb
    asked: ask.Parameters

    def __call__(self, box: EngineContext) -> Work:
        """Ready to start."""
        return self.verb.start(box, self.asked)


async def _write(box: EngineContext, asked: ask.Write) -> results.Written:
    target = None
    if asked.confirmed is not None:
        shown = await preview.preview_write(box, asked)
        preview.refuse_other(shown, asked.confirmed)
        target = shown["target_sha256"]
    return await write.write(
        box, asked.job, asked.upload, wish_of(asked), target, engine_off=asked.engine_off, car=asked.car
    )


async def _restore(box: EngineContext, asked: ask.Restore) -> results.Written:
    if asked.confirmed is not None:
        preview.refuse_other(await preview.preview_restore(box, asked), asked.confirmed)
    return await write.restore(box, asked.job, asked.car, asked.access, waivers=asked.waivers)


async def _recover(box: EngineContext, asked: ask.Recover) -> results.Written:
    if asked.confirmed is not None:
        preview.refuse_other(await preview.preview_recover(box, asked), asked.confirmed)
    if asked.upload is not None:
        original = original_of_recovery(box, asked)
        put_back(box, asked.job, original, box.take_upload(asked.upload))
    job_id = asked.job
    if asked.definition is not None:
        job_id = await restore_without_journal.reopen(
            box, asked.definition, asked.file, asked.car, asked.access
        )
    return await write.recover(
        box, job_id, asked.original, asked.car, asked.access, more_erases=asked.more_erases
    )


_EXCLUSIVE, _HARMLESS = OperationClass.EXCLUSIVE, OperationClass.HARMLESS
VERBS: dict[str, Verb] = {
    "identify": Verb(
        ask.Identify,
        results.Identified,
        _EXCLUSIVE,
        lambda box, asked: read.identify(box, asked.definition, asked.access),
    ),
    "read": Verb(
        ask.Read,
        results.ReadDone,
        _EXCLUSIVE,
        lambda box, asked: read.read(box, asked.job, asked.regions),
    ),
    "write": Verb(ask.Write, results.Written, _EXCLUSIVE, _write),
    "restore": Verb(ask.Restore, results.Written, _EXCLUSIVE, _restore),
    "recover": Verb(ask.Recover, results.Written, _EXCLUSIVE, _recover),
    "verify": Verb(
        ask.Verify,
        results.Verified,
        _EXCLUSIVE,
        lambda box, asked: check.verify(box, asked.job, asked.file),
    ),
    "settle": Verb(
        ask.Settle,
        results.PersonsWord,
        _HARMLESS,
        lambda box, asked: settling.settle(box, asked.job, asked.by, asked.reason),
    ),
    "set_aside": Verb(
        ask.SetAside,
        results.PersonsWord,
        _HARMLESS,
        lambda box, asked: setting_aside.set_aside(box, asked.job, asked.by, asked.reason),
    ),
    "dtc": Verb(
        ask.Dtc,
        results.FaultCodes,
        _EXCLUSIVE,
        lambda box, asked: check.dtc(box, asked.job, asked.clear, asked.car),
    ),
}
PREVIEWS: dict[str, Verb] = {
    "write": Verb(ask.PreviewWrite, Preview, _HARMLESS, preview.preview_write, opens_files=True),
    "restore": Verb(ask.PreviewRestore, Preview, _HARMLESS, preview.preview_restore, opens_files=True),
    "recover": Verb(ask.PreviewRecover, Preview, _HARMLESS, preview.preview_recover, opens_files=True),
}
"""What a verb would do, by the same parameters."""


def prepare(verb: str, parameters: Mapping[str, object]) -> Prepared:
    """The work a request asks for, ready to start. Raises PitboxError for a bad request.

    The verb `preview` takes the name of a writing verb in `of`, and that verb's parameters.
    """
    of = parameters.get("of")
    found = _known(PREVIEWS, str(of)) if verb == "preview" else _known(VERBS, verb)
    return Prepared(found, _checked(verb, found, parameters))


Kind = TypeVar("Kind")


def _known(verbs: Mapping[str, Kind], verb: str) -> Kind:
    if verb not in verbs:
        raise EngineError("VERB_UNKNOWN", given=verb[:64], verbs=tuple(verbs))
    return verbs[verb]


def _checked(name: str, verb: Verb, parameters: Mapping[str, object]) -> ask.Parameters:
    try:
        return verb.request.model_validate({**parameters, "verb": name})
    except ValidationError as error:
        raise EngineError("PARAMETERS_INVALID.operation", name=name, points=misfits(error)) from error
