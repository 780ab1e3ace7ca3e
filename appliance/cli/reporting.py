"""A job's report for people."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.cli.words import (
    PHASES,
    blocks_line,
    clock,
    codes,
    earlier_line,
    gate_lines,
    identity_lines,
    outcome_line,
    proof_line,
    share,
    size,
)
from appliance.contract.report import Report


def report_lines(report: Report) -> Iterator[str]:
    """Everything the report holds, in the order of the work."""
    before = report.get("original_before")
    if before and report["result"] == "restored":
        yield "What this job read is in the ECU again."
    else:
        yield outcome_line(report["result"], report["verify"]["method"] if report["verify"] else None)
    if before:
        yield f"  {earlier_line(before)}"
    definition, method, evidence = (one or "-" for one in _on_what(report))
    yield f"  {definition}, method {method}, evidence: {evidence}"
    yield from identity_lines(report["identity"])
    yield from _reads(report)
    if report["gates"]:
        yield "Checks before the first erase:"
        yield from gate_lines(report["gates"], full=True)
    yield from _writing(report)
    yield from _circumstances(report)


def _on_what(report: Report) -> tuple[str | None, str | None, str | None]:
    return report["definition"], report["method"], report["evidence"]


def _reads(report: Report) -> Iterator[str]:
    for number, one in enumerate(report["reads"], 1):
        voted = f", {one['voted_blocks']} pieces settled by vote" if one["voted_blocks"] else ""
        yield f"Read {number}: {size(one['bytes'])} in {clock(one['seconds'])}, sha256 {one['sha256']}{voted}"
    if report["sealed"]:
        yield f"Sealed: {len(report['sealed'])} segments"


def _writing(report: Report) -> Iterator[str]:
    if report["blocks"]:
        yield f"Written: {blocks_line(report['blocks'])}"
    if report["verify"]:
        yield f"Proof: {proof_line(report['verify'], report['verify']['unproven'])}"
    for one in report["interruptions"]:
        phase, resumed = (
            PHASES.get(one["phase"], one["phase"]),
            "taken up again" if one["resumed"] else "OPEN",
        )
        yield f"Interrupted: {phase} at {size(one['at_byte'])}, {resumed}"


def _circumstances(report: Report) -> Iterator[str]:
    for one in report["waived"]:
        yield f"Gate set aside: {one['gate'].replace('_', ' ')} by {one['by']}: {one['reason']}"
    yield from (f"Settled: by {one['by']}: {one['reason']}" for one in report["settled"])
    yield from (f"Set aside: by {one['by']}: {one['reason']}" for one in report["set_aside"])
    dtcs, wire, voltage = report["dtcs"], report["wire"], report["voltage"]
    yield f"Fault codes before: {codes(dtcs['before'])}; after: {codes(dtcs['after'])}"
    if voltage:
        yield f"Supply: {voltage['min_v']:.2f} to {voltage['max_v']:.2f} V"
    efficiency = f"read {share(wire['read_efficiency'])}, write {share(wire['write_efficiency'])}"
    yield f"Wire: {wire['bitrate'] or '-'} bit/s; {efficiency} of what it can carry"
    yield f"Time on the ECU: {clock(report['seconds'])}"
