"""A tuned file on its way into a plan: opening packages, and signing plain files on a master-role box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from appliance.checksums import ChecksumRefused, ChecksumUnsupported
from appliance.contract.errors import EngineError
from appliance.contract.gates import found
from appliance.contract.manifest import Manifest, Verdict
from appliance.contract.operations import OfWrite
from appliance.contract.places import Range, Start
from appliance.contract.uses import Use
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.job_access import access_of
from appliance.engine.originals import Original, sealed_identity, sealed_regions
from appliance.engine.plainfile import contents_of
from appliance.engine.plaintext import Opened
from appliance.flashing.gates.request import Authorisation
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord
from appliance.flashing.own_checksums import corrected, judged, own_checksums
from appliance.protocols.access import EcuIdentity
from appliance.vault.contents import Content, new_file_id
from appliance.vault.errors import VaultError
from appliance.vault.grants import GrantUse
from appliance.vault.keys import Role
from appliance.vault.package import GrantLimits, TunedFile, build_package, inspect_package, open_package

_GRANT_S = 1800
_PACKAGE_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Tuned:
    """New content and the papers that came with it; content is None when the papers do not release it."""

    content: MemoryImage | None
    papers: Authorisation
    grant_id: str | None = None
    """The grant whose starts are counted."""
    file_id: str | None = None
    """Under which the content will be sealed on this box."""
    version: int = 0
    """Of the tuned file, as its master counts; a job's only go up."""


OWN_ORIGINAL = Tuned(None, Authorisation(own_original=True))
"""Nothing tuned: what was read goes back, and needs nobody's papers."""


@dataclass(frozen=True, slots=True)
class MasterWish:
    """What a master-role technician states about a plain file."""

    use: str = Use.BENCH_RESEARCH.value
    changed_regions: tuple[str, ...] = ()
    """Regions in which bytes may differ from the original; the calibration by default."""
    correct_checksums: bool = False
    made_from: str | None = None
    """Id or SHA-256 of the read the file was made from, as the technician states it."""
    stated: frozenset[str] = frozenset()
    """What of this was said; a signed package says it all itself."""
    memory: str | None = None
    """The one that the file is of; what was read of all of them where none is named."""


def wish_of(asked: OfWrite) -> MasterWish:
    """What of a request is about a plain file."""
    stated = asked.model_fields_set & {"use", "changed_regions", "correct_checksums", "made_from", "memory"}
    return MasterWish(
        asked.use.value,
        tuple(asked.changed_regions),
        asked.correct_checksums,
        asked.made_from,
        frozenset(stated),
        asked.memory,
    )


def is_package(data: bytes) -> bool:
    """Whether a file is a package of the file service by its first bytes; anything else is in the clear."""
    return data.startswith(_PACKAGE_MAGIC)


def open_tuned(box: EngineContext, job: JobRecord, data: bytes | BinaryIO, opened: Opened) -> Tuned:
    """Open a signed package for this job; what is wrong with its papers becomes a failing gate."""
    try:
        grant_id = inspect_package(data, box.keys).grant.grant_id
        use = GrantUse(
            now_s=int(box.now()),
            job_id=job.id,
            ecu=sealed_identity(box, job.identity or EcuIdentity()),
            starts=_starts(job).get(grant_id, 0),
            newest_version=_newest_version(job),
        )
        manifest, contents = open_package(data, box.keys, use)
    except VaultError as error:
        details = (found("papers_detail", problem=one) for one in error.points)
        reasons = (found("papers_refused", code=error.code, problem=error.said), *details)
        return Tuned(None, Authorisation(own_original=False, signatures=reasons))
    content = opened.keep(MemoryImage(contents))
    return Tuned(content, _papers(box, job, manifest), grant_id, new_file_id(), manifest.version)


def count_start(box: EngineContext, job_id: str, tuned: Tuned) -> None:
    """A write is about to begin under this grant. A recovery needs no grant and is never counted."""
    if tuned.grant_id is not None:
        starts = _starts(box.journal.job(job_id))
        starts[tuned.grant_id] = starts.get(tuned.grant_id, 0) + 1
        newest = max(tuned.version, _newest_version(box.journal.job(job_id)))
        box.journal.note(job_id, grant_starts=starts, newest_version=newest)


def _newest_version(job: JobRecord) -> int:
    """The highest version of a tuned file that a write of this job was begun with; 0 before the first."""
    known = job.detail.get("newest_version")
    return known if isinstance(known, int) else 0


def _starts(job: JobRecord) -> dict[str, int]:
    """Writes of this job begun so far, by grant; a grant is for one job alone."""
    known = job.detail.get("grant_starts")
    return dict(known) if isinstance(known, dict) else {}


def _papers(box: EngineContext, job: JobRecord, manifest: Manifest) -> Authorisation:
    ecu, vin = manifest.ecu, job.identity.vin if job.identity else None
    matches = None if ecu.vin_hmac is None or vin is None else ecu.vin_hmac == box.keys.vin_hmac(vin)
    return Authorisation(
        own_original=False,
        definition=manifest.definition,
        method=manifest.method,
        ecu_hw=ecu.hw,
        ecu_sw=ecu.sw,
        ecu_boot=ecu.boot,
        vin_matches=matches,
        regions={region.name: region.place for region in manifest.regions},
        base_sha256=manifest.base_sha256,
        changed_ranges=manifest.changed_ranges,
        checksum_by_master=manifest.checksum is Verdict.OK,
        use=manifest.use.value,
        consents=manifest.consents,
    )


def package_plain_file(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    original: Original,
    data: bytes,
    wish: MasterWish,
) -> BinaryIO:
    """Sign a plain file (.bin, Intel HEX, S-record) for this box, to be closed by whoever opened it.

    Raises PitboxError on a slave-role box.
    """
    master = box.keys.master_keys
    if box.keys.role is not Role.MASTER or master is None:
        raise EngineError("SLAVE_TAKES_PACKAGES")
    reached = access_of(job, definition).regions(definition.memories)
    _refuse_unknown_regions(definition.id, writable_regions(job, definition), wish)
    contents: Mapping[Start, Content] = contents_of(definition.id, reached, original.image, data, wish.memory)
    if wish.correct_checksums:
        contents = _corrected(job, definition, original, contents)
    now_s = int(box.now())
    limits = GrantLimits(nbf_s=now_s - 60, exp_s=now_s + _GRANT_S)
    tuned = _tuned_file(box, job, definition, original, contents, wish)
    return build_package(box.settings.state_dir, master, box.keys.device_public(), tuned, limits, now_s)


def as_plain(tuned: Tuned, original: Original, wish: MasterWish) -> Tuned:
    """A plain file's papers say of its base what the technician said, and not what this box filled in."""
    base, made_from = original.image.sha256(), wish.made_from
    stated = base if made_from in (original.file_id, base) else made_from
    return replace(tuned, papers=replace(tuned.papers, plain=True, base_sha256=stated))


def _tuned_file(
    box: EngineContext,
    job: JobRecord,
    definition: Definition,
    original: Original,
    contents: Mapping[Start, Content],
    wish: MasterWish,
) -> TunedFile:
    return TunedFile(
        job_id=job.id,
        definition=definition.id,
        ecu=sealed_identity(box, job.identity or EcuIdentity()),
        method=job.method or "obd",
        regions=sealed_regions(region for region in definition.regions if region.place.at in contents),
        contents=contents,
        base_sha256=original.image.sha256(),
        changed_ranges=_allowed(definition, contents, wish),
        checksum=_checked(job, definition, original, contents),
        use=Use(wish.use),
        consents=("technician",),
        version=max(1, _newest_version(job)),
        parent=original.file_id,
    )


def writable_regions(job: JobRecord, definition: Definition) -> list[str]:
    """Names of the regions that the job's access may write."""
    reached = access_of(job, definition).regions(definition.memories)
    return [region.name for region in reached if region.writable]


def _refuse_unknown_regions(definition_id: str, writable: Sequence[str], wish: MasterWish) -> None:
    unknown = [name for name in wish.changed_regions if name not in writable]
    if unknown:
        raise EngineError(
            "REGION_UNKNOWN", definition=definition_id, unknown=tuple(unknown), writable=tuple(writable)
        )


def _corrected(
    job: JobRecord, definition: Definition, original: Original, contents: Mapping[Start, Content]
) -> Mapping[Start, Content]:
    try:
        return corrected(own_checksums(definition, access_of(job, definition)), original.image, contents)
    except (ChecksumRefused, ChecksumUnsupported) as error:
        raise EngineError("CHECKSUM_NOT_CORRECTED", code=error.code, problem=error.said) from error


def _allowed(
    definition: Definition, contents: Mapping[Start, Content], wish: MasterWish
) -> tuple[Range, ...]:
    return tuple(
        sorted(
            region.place
            for region in definition.regions
            if region.place.at in contents
            and (
                region.name in wish.changed_regions
                or (not wish.changed_regions and region.tag == "calibration")
            )
        )
    )


def _checked(
    job: JobRecord, definition: Definition, original: Original, contents: Mapping[Start, Content]
) -> Verdict:
    """What this box would sign of the checksums: the gate's own word, so that neither outweighs the other."""
    checksums = own_checksums(definition, access_of(job, definition))
    covered = {checksum.region.place.at for checksum in checksums} & contents.keys()
    target = original.image.overlaid(MemoryImage({at: bytes(contents[at]) for at in covered}))
    judgement = judged(checksums, original.image, target)
    return Verdict(judgement.verdict.value)
