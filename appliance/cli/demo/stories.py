"""Which story a scenario tells."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.cli.demo.bench import BenchStory
from appliance.cli.demo.story import Story

OWN: Mapping[str, type[Story]] = {"bench": BenchStory}
"""By scenario; each other one tells the story as it is."""
