"""Exit statuses that tell the truth about the ECU."""

from __future__ import annotations

from enum import IntEnum

from appliance.cli.problems import EngineLostError
from appliance.contract.errors import EcuSafety, PitboxError


class Exit(IntEnum):
    """What a script may rely on."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    HALF_WRITTEN = 3
    NEEDS_BENCH = 4
    NO_ENGINE = 5
    LEFT = 130


MEANINGS = {
    Exit.DONE: "done and proven",
    Exit.REFUSED: "refused or failed; the ECU is untouched or intact",
    Exit.USAGE: "the command was not understood",
    Exit.HALF_WRITTEN: "the ECU is, or may be, half written: keep it powered and run `pitbox recover`",
    Exit.NEEDS_BENCH: "the ECU cannot be finished on this connection: it needs the bench",
    Exit.NO_ENGINE: "the engine cannot be reached, or may not be used by this user",
    Exit.LEFT: "left with Ctrl-C (the engine goes on), or cancelled with a second one (nothing was written)",
}
_BY_CODE = {
    "OPTION_UNUSED": Exit.USAGE,
    "PARAMETERS_INVALID": Exit.USAGE,
    "NEEDS_BENCH": Exit.NEEDS_BENCH,
    "ENGINE_UNREACHABLE": Exit.NO_ENGINE,
    "PEER_REFUSED": Exit.NO_ENGINE,
    "LEFT_RUNNING": Exit.LEFT,
    "CANCELLED": Exit.LEFT,
}
_BY_SAFETY = {
    EcuSafety.UNTOUCHED: Exit.REFUSED,
    EcuSafety.INTACT: Exit.REFUSED,
    EcuSafety.HALF_WRITTEN: Exit.HALF_WRITTEN,
    EcuSafety.UNKNOWN: Exit.HALF_WRITTEN,
}


def exit_of(error: PitboxError) -> Exit:
    """The status an error ends the program with."""
    if isinstance(error, EngineLostError) and not error.in_danger:
        return Exit.NO_ENGINE
    return _BY_CODE.get(error.code, _BY_SAFETY[error.ecu])
