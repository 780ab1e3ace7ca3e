from __future__ import annotations

import os
import random
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance.vault import keys as keyring
from appliance.vault.grants import GrantUse
from appliance.vault.images import ImageKind, ImageStore, SealedImage
from appliance.vault.keys import KeyRing, MasterKeys, Role
from appliance.vault.manifest import Use, Verdict
from appliance.vault.package import GrantLimits, TunedFile, build_package, changed_ranges
from appliance.vault.records import EcuIdentity, Region, content_sha256, new_file_id, split
from appliance.vault.store import BlobStore

NOW_S = 1_790_000_000
ECU = EcuIdentity(hw="8K5906259B", sw="0004", boot="B1", vin_hmac="ab" * 32)


@pytest.fixture(scope="session")
def master_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return keyring.create(tmp_path_factory.mktemp("master") / "keys", Role.MASTER)


@pytest.fixture(scope="session")
def slave_keys(tmp_path_factory: pytest.TempPathFactory, master_keys: KeyRing) -> KeyRing:
    directory = tmp_path_factory.mktemp("slave") / "keys"
    keyring.create(directory, Role.SLAVE)
    return keyring.pair(directory, master_private(master_keys).public())


def master_private(keys: KeyRing) -> MasterKeys:
    assert keys.master_keys is not None
    return keys.master_keys


@dataclass(frozen=True)
class Vault:
    """Both stores of one box below one folder."""

    state: Path
    keys: KeyRing
    blobs: BlobStore
    images: ImageStore

    def seal(self, regions: Sequence[Region], contents: dict[int, bytes]) -> SealedImage:
        pieces = [piece for start, data in contents.items() for piece in split(start, data)]
        image = SealedImage(
            file_id=new_file_id(),
            kind=ImageKind.ORIGINAL,
            definition="sim-uds-4m",
            identity=ECU,
            method="obd",
            regions=tuple(regions),
            segments=tuple(self.blobs.put(data, address) for address, data in pieces),
        )
        self.images.save(image)
        return image


@pytest.fixture
def make_vault(tmp_path: Path) -> Callable[[KeyRing], Vault]:
    def make(keys: KeyRing) -> Vault:
        blobs = BlobStore(tmp_path / "state", keys)
        return Vault(tmp_path / "state", keys, blobs, ImageStore(tmp_path / "state", keys, blobs))

    return make


@pytest.fixture
def slave_vault(make_vault: Callable[[KeyRing], Vault], slave_keys: KeyRing) -> Vault:
    return make_vault(slave_keys)


@pytest.fixture
def master_vault(make_vault: Callable[[KeyRing], Vault], master_keys: KeyRing) -> Vault:
    return make_vault(master_keys)


@dataclass(frozen=True)
class Bench:
    """A master, a slave paired with it, and a tuned file made from a known original for one job."""

    master: MasterKeys
    keys: KeyRing
    tuned: TunedFile
    limits: GrantLimits
    use: GrantUse

    def package(self, **tuned_changes: object) -> bytes:
        tuned = replace(self.tuned, **tuned_changes)  # type: ignore[arg-type]
        return build_package(self.master, self.keys.device_public(), tuned, self.limits, NOW_S)


@pytest.fixture(scope="session")
def bench(master_keys: KeyRing, slave_keys: KeyRing) -> Bench:
    regions = (
        Region(name="CAL", start=0x80040000, size=0x48000),
        Region(name="ASW", start=0x80100000, size=777),
    )
    base = {region.start: random.Random(region.start).randbytes(region.size) for region in regions}
    contents = base | {0x80040000: b"tuned" * 100 + base[0x80040000][500:]}
    tuned = TunedFile(
        job_id="job-7",
        definition="sim-uds-4m",
        ecu=ECU,
        method="obd",
        regions=regions,
        contents=contents,
        base_sha256=content_sha256(base),
        changed_ranges=changed_ranges(base, contents),
        checksum=Verdict.OK,
        use=Use.BENCH_RESEARCH,
        consents=("original_stored",),
        parent=new_file_id(),
    )
    limits = GrantLimits(nbf_s=NOW_S - 60, exp_s=NOW_S + 1800, max_starts=2)
    use = GrantUse(now_s=NOW_S, job_id="job-7", ecu=ECU)
    return Bench(master_private(master_keys), slave_keys, tuned, limits, use)


@pytest.fixture(scope="session")
def age_command() -> str:
    command = shutil.which("age")
    if command is None:
        assert "CI" not in os.environ, "the age command is missing, and CI must not skip its witness"
        warnings.warn("age is not installed: the foreign witness of the seal did NOT run", stacklevel=1)
        pytest.skip("install the Debian package 'age' to run this witness")
    return command
