"""A machine that cannot boot a guest skips these tests and says so at the end; in CI it fails instead."""

import os
from collections.abc import Iterator

import pytest

from tests.vm.guest import Guest
from tests.vm.image import Image, guest_image, missing

_REFUSAL = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> Image:
    """The guest's image, built when the cache has none."""
    if lacking := missing():
        reason = f"no guest can be booted without {', '.join(lacking)}: run tests/vm/install.sh as root"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytestconfig.stash[_REFUSAL] = reason
        pytest.skip(reason)
    return guest_image()


@pytest.fixture(scope="module")
def guest(image: Image) -> Iterator[Guest]:
    """One guest for all tests of a module that leave it alive and clean."""
    with Guest(image=image) as booted:
        yield booted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if reason := config.stash.get(_REFUSAL, ""):
        terminalreporter.section("REAL-KERNEL TESTS DID NOT RUN", red=True)
        terminalreporter.line(reason)
