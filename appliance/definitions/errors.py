"""What the user is told when a definition cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from appliance.contract.errors import PitboxError


class DefinitionError(PitboxError):
    """A file was refused, has no simulated twin, or no definition has the id asked for.

    `details` has a line per problem.
    """


def invalid(path: Path, problems: Sequence[str]) -> DefinitionError:
    """The refusal of one file: details are `file: key.path: reason`."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return DefinitionError(
        "DEFINITION_INVALID",
        f"the definition {path} has {count}",
        do_now=f"Correct each line named, then run `pitbox definitions check {path}`.",
        details=tuple(f"{path}: {problem}" for problem in problems),
    )


def not_simulated(definition_id: str) -> DefinitionError:
    """A definition of real ECUs alone cannot be simulated."""
    return DefinitionError(
        "DEFINITION_NOT_SIMULATED",
        f"the definition {definition_id} has no [simulation] table, so there is no simulated ECU of it",
        do_now="Use it on a real ECU, or add a [simulation] table to its file.",
    )


def unknown(definition_id: str, near: Iterable[str], refused: Iterable[DefinitionError]) -> DefinitionError:
    """No usable definition has that id; files that were refused are named, for it may be one of them."""
    guess = "".join(f" Did you mean {name}?" for name in near)
    return DefinitionError(
        "DEFINITION_UNKNOWN",
        f"there is no definition {definition_id!r}",
        do_now=f"Run `pitbox definitions list` and use an id it shows.{guess}",
        details=tuple(line for error in refused for line in error.details),
    )
