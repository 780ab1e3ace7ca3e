"""Unit tests of the rooms next to wire, disk and keys, on the guest's Python 3.13 and kernel."""

import xml.etree.ElementTree as ET

import pytest

from tests.vm.guest import Guest
from tests.vm.image import PYTHON

LIMIT_S = 1800
# Emulation is an order of magnitude slower than the machine: no hypothesis deadlines, patient timeouts.
_ROOMS = "tests/unit/wire tests/unit/protocols tests/unit/vault tests/contract"
"""All of tests/unit takes half an hour under emulation."""
_LEFT_OUT = " ".join(
    f"--ignore={path}"
    for path in (
        "tests/contract/test_openapi.py",
        "tests/unit/protocols/test_uds_services.py",
        "tests/unit/protocols/test_uds_step.py",
    )
)
"""Invented requests and spoilt answers by the hundred: the dearest files, in virtual time or of the contract
alone, with nothing of kernel, disk or keys in them. `make test` runs them."""
_PYTEST = (
    f"python3 -m pytest {_ROOMS} {_LEFT_OUT} -n 2 --dist worksteal -p no:cacheprovider "
    "-m 'not slow and not vm' --hypothesis-profile=ci -o timeout=900 --junitxml=/results/unit.xml"
)

pytestmark = [pytest.mark.vm, pytest.mark.timeout(LIMIT_S + 300)]


def test_the_unit_tests_pass_in_the_guest(guest: Guest) -> None:
    assert guest.python.startswith(f"{PYTHON}.")
    done = guest.run(_PYTEST, timeout_s=LIMIT_S)
    assert done.rc == 0, done.out + done.err
    suite = ET.parse(guest.results / "unit.xml").getroot().find("testsuite")
    assert suite is not None
    assert int(suite.attrib["tests"]) > int(suite.attrib["skipped"])
