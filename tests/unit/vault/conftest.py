from __future__ import annotations

import os
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.contract.manifest import Verdict
from appliance.contract.places import FLASH, Start
from appliance.contract.records import EcuIdentity, Region
from appliance.contract.uses import Use
from appliance.vault import key_files as keyring
from appliance.vault.contents import content_sha256, new_file_id, split
from appliance.vault.grants import GrantUse
from appliance.vault.images import ImageKind, ImageStore, SealedImage
from appliance.vault.keys import KeyRing, MasterKeys, Role
from appliance.vault.package import GrantLimits, TunedFile, changed_ranges
from appliance.vault.store import BlobStore
from tests.support.packages import packed
from tests.support.places import flash

NOW_S = 1_790_000_000
ECU = EcuIdentity(hw="8K5906259B", sw="0004", boot="B1", vin_hmac="ab" * 32)


@pytest.fixture(scope="session")
def master_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return keyring.create(tmp_path_factory.mktemp("master") / "keys", Role.MASTER)


@pytest.fixture(scope="session")
def slave_keys(tmp_path_factory: pytest.TempPathFactory, master: MasterKeys) -> KeyRing:
    directory = tmp_path_factory.mktemp("slave") / "keys"
    keyring.create(directory, Role.SLAVE)
    return keyring.pair(directory, master.public())


@pytest.fixture(scope="session")
def master(master_keys: KeyRing) -> MasterKeys:
    assert master_keys.master_keys is not None
    return master_keys.master_keys


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def blobs(state: Path, slave_keys: KeyRing) -> BlobStore:
    return BlobStore(state, slave_keys)


@pytest.fixture
def images(state: Path, slave_keys: KeyRing, blobs: BlobStore) -> ImageStore:
    return ImageStore(state, slave_keys, blobs)


@pytest.fixture(scope="session")
def regions() -> tuple[Region, ...]:
    return (
        Region(name="CAL", place=flash(0x80040000, 0x48000)),
        Region(name="ASW", place=flash(0x80100000, 777)),
    )


@pytest.fixture(scope="session")
def original(regions: tuple[Region, ...]) -> dict[Start, bytes]:
    """Plaintext of a read by region: incompressible, the same in every run."""
    return {one.place.at: random.Random(one.place.start).randbytes(one.place.length) for one in regions}


@pytest.fixture(scope="session")
def tuned(regions: tuple[Region, ...], original: dict[Start, bytes]) -> TunedFile:
    contents = original | {(FLASH, 0x80040000): b"tuned" * 100 + original[FLASH, 0x80040000][500:]}
    return TunedFile(
        job_id="job-7",
        definition="sim-uds-4m",
        ecu=ECU,
        method="obd",
        regions=regions,
        contents=contents,
        base_sha256=content_sha256(original),
        changed_ranges=changed_ranges(original, contents),
        checksum=Verdict.OK,
        use=Use.BENCH_RESEARCH,
        consents=("original_stored",),
        parent=new_file_id(),
    )


@pytest.fixture(scope="session")
def limits() -> GrantLimits:
    return GrantLimits(nbf_s=NOW_S - 60, exp_s=NOW_S + 1800, max_starts=2)


@pytest.fixture(scope="session")
def use() -> GrantUse:
    return GrantUse(now_s=NOW_S, job_id="job-7", ecu=ECU)


@pytest.fixture(scope="session")
def package(master: MasterKeys, slave_keys: KeyRing, tuned: TunedFile, limits: GrantLimits) -> bytes:
    return packed(master, slave_keys.device_public(), tuned, limits, NOW_S)


@pytest.fixture(scope="session")
def new_image(
    regions: tuple[Region, ...], original: dict[Start, bytes]
) -> Callable[[BlobStore], SealedImage]:
    """Seals `original` into a blob store and describes it; the record is not saved."""

    def seal(blobs: BlobStore) -> SealedImage:
        pieces = [piece for at, data in original.items() for piece in split(at, data)]
        return SealedImage(
            file_id=new_file_id(),
            kind=ImageKind.ORIGINAL,
            definition="sim-uds-4m",
            identity=ECU,
            method="obd",
            regions=regions,
            segments=tuple(blobs.put(data, place.at) for place, data in pieces),
        )

    return seal


@pytest.fixture(scope="session")
def age_command() -> str:
    command = shutil.which("age")
    if command is None:
        assert "CI" not in os.environ, "the age command is missing, and CI must not skip its witness"
        warnings.warn("age is not installed: the foreign witness of the seal did NOT run", stacklevel=1)
        pytest.skip("install the Debian package 'age' to run this witness")
    return command
