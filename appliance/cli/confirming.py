"""One summary before anything is erased, and a yes to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.cli.client import EngineClient
from appliance.cli.operation_client import perform
from appliance.cli.screen import Screen
from appliance.cli.words import earlier_line
from appliance.contract.places import Place
from appliance.contract.preview import Asked, Preview
from appliance.contract.uses import Use

_ENDS = {
    ("write", "tuned"): "About to write a tuned file to this ECU:",
    ("restore", "original"): "About to put this ECU's own original back:",
    ("recover", "tuned"): "About to finish the interrupted write of a tuned file:",
    ("recover", "original"): "About to recover this ECU with its own original:",
}
_COMPARED = {
    "original": "Counted against the original, which is what this box last read.",
    "last_write": "Counted against what this box last wrote and proved.",
}


def confirm(
    client: EngineClient,
    screen: Screen,
    verb: str,
    asked: Mapping[str, object],
    *,
    yes: bool,
    shown: str | None = None,
) -> str:
    """Show what the verb will do and have it confirmed; the digest of what was shown.

    `asked` is what the verb itself will be given, and `shown` how the file is called. A file that the gates
    will refuse in any case needs no yes. Raises PitboxError, ConfirmationError.
    """
    found = perform(client, screen, "preview", Preview, {"of": verb, **asked})
    question = "Erase and write now?"
    screen.confirm(summary_lines(found, shown), question, yes=yes or bool(found["refused"]))
    return found["digest"]


def summary_lines(found: Preview, file: str | None = None) -> Iterator[str]:
    """Car, VIN, file, what changes and where, and what to do before."""
    yield _ENDS.get((found["verb"], found["kind"]), f"About to {found['verb']}:")
    yield f"  Car:   {found['name']}  [{found['definition']}, evidence: {found['evidence']}]"
    known = ", ".join(f"{key} {one}" for key, one in (("HW", found["hw"]), ("SW", found["sw"])) if one)
    yield f"  VIN:   {_vin(found)}{f'  ({known})' if known else ''}"
    yield f"  File:  {file or 'sealed file'}, {found['file'][:16]}"
    if earlier := found.get("earlier"):
        yield f"  {earlier_line(earlier)}"
    yield from (f"  ✘ The checks will refuse it: {reason}" for reason in _refusals(found))
    if not found["refused"]:
        yield from _changes(found)
    yield from (f"  You:   {words}" for words in _stated(found["asked"]))
    yield from (f"  First: {ritual}" for ritual in found["rituals"])


def _stated(asked: Asked) -> Iterator[str]:
    """The person's own words, which count where the ECU cannot say it."""
    if car := asked.get("car"):
        yield f"state that this is the car {car}"
    if asked.get("engine_off"):
        yield "state that the engine is off"
    for one in asked.get("waivers", ()):
        yield f"set the gate {one['gate']} aside, as {one['by']}: {one['reason']}"
    if asked.get("more_erases"):
        yield "let blocks be erased as often again as the definition allows"
    if asked.get("correct_checksums"):
        yield "have the box put checksums right"
    if access := asked.get("access"):
        yield f"have it go over the access {access}"
    yield from _stated_of_file(asked)


def _stated_of_file(asked: Asked) -> Iterator[str]:
    """A signed package says this itself, and a plain file has nothing but its owner's word."""
    if (use := asked.get("use", Use.BENCH_RESEARCH)) != Use.BENCH_RESEARCH:
        yield f"state that the file is for {use.replace('_', ' ')}"
    if regions := asked.get("changed_regions"):
        yield f"let bytes differ in {', '.join(regions)}"
    if made_from := asked.get("made_from"):
        yield f"state that the file was made from {made_from}"
    if memory := asked.get("memory"):
        yield f"state that the file is of the memory {memory}"


def _vin(found: Preview) -> str:
    """Without a job nobody has asked the ECU yet; it is asked before anything is erased."""
    if found["vin"]:
        return found["vin"]
    return "not told by this ECU" if found["job"] else "compared with the original's before any erase"


def _changes(found: Preview) -> Iterator[str]:
    yield from (f"  Not:   {memory}, which this access does not reach" for memory in found["left_out"])
    regions = found["regions"]
    for region in regions:
        where = f"{region['name']} ({region['place']['memory']} {_span(region['place'])})"
        if region["changed_bytes"] is None:
            yield f"  Into:  {where}: what differs of its {region['blocks']} blocks"
        elif region["changed_bytes"] and region["changed"]:
            yield f"  Into:  {where}: {_bytes(region['changed_bytes'])}, from {_span(region['changed'])}"
    if found["compared_with"] is None:
        return
    if not any(region["changed_bytes"] for region in regions):
        yield "  Into:  no byte changes; blocks that differ from this all the same are put right."
    yield f"         {_COMPARED[found['compared_with']]}"


def _refusals(found: Preview) -> Iterator[str]:
    """By gate; one that said nothing is named all the same."""
    said = {gate["name"]: gate["detail"] for gate in found["gates"]}
    yield from (f"{name}: {said[name]}" if said.get(name) else name for name in found["refused"])


def _span(place: Place) -> str:
    """The first and the last address."""
    return f"0x{place['start']:X} to 0x{place['start'] + place['length'] - 1:X}"


def _bytes(count: int) -> str:
    return f"{count:,} byte{'s' * (count != 1)} change{'s' * (count == 1)}"
