from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.definitions.schema import Definition
from appliance.flashing.image import MemoryImage
from appliance.vault import key_files as keyring
from appliance.vault.keys import KeyRing, Role
from tests.support.box import VERIFY_STYLES, Box, SteadyMeter, Verify, random_image, small_definition
from tests.support.probe_access import ProbeAccess
from tests.support.probe_ecu import ProbeEcu


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return keyring.create(tmp_path_factory.mktemp("box") / "keys", Role.SLAVE)


@pytest.fixture
def ram_path() -> Iterator[Path]:
    """A folder whose fsync costs nothing, for tests that make thousands of commits."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(params=VERIFY_STYLES)
def verify(request: pytest.FixtureRequest) -> Verify:
    """Both ways of proving memory."""
    style: Verify = request.param
    return style


@pytest.fixture
def definition(verify: Verify) -> Definition:
    return small_definition(verify)


@pytest.fixture
def original(definition: Definition) -> MemoryImage:
    return random_image(definition)


@pytest.fixture
def ecu(definition: Definition, original: MemoryImage) -> ProbeEcu:
    return ProbeEcu.holding(definition, original)


@pytest.fixture
def access(ecu: ProbeEcu, verify: Verify) -> ProbeAccess:
    return ProbeAccess(ecu, hashing=verify == "hash")


@pytest.fixture
def meter() -> SteadyMeter:
    return SteadyMeter()


@pytest.fixture
def box(
    tmp_path: Path, keys: KeyRing, definition: Definition, access: ProbeAccess, meter: SteadyMeter
) -> Box:
    """A box in its first life."""
    return Box(tmp_path / "state", keys, definition, access, meter)


@pytest.fixture
def reborn(tmp_path: Path, keys: KeyRing, definition: Definition, access: ProbeAccess) -> Callable[[], Box]:
    """The same box after a restart, or a crash: what was in memory is gone."""
    return lambda: Box(tmp_path / "state", keys, definition, access)
