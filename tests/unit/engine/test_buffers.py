"""How much memory a 4 MiB image takes on its way into a write: nothing is held or copied twice."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.contract.jobs import JobState
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext
from appliance.engine.operations.registry import prepare as prepared
from appliance.engine.operations.write import opened_files, request_of
from appliance.engine.originals import save_image, seal_target
from appliance.engine.plaintext import Opened, wiped_afterwards
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.changes import changes_of
from appliance.flashing.gates.judging import check_request
from appliance.flashing.gates.request import target_of
from appliance.flashing.image import blocks_of
from appliance.protocols.access import EcuIdentity
from appliance.vault.contents import split
from appliance.vault.images import ImageKind
from simulator.image_synthesis import synthesise
from tests.support.desk import OPERATOR, Desk
from tests.support.garage import Garage, Readied, visit

IMAGE_BYTES = 4 << 20
ASIDE_BYTES = 4 << 20
"""Less than one image more: segments being sealed, and copies of the region with the checksum (512 KiB)."""


def read_e400(garage: Garage) -> tuple[str, bytes]:
    """A job whose original are 4 MiB, as if they had been read; and that original."""
    box, definition = garage.box, load_definition(PACKS / "pbx-e400.toml")
    image = synthesise(definition, seed=5)
    assert len(image) == IMAGE_BYTES
    job = "job-e400"
    box.journal.create_job(job)
    identity = EcuIdentity(hw="hw", sw="sw", vin="WVWZZZ1KZAW000001")
    box.journal.describe(job, definition.id, definition.digest(), "obd", identity)
    box.journal.move(job, JobState.IDENTIFIED)
    box.journal.move(job, JobState.READING)
    base = definition.regions[0].start
    segments = tuple(
        box.blobs.put(piece, place.at)
        for region in definition.regions
        for place, piece in split(region.place.at, image[region.start - base : region.end - base])
    )
    original = save_image(box, ImageKind.ORIGINAL, box.journal.job(job), definition.regions, segments)
    box.journal.read_verified(job, original)
    return job, image


def every_sector_changed(definition: Definition, image: bytes) -> bytes:
    tuned = bytearray(image)
    for block in blocks_of(definition, definition.best_access, writable_only=True):
        tuned[block.start - definition.regions[0].start] ^= 0xFF
    return bytes(tuned)


@contextmanager
def at_most(images: int) -> Iterator[None]:
    """So many images alive at once in here, beside those that were before."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < images * IMAGE_BYTES + ASIDE_BYTES
    finally:
        tracemalloc.stop()


def prepare(box: EngineContext, job_id: str, data: list[bytes], opened: Opened) -> None:
    """All that a write of a plain file does before the car is asked for anything."""
    job = box.journal.job(job_id)
    definition = box.definition("pbx-e400", job.definition_sha256)
    regions = tuple(region.name for region in definition.regions if region.writable)
    wish = MasterWish(changed_regions=regions, correct_checksums=True)
    original, tuned, plain = opened_files(box, job, definition, data.pop, wish, opened)
    assert plain and original is not None and tuned.content is not None
    request = request_of(box, job, definition, original, tuned, opened)
    refused = {gate.name for gate in check_request(request) if not gate.passed}
    assert refused <= {"use", "signatures"}, refused
    assert len(changes_of(definition, original.image, tuned.content)) > 1
    assert target_of(request) is not None
    seal_target(box, definition, job, tuned.content, tuned.file_id)


def test_a_plain_file_of_4_mib_is_packaged_and_judged_in_little_memory(master: Readied) -> None:
    async def scene(garage: Garage) -> None:
        job, image = read_e400(garage)
        definition = garage.box.definition("pbx-e400")
        with wiped_afterwards() as opened, at_most(2):
            prepare(garage.box, job, [every_sector_changed(definition, image)], opened)

    visit(master, scene)


def test_a_refused_write_leaves_no_image_behind(master: Readied) -> None:
    """Its error is told; nothing that hangs on it stays until somebody happens to collect it."""

    async def scene(garage: Garage) -> None:
        job, image = read_e400(garage)
        desk = Desk(garage)
        data = every_sector_changed(garage.box.definition("pbx-e400"), image)
        gc.disable()
        tracemalloc.start()
        try:
            garage.box.uploads["up"] = data
            asked = {"job": job, "upload": "up"}
            operation = desk.operator.start("write", job, prepared("write", asked), OPERATOR, asked)
            told = await desk.operator.told(operation.id, 3600.0)
            assert told["error"] is not None and told["error"]["code"] == "GATES_REFUSED"
            assert garage.box.uploads == {}
            assert tracemalloc.get_traced_memory()[0] < IMAGE_BYTES // 4
            assert tracemalloc.get_traced_memory()[1] > IMAGE_BYTES
        finally:
            tracemalloc.stop()
            gc.enable()

    visit(master, scene)
