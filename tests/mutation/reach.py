"""A pytest plugin: which test runs which lines, and how long it takes; `-p tests.mutation.reach`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

SOURCES, FILE = "REACH_SOURCES", "REACH_FILE"
"""Names in the environment: the sources to watch, parted by commas, and where to write what was seen."""


class Reach:
    """Watches the sources, test by test."""

    def __init__(self) -> None:
        self._coverage = coverage.Coverage(
            data_file=None,
            config_file=False,
            include=[word for one in os.environ[SOURCES].split(",") for word in (one, f"{one}/**")],
        )
        self._took: dict[str, float] = {}
        self._coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        began = time.process_time()
        yield
        self._took[item.nodeid] = time.process_time() - began
        self._coverage.switch_context("")

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            str(Path(file).relative_to(Path.cwd())): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        Path(os.environ[FILE]).write_text(json.dumps({"took": self._took, "lines": lines}), "utf-8")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reach(), "reach")
