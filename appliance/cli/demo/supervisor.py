"""The engine as a process of its own, started and watched as systemd does it on a box."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from appliance.cli.client import EngineClient
from appliance.cli.problems import FileProblemError, LocalError

_READY = "listening on"
_STOP_S = 15.0
_NOTICE_S = 15.0


class Supervisor:
    """A master-role engine with a simulated car; box and car keep their memory in `folder` between starts."""

    def __init__(self, definition: str, seed: int, keep: Path | None, further: Sequence[str] = ()) -> None:
        """`further` are arguments of the engine."""
        self._definition = definition
        self._further = tuple(further)
        self._seed = seed
        self._keep_folder = False
        self._process: subprocess.Popen[str] | None = None
        self._run_dir = Path(tempfile.mkdtemp(prefix="pitbox-"))
        """For the socket, whose path must be short; and for everything else unless it is kept elsewhere."""
        self.folder = keep if keep is not None else self._run_dir
        self.client = EngineClient(self._run_dir / "engine.sock")

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if not self._keep_folder:
            shutil.rmtree(self._run_dir)

    def start(self, faults: str | None = None, further: Sequence[str] = ()) -> None:
        """Start the engine, with `further` arguments this once; wait until it listens. Raises PitboxError."""
        self._make_folder()
        with (self.folder / "engine.err").open("w") as errors:
            self._process = subprocess.Popen(
                [*self._command(faults), *further],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if _READY not in line:
            self._process.wait()
            self.keep_folder()
            raise _not_started((self.folder / "engine.err").read_text().strip(), self.folder)

    def stop(self) -> None:
        """End the engine in good order; nothing where it is gone already."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def keep_folder(self) -> None:
        """Something went wrong: journal and log stay where the error says they are."""
        self._keep_folder = self.folder == self._run_dir

    def notice_death(self) -> bool:
        """Wait for the end of an engine that stopped answering; True if it was killed."""
        if self._process is None:
            return False
        try:
            return self._process.wait(_NOTICE_S) < 0
        except subprocess.TimeoutExpired:
            return False

    def _command(self, faults: str | None) -> list[str]:
        simulated = ["--simulate", self._definition, "--seed", str(self._seed)]
        places = ["--state", self.folder / "box", "--car-data", self.folder / "car"]
        command = [sys.executable, "-P", "-m", "appliance.engine", "--role", "master", *simulated]
        command += [*map(str, places), "--socket", str(self._run_dir / "engine.sock"), *self._further]
        return command + (["--faults", faults] if faults else [])

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"{self.folder}: {error.strerror}"
            raise FileProblemError("FILE_NOT_MADE", what, "Choose another folder for --keep.") from error


def _not_started(told: str, folder: Path) -> LocalError:
    lines = tuple(told.splitlines())
    return LocalError(
        "ENGINE_NOT_STARTED",
        "the engine of the demo did not start",
        do_now="See what it says above.",
        details=lines[-6:],
        log=str(folder / "engine.err"),
    )
