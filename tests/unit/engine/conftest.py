from __future__ import annotations

from pathlib import Path

import pytest

from appliance.vault.keys import Role
from tests.support.garage import Readied, ready


@pytest.fixture(scope="session")
def _slave(tmp_path_factory: pytest.TempPathFactory) -> Readied:
    return ready(tmp_path_factory.mktemp("slave") / "state", Role.SLAVE)


@pytest.fixture(scope="session")
def _master(tmp_path_factory: pytest.TempPathFactory) -> Readied:
    return ready(tmp_path_factory.mktemp("master") / "state", Role.MASTER)


@pytest.fixture
def slave(_slave: Readied, tmp_path: Path) -> Readied:
    """A slave-role box that has read its car."""
    return _slave.copy(tmp_path / "slave")


@pytest.fixture
def master(_master: Readied, tmp_path: Path) -> Readied:
    """A master-role box that has read its car."""
    return _master.copy(tmp_path / "master")
