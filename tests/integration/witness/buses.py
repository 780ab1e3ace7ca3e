"""Multicast CAN buses between processes, and processes that say when they are ready."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import can

ROOT = Path(__file__).parents[3]
END_S = 60
"""A process that has hung; how long a busy machine takes is not judged."""
_IP_MULTICAST_ALL = 49


@contextmanager
def foreign_bus(channel: str) -> Iterator[can.BusABC]:
    """python-can's own bus on a multicast group, deaf to the other groups of this machine."""
    with can.Bus(interface="udp_multicast", channel=channel, fd=False) as bus:
        with socket.socket(fileno=socket.dup(bus.fileno())) as alias:
            alias.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        while bus.recv(0) is not None:
            pass  # what other groups said before
        yield bus


@contextmanager
def process(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """`python -m module` for the length of the block; gives the JSON line it printed once it was ready."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield json.loads(running.stdout.readline())
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(END_S) == 0
