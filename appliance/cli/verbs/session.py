"""What a verb works with: the engine's client and the chosen job."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from appliance.cli.choosing import Job, choose
from appliance.cli.client import EngineClient
from appliance.cli.options import default_socket
from appliance.cli.screen import Screen

READ_FIRST = "Run `pitbox read` first; `pitbox jobs` lists what there is."
IDENTIFY_FIRST = "Run `pitbox identify` first; `pitbox jobs` lists what there is."


def client_of(options: argparse.Namespace) -> EngineClient:
    """The engine behind --socket, $PITBOX_SOCKET, or where the service listens."""
    return EngineClient(options.socket or default_socket())


def job_of(
    client: EngineClient,
    options: argparse.Namespace,
    screen: Screen,
    fits: Callable[[Job], bool],
    missing: str,
) -> str:
    """Id of the job that --job means, or of the newest that fits."""
    return choose(client, screen, options.job, fits, missing)["id"]
