"""What of a request does not fit, for whoever sent it."""

from __future__ import annotations

from pydantic import ValidationError

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase

_MOST_TOLD = 16
"""Whoever sends a thousand fills no log with them."""
_LONGEST_PLACE = 64
_LONGEST_REASON = 200


def misfits(error: ValidationError) -> list[Phrase]:
    """The first of them, each with its place; the reasons are the validator's."""
    return [
        phrase(
            "misfit",
            place=".".join(map(str, one["loc"]))[:_LONGEST_PLACE],
            technical_text=one["msg"][:_LONGEST_REASON],
        )
        for one in error.errors()[:_MOST_TOLD]
    ]
