"""A tuned file on its way into a plan: opening packages, and signing plain files on a master-role box."""

from __future__ import annotations

import time
from dataclasses import dataclass

import bincopy

from appliance.checksums import ChecksumRefused, ChecksumUnsupported, correct_like_stock
from appliance.contract.errors import PitboxError
from appliance.definitions.schema import Definition
from appliance.engine.box import Box, checksum_module
from appliance.engine.originals import Original, sealed_identity, sealed_regions
from appliance.flashing.gates import Papers
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import JobRecord
from appliance.protocols.access import EcuIdentity
from appliance.vault.errors import VaultError
from appliance.vault.grants import GrantUse
from appliance.vault.keys import Role
from appliance.vault.manifest import Manifest, Use, Verdict
from appliance.vault.package import GrantLimits, TunedFile, build_package, open_package

_GRANT_S = 1800


@dataclass(frozen=True, slots=True)
class Tuned:
    """New content and the papers that came with it; content is None when the papers do not release it."""

    content: MemoryImage | None
    papers: Papers


@dataclass(frozen=True, slots=True)
class MasterWish:
    """What a master-role technician states about a plain file."""

    use: str
    changed_regions: tuple[str, ...] = ()
    """Regions in which bytes may differ from the original; the calibration by default."""
    correct_checksums: bool = False


def open_tuned(box: Box, job: JobRecord, data: bytes) -> Tuned:
    """Open a signed package for this job; what is wrong with its papers becomes a failing gate."""
    use = GrantUse(
        now_s=int(box.now()), job_id=job.id, ecu=sealed_identity(box, job.identity or EcuIdentity())
    )
    try:
        manifest, contents = open_package(data, box.keys, use)
    except VaultError as error:
        return Tuned(None, Papers(own_original=False, signatures=(f"{error.code}: {error.what}",)))
    return Tuned(MemoryImage(contents), _papers(box, job, manifest))


def _papers(box: Box, job: JobRecord, manifest: Manifest) -> Papers:
    ecu, vin = manifest.ecu, job.identity.vin if job.identity else None
    matches = None if ecu.vin_hmac is None or vin is None else ecu.vin_hmac == box.keys.vin_hmac(vin)
    return Papers(
        own_original=False,
        method=manifest.method,
        ecu_hw=ecu.hw,
        ecu_sw=ecu.sw,
        ecu_boot=ecu.boot,
        vin_matches=matches,
        regions={region.name: (region.start, region.size) for region in manifest.regions},
        base_sha256=manifest.base_sha256,
        changed_ranges=manifest.changed_ranges,
        checksum_by_master=manifest.checksum is Verdict.OK,
        use=manifest.use.value,
        consents=manifest.consents,
    )


def package_plain_file(
    box: Box, job: JobRecord, definition: Definition, original: Original, data: bytes, wish: MasterWish
) -> bytes:
    """Sign a plain file (.bin, Intel HEX, S-record) for this box. Raises PitboxError on a slave-role box."""
    master = box.keys.master_keys
    if box.keys.role is not Role.MASTER or master is None:
        raise PitboxError(
            "SLAVE_TAKES_PACKAGES",
            "a slave-role box takes signed packages (*.pitbox), not plain files",
            do_now="Have the master make a package for this job.",
        )
    contents = _contents(definition, original, data)
    if wish.correct_checksums:
        contents = _corrected(definition, original, contents)
    regions = tuple(region for region in definition.regions if region.start in contents)
    tuned = TunedFile(
        job_id=job.id,
        definition=definition.id,
        ecu=sealed_identity(box, job.identity or EcuIdentity()),
        method=job.method or "obd",
        regions=sealed_regions(regions),
        contents=contents,
        base_sha256=original.image.sha256(),
        changed_ranges=_allowed(definition, contents, wish),
        checksum=_checked(definition, original.image.overlaid(MemoryImage(contents))),
        use=Use(wish.use),
        consents=("technician",),
        parent=original.file_id,
    )
    now_s = int(time.time())
    limits = GrantLimits(nbf_s=now_s - 60, exp_s=now_s + _GRANT_S)
    return build_package(master, box.keys.device_public(), tuned, limits, now_s)


def _contents(definition: Definition, original: Original, data: bytes) -> dict[int, bytes]:
    """The writable regions a plain file holds: all of the original's memory, or exactly one region."""
    writable = [region for region in definition.regions if region.writable]
    if data[:1] in (b":", b"S"):
        return _from_records(definition, data)
    if len(data) == original.image.size_bytes:
        whole, at = {}, 0
        for start, old in original.image.spans.items():
            whole[start] = data[at : at + len(old)]
            at += len(old)
        return {region.start: whole[region.start] for region in writable}
    fitting = [region for region in writable if region.size_bytes == len(data)]
    if len(fitting) != 1:
        raise PitboxError(
            "FILE_LENGTH",
            f"the file has {len(data)} bytes, the read has {original.image.size_bytes}, and no region fits",
            do_now="Use the full image, one region, or Intel HEX / S-record with addresses.",
        )
    return {fitting[0].start: data}


def _from_records(definition: Definition, data: bytes) -> dict[int, bytes]:
    try:
        file = bincopy.BinFile()
        file.add(data.decode("ascii"))
        segments = [(segment.minimum_address, bytes(segment.data)) for segment in file.segments]
    except (UnicodeDecodeError, bincopy.Error) as error:
        raise PitboxError(
            "FILE_FORMAT", f"the file is not valid Intel HEX or S-record: {error}", do_now="Export it again."
        ) from error
    found = {}
    for region in definition.regions:
        for start, content in segments:
            if region.writable and start <= region.start and region.end <= start + len(content):
                found[region.start] = content[region.start - start : region.end - start]
    if not found:
        raise PitboxError(
            "FILE_LENGTH", "the file holds no complete writable region", do_now="Export whole regions."
        )
    return found


def _corrected(definition: Definition, original: Original, contents: dict[int, bytes]) -> dict[int, bytes]:
    spec, module = definition.checksum, checksum_module(definition)
    if spec is None or module is None:
        return contents
    region = definition.region(spec.region)
    if region.start not in contents:
        return contents
    stock = original.image.slice(region.start, region.size_bytes)
    try:
        corrected, _ = correct_like_stock(module, stock, contents[region.start])
    except (ChecksumRefused, ChecksumUnsupported) as error:
        raise PitboxError(
            "CHECKSUM_NOT_CORRECTED",
            str(error),
            do_now="Correct the checksums in the editor that made the file.",
        ) from error
    return {**contents, region.start: corrected}


def _allowed(
    definition: Definition, contents: dict[int, bytes], wish: MasterWish
) -> tuple[tuple[int, int], ...]:
    return tuple(
        sorted(
            (region.start, region.end)
            for region in definition.regions
            if region.start in contents
            and (
                region.name in wish.changed_regions
                or (not wish.changed_regions and region.tag == "calibration")
            )
        )
    )


def _checked(definition: Definition, target: MemoryImage) -> Verdict:
    spec, module = definition.checksum, checksum_module(definition)
    if spec is None or module is None:
        return Verdict.UNKNOWN
    region = definition.region(spec.region)
    return Verdict(module.verify(target.slice(region.start, region.size_bytes)).verdict.value)
