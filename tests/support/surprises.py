"""One run of a campaign: on virtual time, in a folder of its own, and with nothing that escapes it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from simulator.virtualtime import run_virtual


class Outcome(Protocol):
    """Where it is told how a run ended."""

    outcome: str
    broken: str


def run_out(
    result: Outcome,
    folder: Path,
    work: Callable[[Path], Coroutine[Any, Any, None]],
    *besides: type[BaseException],
) -> None:
    """Do the work to its end; every exception, and these besides, becomes a broken promise of the result."""
    root = Path(tempfile.mkdtemp(dir=folder))
    try:
        run_virtual(work(root))
    except (Exception, asyncio.CancelledError, *besides) as error:  # noqa: BLE001 - what escapes is looked for
        result.outcome, result.broken = "broken", f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(root)
