"""Facts in a technician's words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from appliance.cli.problems import ENGINE_LOG
from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.events_told import QuestionFields
from appliance.contract.gates import GateTold
from appliance.contract.preview import EarlierOriginal
from appliance.contract.results import BlockCounts, Identity, Proof, Verified
from appliance.contract.told import OpenWriteTold

PHASES = {
    "identify": "Identify",
    "read_1": "Read 1/2",
    "read_2": "Read 2/2",
    "preflight": "Checks",
    "compare": "Compare",
    "write": "Write",
    "verify": "Verify",
    "commit": "Commit",
    "dtc": "Fault codes",
    "recover": "Recover",
}
SAFETY = {
    EcuSafety.UNTOUCHED: "Untouched: nothing was written.",
    EcuSafety.INTACT: "Intact: its memory is proven good.",
    EcuSafety.HALF_WRITTEN: "HALF WRITTEN. Keep it powered. Do not start the engine. Nothing is lost.",
    EcuSafety.UNKNOWN: "Not known. Treat it as half written: keep it powered, do not start the engine.",
}
_IDENTITY = (
    ("hw", "Hardware"),
    ("sw", "Software"),
    ("boot", "Boot loader"),
    ("serial", "Serial"),
    ("vin", "VIN"),
    ("chip_id", "Chip"),
    ("calid", "Calibration id"),
    ("cvn", "Calibration number"),
)
RESTING = frozenset({"interrupted", "needs_bench"})
"""States of an open write that nobody is working on."""
_METHODS = {
    "hash": "a hash on the ECU",
    "crc16": "a CRC-16 on the ECU, a weak proof: one wrong content in 65,536 passes",
    "read_back": "reading back",
    "status": "the ECU's status alone: it compared them with nothing of ours",
}
_WEAK = {
    "crc16": "agrees with a CRC-16 on the ECU, which is no strong proof",
    "status": "the ECU calls its memory good; nobody has compared it",
}
_OUTCOMES = {
    "done": "Done: every block is proven in the ECU's memory.",
    "restored": "Restored: the ECU holds its own original again, proven block by block.",
    "needs_bench": "The ECU needs the bench: it is half written, and cannot be finished on this connection.",
    "settled": "Settled on a person's word: the ECU was repaired or replaced elsewhere; nothing was proven.",
    "interrupted": "INTERRUPTED: the ECU is half written. Run `pitbox recover`.",
}


def error_lines(error: PitboxError) -> Iterator[str]:
    """The five answers."""
    yield f"✘ {error.what}"
    yield from (f"    - {detail}" for detail in error.details)
    yield f"  ECU:    {SAFETY[error.ecu]}"
    yield f"  Do now: {error.do_now}"
    yield f"  Code:   {error.code}"
    yield f"  Log:    {error.log or ENGINE_LOG}"


_GATE_MARKS = {"pass": "✔", "not_applicable": "–", "waived": "!", "pending": "·"}


def gate_lines(gates: Sequence[GateTold], *, full: bool = False) -> Iterator[str]:
    """Those that passed in one line unless `full`, every other one in full; unknown is not a pass."""
    passed = [gate["name"].replace("_", " ") for gate in gates if gate["verdict"] == "pass"]
    if passed and not full:
        yield f"  ✔ {len(passed)} of {len(gates)} passed: {', '.join(passed)}"
    rest = [gate for gate in gates if full or gate["verdict"] != "pass"]
    width = max((len(gate["name"]) for gate in rest), default=0)
    for gate in rest:
        mark, verdict = _GATE_MARKS.get(gate["verdict"], "✘"), gate["verdict"].replace("_", " ")
        word = "" if verdict in ("pass", "fail") else f"{verdict}: "
        yield f"  {mark} {gate['name'].replace('_', ' '):<{width}}  {word}{gate['detail']}"


def identity_lines(identity: Identity) -> Iterator[str]:
    """What the ECU told of itself; what it did not tell is left out."""
    found: Mapping[str, object] = {**identity}
    for key, title in _IDENTITY:
        value = found.get(key)
        if value:
            yield f"  {title + ':':<20}{', '.join(value) if isinstance(value, list) else value}"


def outcome_line(result: str, method: str | None = None) -> str:
    """How a job stands, in no stronger words than `method` proves."""
    if method in _WEAK and result in ("done", "restored"):
        return f"{result.capitalize()}: every block is written, and {_WEAK[method]}."
    return _OUTCOMES.get(result, f"Result: {result.replace('_', ' ')}")


def earlier_line(earlier: EarlierOriginal) -> str:
    """That what was read, or went back, is not the ECU's original, and the way to that."""
    way = f"`pitbox restore --job {earlier['job']}` puts back" if earlier["job"] else "`pitbox originals` has"
    return (
        f"⚠ Not the ECU's original: it was read after this box had tuned it. {way} what was read before, "
        f"file {earlier['file']}."
    )


def blocks_line(blocks: BlockCounts) -> str:
    """What was written and what did not need it, which an unfinished write cannot tell."""
    rest = "not finished" if blocks["skipped"] is None else f"{blocks['skipped']} already right"
    return f"{blocks['written']} of {blocks['total']} blocks written, {rest}"


def proof_line(verify: Proof | Verified, unproven: Sequence[str] = ()) -> str:
    """How memory was proven; `unproven` are blocks left alone that could not be compared."""
    method = _METHODS.get(verify["method"], verify["method"])
    word = "accepted" if verify["method"] == "status" else "proven"
    image = f"; image sha256 {verify['sha256'][:16]}…" if verify["sha256"] else ""
    lost = f"; {len(unproven)} blocks left alone could not be compared" if unproven else ""
    return f"{verify['blocks']} blocks {word} by {method}{image}{lost}"


def banner_lines(open_writes: Sequence[OpenWriteTold]) -> Iterator[str]:
    """Every write that is not over, with its car and the way on: above whatever was asked."""
    for one in open_writes:
        car = f"VIN {one['vin']}" if one["vin"] else f"{one['definition']}, VIN not told"
        job = one["job"]
        if one["state"] not in RESTING:
            yield f"⚠ {car} is being written now (job {job}): `pitbox jobs --watch` shows it."
        elif not one["half_written"]:
            yield f"⚠ The write to {car} was interrupted before anything was erased (job {job})."
            yield f"  `pitbox recover --job {job}` finishes it."
        else:
            yield f"⚠ HALF WRITTEN: {car} (job {job}). Keep it powered. Do not start the engine."
            bench = "the bench, then " if one["state"] == "needs_bench" else ""
            yield (
                f"  Way on: {bench}`pitbox recover --job {job}`; or `pitbox recover --job {job} --original` "
                "for its original."
            )
            if one.get("set_aside_by"):
                yield f"  Set aside by {one.get('set_aside_by')}: {one.get('set_aside_reason')}"
            if bench:
                yield (
                    f"  Repaired or replaced elsewhere? `pitbox settle --job {job} --by NAME --reason TEXT` "
                    "ends this warning."
                )


def question_lines(question: QuestionFields) -> Iterator[str]:
    """What a person at the box is asked, and how it is answered from elsewhere."""
    yield f"? {question['text']}"
    choices = " | ".join(question["choices"]) or "TEXT"
    yield f"  `pitbox answer --question {question['id']} {choices}` answers it; it waits {_until(question)}."


def _until(question: QuestionFields) -> str:
    ends = time.localtime(question["asked_at"] + question["deadline_s"])
    return f"until {time.strftime('%H:%M:%S', ends)}"


def codes(found: Sequence[str] | None) -> str:
    """Fault codes in a line."""
    if found is None:
        return "not read"
    return ", ".join(found) or "none"


def share(value: float | None) -> str:
    """0.95 as 95 %; what cannot be a share is not told."""
    return "-" if value is None or not 0 <= value < 1.005 else f"{value:.0%}".replace("%", " %")


def size(count: int) -> str:
    """Bytes in the unit that reads best."""
    if count >= 1 << 20:
        return f"{count / (1 << 20):.2f} MiB"
    return f"{count / 1024:.1f} KiB" if count >= 1024 else f"{count} bytes"


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
