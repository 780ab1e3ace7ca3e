"""Multicast groups for CAN between processes of one machine (RFC 2365: 239.0.0.0/8 is free for such)."""

from __future__ import annotations

import os
import secrets
import socket

import pytest


def group() -> str:
    """A group that nobody else uses: each call picks one of some sixteen million."""
    return f"239.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


def has_multicast() -> bool:
    """Whether this machine has a route for them (a guest without a network has none)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((group(), 9))
        except OSError:
            return False
    return True


needs_multicast = pytest.mark.skipif(
    not has_multicast() and not os.environ.get("CI"),
    reason="this machine has no route for IP multicast: buses between processes are not tried",
)
"""Where CI is set the test runs and fails instead: it must not get lost unseen."""
