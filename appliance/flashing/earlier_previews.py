"""Previews as earlier releases stored them, in the form of today: to be read, never to be consented to."""

from __future__ import annotations

from typing import Any, cast

from appliance.contract.gates import LETS_THROUGH
from appliance.contract.places import Place, Range
from appliance.contract.preview import FORM, Preview


def preview_of(stored: dict[str, Any]) -> Preview:
    """What was shown, with the digest that it was shown with. Raises LookupError, TypeError, ValueError."""
    form = stored.get("form", 1)
    if form == FORM:
        return cast(Preview, stored)
    if form != 1:
        raise ValueError(f"a preview of the form {form} is of a newer release")
    lets_through = {verdict.value for verdict in LETS_THROUGH}
    told: dict[str, Any] = {**stored, "form": form, "regions": [_region(one) for one in stored["regions"]]}
    told["refused"] = [one["name"] for one in stored.get("gates", ()) if one["verdict"] not in lets_through]
    return cast(Preview, told)


def _region(stored: dict[str, Any]) -> dict[str, Any]:
    memory, first, last = stored["memory"], stored["first"], stored["last"]
    changed: Place | None = None if first is None else Range.between(memory, first, last + 1).as_dict()
    return {
        "name": stored["name"],
        "place": Range(memory, stored["start"], stored["size_bytes"]).as_dict(),
        "blocks": stored["blocks"],
        "changed_bytes": stored["changed_bytes"],
        "changed": changed,
    }
