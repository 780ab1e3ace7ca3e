"""Verbs a client may ask for, with their parameters checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from appliance.contract.errors import PitboxError
from appliance.engine.context import EngineContext
from appliance.engine.operations import (
    check,
    preview,
    read,
    restore_without_journal,
    setting_aside,
    settling,
    write,
)
from appliance.engine.tuned_package import MasterWish
from appliance.vault.manifest import Use


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


JobId = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
CarName = Annotated[str, Field(min_length=1, max_length=64)]
"""A VIN as a person reads it off the car, or an id where none is known."""
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=500)]
"""A person's name or reason."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(max_length=64)]
"""Of a region or a definition."""
Names = Annotated[list[Name], Field(max_length=64)]
FileName = Annotated[str, Field(pattern=r"^[0-9a-f-]{1,64}$")]


class Identify(_Parameters):
    """Find and recognise the ECU."""

    definition: Name | None = None


class OfJob(_Parameters):
    """Parameters of a verb that works on a job."""

    job: JobId


class Read(OfJob):
    """Read twice and seal."""

    regions: Names = []


class Restore(OfJob):
    """Put the ECU's own original back."""

    car: CarName | None = None


class Write(OfJob):
    """Write a file that was handed in."""

    upload: Name
    use: Use = Use.BENCH_RESEARCH
    changed_regions: Names = []
    correct_checksums: bool = False
    made_from: FileName | None = None
    engine_off: bool = False
    car: CarName | None = None
    confirmed: Sha256 | None = None
    """What a preview said the memory will be."""


class Recover(_Parameters):
    """Finish an interrupted write; with a definition, put a sealed original back without a journal."""

    job: JobId | None = None
    original: bool = False
    more_erases: bool = False
    definition: Name | None = None
    file: FileName | None = None
    car: CarName | None = None

    @model_validator(mode="after")
    def _all_used(self) -> Self:
        """An option that would not be used is an error: its user meant something else."""
        if self.file is not None and self.definition is None:
            raise ValueError("file belongs to definition, which is not given")
        if self.definition is not None and self.job is not None:
            raise ValueError("definition opens a job of its own: give either job or definition")
        if self.definition is not None and self.more_erases:
            raise ValueError("with definition a new write begins: leave more_erases out")
        if self.definition is not None and self.original:
            raise ValueError("with definition it is always an original that goes back: leave original out")
        return self


class Verify(OfJob):
    """Compare the ECU's memory with a stored file."""

    file: FileName | None = None


class Settle(OfJob):
    """A person's word that a benched ECU was repaired or replaced elsewhere."""

    by: Word
    reason: Word


class SetAside(OfJob):
    """A person's word that another car is served before this write is finished."""

    by: Word
    reason: Word


class Dtc(OfJob):
    """Fault codes."""

    clear: bool = False
    car: CarName | None = None

    @model_validator(mode="after")
    def _all_used(self) -> Self:
        if self.car is not None and not self.clear:
            raise ValueError("car belongs to clear, which is not given")
        return self


_MOST_TOLD = 16
"""Misfits told of one request: whoever sends a thousand fills no log with them."""
Work = Coroutine[Any, Any, dict[str, Any]]


def _write(box: EngineContext, asked: Write) -> Work:
    return write.write(
        box,
        asked.job,
        asked.upload,
        _wish(asked),
        asked.confirmed,
        engine_off=asked.engine_off,
        car=asked.car,
    )


def _wish(asked: Write) -> MasterWish:
    stated = asked.model_fields_set & {"use", "changed_regions", "correct_checksums", "made_from"}
    return MasterWish(
        asked.use.value,
        tuple(asked.changed_regions),
        asked.correct_checksums,
        asked.made_from,
        frozenset(stated),
    )


async def _recover(box: EngineContext, asked: Recover) -> dict[str, Any]:
    job_id = asked.job
    if asked.definition is not None:
        job_id = await restore_without_journal.reopen(box, asked.definition, asked.file, asked.car)
    return await write.recover(box, job_id, asked.original, asked.car, more_erases=asked.more_erases)


def _preview_recover(box: EngineContext, asked: Recover) -> Work:
    if asked.definition is not None:
        return preview.preview_rescue(box, asked.definition, asked.file)
    return preview.preview_recover(box, asked.job, asked.original)


_Start = Callable[[EngineContext, Any], Work]
_VERBS: dict[str, tuple[type[_Parameters], _Start]] = {
    "identify": (Identify, lambda box, asked: read.identify(box, asked.definition)),
    "read": (Read, lambda box, asked: read.read(box, asked.job, asked.regions)),
    "write": (Write, _write),
    "restore": (Restore, lambda box, asked: write.restore(box, asked.job, asked.car)),
    "recover": (Recover, _recover),
    "verify": (Verify, lambda box, asked: check.verify(box, asked.job, asked.file)),
    "settle": (Settle, lambda box, asked: settling.settle(box, asked.job, asked.by, asked.reason)),
    "set_aside": (
        SetAside,
        lambda box, asked: setting_aside.set_aside(box, asked.job, asked.by, asked.reason),
    ),
    "dtc": (Dtc, lambda box, asked: check.dtc(box, asked.job, asked.clear, asked.car)),
}
_PREVIEWS: dict[str, _Start] = {
    "write": lambda box, asked: preview.preview_write(box, asked.job, asked.upload, _wish(asked)),
    "restore": lambda box, asked: preview.preview_restore(box, asked.job),
    "recover": _preview_recover,
}
"""What a verb would do, by the same parameters."""


def prepare(verb: str, parameters: dict[str, Any]) -> Callable[[EngineContext], Work]:
    """The work a request asks for, ready to start. Raises PitboxError for a bad request.

    The verb `preview` takes the name of a writing verb in `of`, and that verb's parameters.
    """
    if verb == "preview":
        of = str(parameters.get("of"))
        rest = {key: value for key, value in parameters.items() if key != "of"}
        start = _known(_PREVIEWS, of)
        asked = _checked(of, rest)
    else:
        _, start = _known(_VERBS, verb)
        asked = _checked(verb, parameters)
    return lambda box: start(box, asked)


Kind = TypeVar("Kind")


def _known(verbs: dict[str, Kind], verb: str) -> Kind:
    if verb not in verbs:
        raise PitboxError(
            "VERB_UNKNOWN", f"{verb[:64]!r} is no operation", do_now=f"Use one of {', '.join(verbs)}."
        )
    return verbs[verb]


def _checked(verb: str, parameters: dict[str, Any]) -> _Parameters:
    try:
        return _VERBS[verb][0].model_validate(parameters)
    except ValidationError as error:
        details = tuple(
            f"{'.'.join(map(str, e['loc']))[:64]}: {e['msg'][:200]}" for e in error.errors()[:_MOST_TOLD]
        )
        raise PitboxError(
            "PARAMETERS_INVALID",
            f"the parameters of {verb} do not fit",
            do_now="Correct them.",
            details=details,
        ) from error
