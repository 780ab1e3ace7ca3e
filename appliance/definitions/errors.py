"""What the user is told when a definition cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from appliance.contract.errors import EngineError
from appliance.contract.phrases import phrase


class DefinitionError(EngineError):
    """A file was refused, has no simulated twin, or no definition has the id asked for.

    `points` has a line per problem; the reasons are for the file's author, in English.
    """


def invalid(path: Path, problems: Sequence[str]) -> DefinitionError:
    """The refusal of one file: details are `file: key.path: reason`."""
    return DefinitionError(
        "DEFINITION_INVALID" if len(problems) != 1 else "DEFINITION_INVALID.one",
        file=str(path),
        problems=len(problems),
        points=[phrase("definition.problem", file=str(path), technical_text=one) for one in problems],
    )


def not_simulated(definition_id: str) -> DefinitionError:
    """A definition of real ECUs alone cannot be simulated."""
    return DefinitionError("DEFINITION_NOT_SIMULATED", definition=definition_id)


def unknown(definition_id: str, near: Iterable[str], refused: Iterable[DefinitionError]) -> DefinitionError:
    """No usable definition has that id; files that were refused are named, for it may be one of them."""
    points = [point for error in refused for point in error.points]
    found = DefinitionError("DEFINITION_UNKNOWN", definition=definition_id, points=points)
    found.advise(*(phrase("advice.did_you_mean", definition=name) for name in near))
    return found
