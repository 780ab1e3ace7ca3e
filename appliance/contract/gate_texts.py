"""What a gate may say, in English: the one place where its words are made, by key and fields."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

Field = str | int | float | tuple[str, ...]
"""A number in the unit its name says, a text as it came from ECU or file, or a list of names."""

TEXTS: dict[str, str] = {
    # --- any gate
    "gate_broken": "the check itself broke off ({error}): a check that was not made is not passed",
    "gate_unasked": "could not be asked: {error}",
    "gate_pending": "not looked at yet",
    "gate_waived": "waived by {by}: {reason}",
    "gate_never_waived": "{by} would waive it, and this check is never waived like that",
    # --- the file and its papers
    "original_needs_nobody": "the ECU's own original needs nobody's permission",
    "papers_of_original": "these papers are for the ECU's own original, and this is another file",
    "signature_problem": "{problem}",
    "signed_by_master": "manifest and grant are signed by the paired master",
    "no_read_stored": "no verified read of this ECU is stored: read it first",
    "original_lacks": "the stored original lacks {regions}",
    "original_sealed": "sealed as {file}",
    "definition_same": "{definition}",
    "definition_other": "the file is for the definition {wanted}, this job is for {own}",
    "method_same": "{method}",
    "method_other": "the file is for {wanted}, this connection is {own}",
    "regions_of_original": "the regions of the original",
    "regions_not_writable": "not writable in this definition: {regions}",
    "no_region_named": "not writable in this definition: no region named",
    "regions_not_of_manifest": "the file's contents are not the regions its manifest names",
    "regions_named": "{regions}",
    "length_of_original": "the length of the original",
    "length_wrong": "{place}: {bytes} bytes, wanted {wanted_bytes}",
    "length_right": "{bytes} bytes",
    "base_is_itself": "it is the read itself",
    "base_no_read": "no read to compare with",
    "base_other": "the file was made from another read than the one stored for this car",
    "base_same": "made from this car's read",
    "base_untold_no_region": "the file does not say what it was made from, and holds no whole region",
    "base_by_content": "the file does not say what it was made from; {share:.1%} of its content is this "
    "car's read",
    "changes_not_comparable": "cannot be compared with the original",
    "changes_undeclared": "{count} changes outside the declared ranges: {places}",
    "changes_declared": "{bytes} bytes differ from the original",
    "as_it_was_read": "the original as it was read",
    "nothing_to_compare": "nothing to compare",
    "not_whole_regions": "the file holds something else than whole regions of the read",
    "implausible_noise": "{region}: {bits:.2f} bits in every new byte, at most {most_bits:g}: not tables",
    "implausible_share": "{region}: {share:.1%} of its content differs from the read, at most "
    "{most_share:.1%}",
    "implausible_vectors": "{region}: the vectors in its first {bytes} bytes differ from the read",
    "implausible_header": "{region}: begins as {kind} does",
    "implausible_family": "{region}: names {family}, which the read does not",
    "implausible_number": "{region}: lacks this ECU's number {number}, which the read holds",
    "plausible": "a tune of this read, as far as can be seen",
    "checksum_no_image": "no complete image to check",
    "checksum_found": "{why}",
    "checksum_by_master": "{why}; the master signed that it is right",
    "consents_for_original": "not needed to put the original back",
    "consents_missing": "missing: {missing}",
    "consents_given": "{use}",
    # --- identity
    "identity_no_application": "the application does not answer: use recover instead",
    "identity_unasked": "the ECU could not be asked: {error}",
    "identity_no_hw": "the ECU does not tell its hardware number",
    "identity_job_without": "the job has no identity: identify first",
    "identity_other": "{field} is {now}, the job was read from {known}",
    "identity_of_file": "the file is for {field} {wanted}, this ECU is {now}",
    "identity_other_vin": "the file is for another VIN",
    "identity_same": "HW {hw}, SW {sw}, VIN {vin}",
    "identity_same_no_vin": "HW {hw}, SW {sw}, VIN not offered",
    "identity_changed": "another ECU answers: {differences}",
    "identity_by_one": "{field} {value}, which is that of the job's ECU alone",
    "identity_memory_other": "memory that the write leaves alone is not this ECU's original: {places}",
    "identity_memory_strange": "memory is neither that of the original nor what this job last wrote: {equal} "
    "of {compared} samples agree",
    "identity_nothing_told": "nothing of this ECU can be told or looked at: use an access that tells more",
    "identity_needs_name": "{equal} of {compared} samples of its memory agree, and it tells no number of its "
    "own: look whether this is the very car, then add --car and {named}",
    "identity_by_person": "{equal} of {compared} samples of its memory agree, of which {written} as this job "
    "last wrote them, {blank} are erased; a person named the car",
    # --- supply
    "supply_unread": "no reading: {error}",
    "supply_window": "{low_v:.2f} to {high_v:.2f} V measured, window {min_v:.1f} to {max_v:.1f} V, target "
    "{target_v:.1f} V",
    "supply_drift": "{v_per_minute:+.1f} V per minute",
    "supply_ripple": "{ripple_v:.2f} V peak to peak, limit {limit_v:.2f} V",
    "supply_pulsing": "{ripple_v:.2f} V peak to peak, limit {limit_v:.2f} V: the charger is pulsing, use a "
    "programming supply",
    # --- link and engine
    "no_bus": "this way into the ECU has no bus that others talk on",
    "bus_load": "{load:.0%} of the wire in use",
    "link_errors": "{errors} errors counted by the controller",
    "engine_speed": "{rpm:.0f} rpm, told by the ECU",
    "engine_stated": "stated by a person; the ECU does not tell",
    "engine_gearbox": "a gearbox is not asked for engine speed",
    "engine_no_program": "over this access no program of the ECU runs that could be asked",
    "engine_unknown": "the ECU does not tell: see that it is off, then add --engine-off",
    # --- the box
    "disk_room": "{free_mib} MiB free, {wanted_mib} MiB wanted",
    "no_sensor": "this machine has no temperature sensor",
    "box_temperature": "{celsius:.0f} °C, limit {limit_celsius:.0f} °C",
    "update_waits": "an update waits",
    "update_none": "none pending",
    "write_open": "job {job} is half written: recover it first",
    "write_aside": "job {job} was set aside half written by {by}, and this may be its ECU: recover it first",
    "write_none": "no write is open",
}


def told(key: str, fields: Mapping[str, Field]) -> str:
    """The English text. Raises ValueError for an unknown key, and for other fields than its text has."""
    if key not in TEXTS:
        raise ValueError(f"no gate says {key!r}")
    named = {name for _, name, _, _ in Formatter().parse(TEXTS[key]) if name}
    if named != set(fields):
        raise ValueError(f"{key} is told with {sorted(named)}, not with {sorted(fields)}")
    return TEXTS[key].format(**{name: _shown(value) for name, value in fields.items()})


def _shown(value: Field) -> str | int | float:
    return value if isinstance(value, str | int | float) else ", ".join(value)
