"""Signed packages over HTTP to a slave-role box that dies, and proof that their judge can say no."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from tests.faults import slave
from tests.faults.slave import visit
from tests.support.engine import Engine

pytestmark = pytest.mark.timeout(900)


SEEDS = (0, 1, 3, 4, 6, 7, 11)


def test_packages_are_written_whole_or_refused_and_deaths_are_survived() -> None:
    visits = [visit(seed) for seed in SEEDS]
    assert [one for one in visits if one.broken] == []
    assert {one.outcome for one in visits} == {"done", "restored", "refused"}
    assert sum(one.deaths for one in visits) >= 4
    assert len({one.wrong for one in visits}) >= 4


def test_a_wrong_memory_is_caught() -> None:
    with patch.object(Engine, "memory", lambda engine: b"other"):
        assert "memory is not that" in visit(1).broken
        assert "memory has changed" in visit(3).broken


def test_a_box_that_takes_a_wrong_package_is_caught() -> None:
    signed: Any = slave._signed
    with patch.object(slave, "_signed", lambda root, data, wrong: signed(root, data, None)):
        assert "a package with a wrong ecu was written" in visit(4).broken


def test_a_right_package_that_is_refused_is_caught() -> None:
    signed: Any = slave._signed
    with patch.object(slave, "_signed", lambda root, data, wrong: signed(root, data, "base")):
        assert "a right package was refused" in visit(1).broken
