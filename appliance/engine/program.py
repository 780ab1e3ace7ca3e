"""The process that may touch the car, from its arguments to its exit status."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import sys
from pathlib import Path

from aiohttp.http_exceptions import HttpProcessingError

from appliance.contract.errors import PitboxError
from appliance.contract.text import printable
from appliance.definitions.loader import load_all
from appliance.engine import options
from appliance.engine.serving import serve
from appliance.engine.settings import EngineSettings
from appliance.engine.statedir import held, private_files, refuse_other_kinds, unusable
from appliance.engine.unstarted import tell_safety_unstarted


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 after SIGTERM, SIGINT or SIGHUP, 1 when the engine cannot start, 2 for wrong usage."""
    settings = options.parse(arguments)
    private_files()
    try:
        _require_known_car(settings)
        with held(settings.state_dir):
            _run(settings)
    except PitboxError as error:
        error.log = error.log or _log_of(settings.log_path)
        print(_five_answers(error), file=sys.stderr)
        return 1
    return 0


def _require_known_car(settings: EngineSettings) -> None:
    """Before a state directory is made for a simulated car. Raises PitboxError."""
    if settings.simulation is None:
        return
    try:
        load_all(settings.definition_dirs).get(settings.simulation.definition)
    except PitboxError as error:
        if settings.state_dir.exists():
            with held(settings.state_dir):
                tell_safety_unstarted(error, settings.state_dir)
        raise


def _run(settings: EngineSettings) -> None:
    """Serve until a signal. Raises PitboxError, which is in the log then."""
    _log_to(settings.log_path)
    try:
        asyncio.run(serve(settings))
    except PitboxError as error:
        logging.getLogger("pitbox.engine").error("not started: %s: %s", error.code, error.what)
        tell_safety_unstarted(error, settings.state_dir)
        raise


def _log_of(path: Path) -> str:
    """Where to look, which need not be: a state directory that cannot be used holds no log."""
    return str(path) if path.is_file() else "none: the engine stopped before it could keep one"


def _five_answers(error: PitboxError) -> str:
    lines = [f"{error.code}: {error.what}", *(f"  {detail}" for detail in error.details)]
    lines += [f"  ECU: {error.ecu.value}", f"  Now: {error.do_now}", f"  Log: {error.log}"]
    return "\n".join(map(printable, lines))


def _log_to(path: Path) -> None:
    """Raises PitboxError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_other_kinds(path)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=2_000_000, backupCount=3)
        path.chmod(0o600)
    except OSError as error:
        raise unusable(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(_harmless)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _harmless(record: logging.LogRecord) -> bool:
    """A line is a line, whatever names a client or an ECU gave: nobody writes lines of his own into it.

    What a client sent that is no HTTP needs no trace: it would wash away what counts.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.exc_info, record.exc_text = None, None
        record.msg, record.args = "a client sent what is no HTTP: %s", (type(error).__name__,)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    record.msg, record.args = printable(record.getMessage()), None
    return True
