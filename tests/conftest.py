"""For every test: how long an example takes is the machine's business, not the code's."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pitbox", deadline=None)
settings.load_profile("pitbox")
