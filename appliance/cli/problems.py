"""Errors of the command line itself, each with its five answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appliance.contract.errors import PitboxError

ENGINE_LOG = "log/engine.log in the engine's state directory (/var/lib/pitbox, or what --state named)"
"""However it was started, the engine keeps its log there."""
_RECOVER = (
    "Leave the ignition on and the car's engine off. Start the box's program again (`systemctl start "
    "pitbox-engine`, or the command that started it before, with the same --state), then `pitbox recover`: "
    "every step was noted, nothing is lost."
)
_RECOVER_NOW = (
    "Leave the ignition on and the car's engine off. `pitbox jobs` shows whether the write is open, then "
    "`pitbox recover`: every step was noted, nothing is lost."
)
_REPEAT = (
    "Start the box's program again (`systemctl start pitbox-engine`, or the command that started it before), "
    "then repeat the command: what was already read is kept."
)


class LocalError(PitboxError):
    """Raised on this side of the socket: whether the ECU is safe, the engine must be asked."""

    job: str | None = None
    """The job it is about, where one is known."""


class EngineUnreachableError(PitboxError):
    """Nobody answers on the engine's socket."""

    def __init__(self, socket_path: Path, why: str) -> None:
        super().__init__(
            "ENGINE_UNREACHABLE",
            f"no engine answers on {socket_path}: {why}",
            do_now="Start it with `systemctl start pitbox-engine`, or with the command that started it: "
            "only with the same --state does it know an open write. Another socket: --socket PATH. A first "
            f"simulated car: `pitbox engine --simulate pbx-e400 --state ./box --socket {socket_path}`.",
            log=ENGINE_LOG,
        )


class AnswerUnreadableError(LocalError):
    """The engine's answer is not as the contract says; one that only tells more can be read."""

    def __init__(self, request: str, why: ValueError) -> None:
        super().__init__(
            "ANSWER_UNREADABLE",
            f"the engine's answer to {request} cannot be read: {why}",
            do_now="Engine and command line must be of the same version: install both anew and start the "
            "engine again once nothing is being written. `pitbox jobs` shows whether a write is open.",
            log=ENGINE_LOG,
        )


class EngineLostError(PitboxError):
    """The engine stopped while it worked for us."""

    def __init__(self, verb: str, in_danger: bool, *, back: bool = False) -> None:
        """`back`: it was started again, and knows how far it came."""
        again = _RECOVER_NOW if in_danger else "Repeat the command: what was already read is kept."
        super().__init__(
            "ENGINE_LOST",
            f"the engine stopped during {verb}" + (" and was started again" if back else ""),
            do_now=again if back else _RECOVER if in_danger else _REPEAT,
            log=ENGINE_LOG,
        )
        self.in_danger = in_danger
        """Whether the engine may have begun to erase."""


class LeftRunningError(LocalError):
    """The technician left; the engine goes on."""

    def __init__(self, verb: str, in_danger: bool) -> None:
        super().__init__(
            "LEFT_RUNNING",
            f"you left; the box goes on with {verb} by itself",
            do_now="Do not switch the ignition off. Watch it with `pitbox jobs --watch`.",
            log=ENGINE_LOG,
        )


class CancelledError(LocalError):
    """The operation was cancelled in time."""

    def __init__(self, verb: str) -> None:
        super().__init__(
            "CANCELLED",
            f"{verb} was cancelled before anything was erased",
            do_now="Start again when you are ready; what was already read is kept.",
            log=ENGINE_LOG,
        )


class ConfirmationError(LocalError):
    """Nobody said yes."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "NOT_CONFIRMED",
            what,
            do_now="Nothing was sent to the ECU. Read the summary, then run the command again and type yes; "
            "a script gives --yes.",
            log=ENGINE_LOG,
        )


class UnusedOptionError(LocalError):
    """What was given would have no effect, so something else was meant."""

    def __init__(self, option: str, why: str) -> None:
        super().__init__(
            "OPTION_UNUSED",
            f"{option} would have no effect: {why}",
            do_now="Leave it out, or add what it belongs to (see --help). Nothing was done.",
            log=ENGINE_LOG,
        )


class OutputError(LocalError):
    """The work is over, and its result could not be shown."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "OUTPUT_FAILED",
            f"the result could not be written to standard output: {why}",
            do_now="Make room or choose another place; `pitbox report` tells the job's result again.",
            log=ENGINE_LOG,
        )


class JobChoiceError(LocalError):
    """No job, or more than one, is meant by what was given."""

    def __init__(self, code: str, what: str, do_now: str, details: Sequence[str] = ()) -> None:
        super().__init__(code, what, do_now=do_now, details=tuple(details), log=ENGINE_LOG)


class FileProblemError(LocalError):
    """A file on this machine cannot be used; the engine was not asked."""

    def __init__(self, code: str, what: str, do_now: str) -> None:
        super().__init__(code, what, do_now=do_now, log="none: the engine was not asked")
