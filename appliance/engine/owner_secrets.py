"""What the owner supplied for an ECU, by definition and name. A simulated car brings its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.events import NoteEvent
from appliance.contract.phrases import phrase
from appliance.contract.told import SecretTold
from appliance.definitions.schema import Definition
from appliance.definitions.secrets import Secret
from appliance.definitions.vbf import MAGIC, why_no_loader
from appliance.engine.context import EngineContext
from appliance.flashing.safety import job_not_over
from appliance.protocols.security.algorithms import why_no_key
from appliance.protocols.transforms import SecretNamed, none_supplied
from appliance.vault.contents import sha256_hex
from appliance.vault.errors import VaultError
from appliance.vault.owner_secrets import Place

Stored = Callable[[Place], bytes | None]


class Wanted(NamedTuple):
    """A secret, and the version of a definition that names it."""

    definition: Definition
    secret: Secret


def secrets_of(definition: Definition, stored: Stored, *, simulated: bool) -> SecretNamed:
    """Gives a secret by its name; it raises PitboxError for one that is missing or not the right one.

    Each is looked up once: a disk that fails later does not take it away from a write that is under way.
    """
    known = {secret.name: secret for secret in definition.secrets}
    found: dict[str, bytes] = {}

    def named(name: str) -> bytes:
        if name not in found:
            found[name] = looked_up(name)
        return found[name]

    def looked_up(name: str) -> bytes:
        if simulated and definition.simulation is not None:
            value: bytes | None = bytes.fromhex(definition.simulation.secrets[name])
        else:
            value = stored(Place(definition.id, name))
        if value is None:
            return none_supplied(name, definition.id, known[name].about)
        why = _why_not(Wanted(definition, known[name]), value)
        if why is not None:
            raise _wrong(Place(definition.id, name), known[name], why)
        return value

    return named


def owners_secrets(box: EngineContext, definition: Definition) -> SecretNamed:
    """Those of this box's owner, or of the simulated car."""
    return secrets_of(definition, box.secrets.get, simulated=box.connection.simulated)


def put_secret(
    box: EngineContext, name: str, definition_id: str | None, value: bytes, *, replace: bool = False
) -> SecretTold:
    """Seal a secret that a definition names. Raises PitboxError: SECRET_UNKNOWN, SECRET_WRONG.

    SECRET_NEEDED where a write that is not over began with another one, and nobody wants to `replace` it.
    """
    place, wanted = _chosen(box, name, definition_id)
    problems = list(filter(None, (_why_not(one, value) for one in wanted)))
    if len(problems) == len(wanted):
        raise _wrong(place, wanted[0].secret, problems[0])
    if not replace:
        _refuse_other(box, place, value)
    box.secrets.put(place, value)
    box.journal.events.tell(NoteEvent(None, "secret_sealed", place._asdict()))
    return _told(place, wanted[0].secret, stored=True)


def remove_secret(box: EngineContext, name: str, definition_id: str | None) -> SecretTold:
    """Wipe a secret. Raises PitboxError SECRET_UNKNOWN, SECRET_NEEDED while a write may need it."""
    stored = [one for one in box.secrets.places() if one.name == name]
    place = _only(name, [one for one in stored if definition_id in (None, one.definition)], stored)
    job = job_not_over(box.journal, place.definition)
    if job is not None:
        raise EngineError("SECRET_NEEDED", job=job)
    box.secrets.remove(place)
    box.journal.events.tell(NoteEvent(None, "secret_gone", place._asdict()))
    return _told(place, _first(_wanted(box), place), stored=False)


def list_secrets(box: EngineContext) -> list[SecretTold]:
    """Every secret that a definition names or that is stored: whether it is there, never what it is."""
    wanted, stored = _wanted(box), set(box.secrets.places())
    return [
        _told(place, _first(wanted, place), stored=place in stored) for place in sorted({*wanted, *stored})
    ]


def _first(wanted: Mapping[Place, Sequence[Wanted]], place: Place) -> Secret | None:
    known = wanted.get(place)
    return known[0].secret if known else None


def _refuse_other(box: EngineContext, place: Place, value: bytes) -> None:
    """An open write goes on with what it began with. Raises PitboxError SECRET_NEEDED."""
    job = job_not_over(box.journal, place.definition)
    if job is None:
        return
    try:
        stored = box.secrets.get(place)
    except VaultError:  # what cannot be opened finishes nothing
        return
    if stored is not None and stored != value:
        raise EngineError("SECRET_NEEDED.began_with", job=job, secret=place.name, definition=place.definition)


def _chosen(box: EngineContext, name: str, definition_id: str | None) -> tuple[Place, list[Wanted]]:
    wanted = _wanted(box)
    fitting = [one for one in wanted if one.name == name and definition_id in (None, one.definition)]
    place = _only(name, fitting, wanted)
    return place, wanted[place]


def _only(name: str, fitting: list[Place], known: Iterable[Place]) -> Place:
    if len(fitting) == 1:
        return fitting[0]
    listed = [phrase("secret.of", definition=one.definition, secret=one.name) for one in fitting or known]
    if not fitting:
        raise EngineError("SECRET_UNKNOWN", secret=name, points=listed)
    raise EngineError("SECRET_UNKNOWN.ambiguous", count=len(fitting), secret=name, points=listed)


def _wanted(box: EngineContext) -> dict[Place, list[Wanted]]:
    """By definition and name, as the library says it, and as a version says that a job was begun with."""
    found: dict[Place, list[Wanted]] = {}
    for definition in [*box.library, *_pinned(box)]:
        for secret in definition.secrets:
            found.setdefault(Place(definition.id, secret.name), []).append(Wanted(definition, secret))
    return found


def _pinned(box: EngineContext) -> Iterable[Definition]:
    known = {definition.digest() for definition in box.library if definition.secrets}
    begun = {job.definition_sha256 for job in box.journal.jobs() if job.definition_sha256} - known
    for digest in sorted(begun):
        try:
            definition = box.pinned.get(digest)
        except PitboxError:  # one that this build does not understand is told of when its job is taken up
            continue
        if definition is not None:
            yield definition


def _told(place: Place, secret: Secret | None, *, stored: bool) -> SecretTold:
    return SecretTold(
        definition=place.definition,
        name=place.name,
        role=secret.role if secret else None,
        about=secret.about if secret else None,
        stored=stored,
    )


def _why_not(wanted: Wanted, value: bytes) -> Phrase | None:
    secret = wanted.secret
    if not secret.least_bytes <= len(value) <= secret.most_bytes:
        return phrase(
            "secret.length", bytes=len(value), least_bytes=secret.least_bytes, most_bytes=secret.most_bytes
        )
    if secret.form == "vbf" and (why := why_no_loader(value)):
        return phrase("malformed", technical_text=why)
    if secret.form == "plain" and secret.role == "loader" and value.startswith(MAGIC):
        return phrase("secret.is_vbf")
    if secret.sha256 is not None and sha256_hex(value) != secret.sha256:
        return phrase("secret.other_file")
    levels = [level for access in wanted.definition.accesses for level in access.security_levels.values()]
    reasons = (why_no_key(level, value) for level in levels if level.secret == secret.name)
    reason = next(filter(None, reasons), None)
    return phrase("malformed", technical_text=reason) if reason else None


def _wrong(place: Place, secret: Secret, why: Phrase) -> PitboxError:
    return EngineError(
        "SECRET_WRONG",
        name=secret.name,
        why=why,
        author_text=secret.about,
        secret=place.name,
        definition=place.definition,
    )
