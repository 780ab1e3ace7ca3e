"""What the engine may say, in English: requests, files, operations, and what to do about them."""

from __future__ import annotations

from appliance.contract.problem_texts.words import Words

ERRORS: dict[str, Words] = {
    "VAULT_FILE_MISSING": Words(
        "the file of proposal {proposal} is not in the store",
        "Hand the file in again and propose it anew.",
    ),
    "VAULT_ORIGINAL_DAMAGED": Words(
        "{places} places of the sealed original {file} cannot be used",
        "Bring back a second copy of the box's state directory, then repeat the command.",
    ),
    "VAULT_ORIGINAL_DAMAGED.one": Words(
        "{places} place of the sealed original {file} cannot be used",
        "Bring back a second copy of the box's state directory, then repeat the command.",
    ),
    "SOURCE_DIFFERS": Words(
        "the file differs in {places} places from what was sealed as the original {file}",
        "Nothing was changed. Take the export of this very original: what differs is named below.",
    ),
    "SOURCE_UNFIT": Words(
        "the file of {bytes} bytes is not the original {file}, whose memories have these lengths: {wanted}",
        "Nothing was changed. Take the export of this very original: .bin, Intel HEX or S-record.",
    ),
    "UPLOAD_STALLED.slow": Words(
        "the client sent less than {least_kib} KiB within {window_s:.0f} s",
        "Send the file again, over a better connection: at least that much is wanted at any time.",
    ),
    "UPLOAD_STALLED.long": Words(
        "the client had not sent all of the file after {longest_s:.0f} s",
        "Send the file again, over a faster connection.",
    ),
    "NO_HTTP": Words(
        "what was sent is no HTTP: {technical_text}",
        "Use the command line, or a client that speaks HTTP/1.1.",
    ),
    "SOURCE_UNFIT.package": Words(
        "the file is a package to be written, and no copy of an original",
        "Nothing was changed. Take the original as `pitbox export` writes it: .bin, Intel HEX or S-record.",
    ),
    "OPERATION_UNKNOWN": Words(
        "there is no operation {operation}",
        "Ask for the jobs instead.",
    ),
    "INTERNAL": Words(
        "unexpected {kind}: {technical_text}",
        "Keep the ECU powered. `pitbox jobs` tells whether a write is open; send us the log.",
    ),
    "ENGINE_STOPPING": Words(
        "the engine is stopping",
        "Start the engine again, then try again.",
    ),
    "TOO_LATE_TO_CANCEL": Words(
        "the ECU's memory is being written",
        "Let it finish. Stopping now would leave the ECU half written.",
    ),
    "PARAMETERS_INVALID": Words(
        "replace is no truth value",
        "Give `true` or `false`.",
    ),
    "SLAVE_TAKES_PACKAGES": Words(
        "a slave-role box takes signed packages (*.pitbox), not plain files",
        "Have the master make a package for this job.",
    ),
    "REGION_UNKNOWN": Words(
        "{definition} has no writable region {unknown}",
        "Choose from {writable}.",
    ),
    "DEFINITION_UNREADABLE": Words(
        "this build does not understand the definition that the job was begun with",
        "Run the version of Pitbox that began the job, or a newer one.",
    ),
    "QUESTION_CLOSED": Words(
        "the question is no longer open: {why}",
        "Look at the open questions with `pitbox answer`; start the command that asked it again.",
    ),
    "PARAMETERS_INVALID.answer": Words(
        "the answer does not fit",
        'Send {{"answer": TEXT}}, perhaps with {{"by": NAME}}.',
    ),
    "ANSWER_AT_THE_BOX": Words(
        "only somebody beside the box can answer: {author_text}",
        "Go to the box, look, and answer there with `pitbox answer`; the question stays open.",
    ),
    "ANSWER_INVALID": Words(
        "{given!r} is no answer to: {author_text}",
        "Answer with one of: {choices}.",
    ),
    "QUESTION_UNKNOWN": Words(
        "there is no question {question}",
        "Look at the open questions with `pitbox answer`.",
    ),
    "ACCESS_UNKNOWN": Words(
        "the definition {definition} has no access {wanted}, only {known}",
        "Put the definition's former version back, or identify the ECU again.",
    ),
    "STATE_UNUSABLE": Words(
        "{path} cannot be used: {technical_text}",
        "Check owner, mode and free space of the state directory, and whether its disk is mounted "
        "read-only. Nothing already recorded is lost.",
    ),
    "STATE_IN_USE": Words(
        "another engine works with {state}",
        "Use the running engine, or stop it first. Two engines must not drive one car.",
    ),
    "ECU_UNKNOWN": Words(
        "an ECU answers ({identity}), and no definition fits it",
        "Look for a definition pack that knows it; do not force another one.",
    ),
    "DEFINITION_AMBIGUOUS": Words(
        "an ECU answers ({identity}), and {count} definitions fit it equally well: {fitting}",
        "Name the right one, if you know it: `pitbox identify --definition ID`. Else make the patterns of "
        "one of them more exact, or take it out.",
    ),
    "ECU_NOT_FOUND": Words(
        "nothing answered in any of {ways} known ways",
        "Ignition on, engine off, plug seated, supply above 12 V? Try again, or choose the bench. An ECU "
        "that has to be powered first is named: `pitbox identify --definition ID`, on a bench with "
        "`--access bench`. On a K-line: are K and L (pins 7 and 15) swapped?",
    ),
    "FILE_TOO_LARGE": Words(
        "the file is larger than {most_mib} MiB",
        "Nothing of this kind is that large: choose the right file.",
    ),
    "ENCODING_REFUSED": Words(
        "what was sent is compressed on its way",
        "Send it as it is, without Content-Encoding.",
    ),
    "JSON_INVALID": Words(
        "the body is not a JSON object",
        "Send an object.",
    ),
    "ROLE_REFUSED": Words(
        "this may be asked for by {roles} alone",
        "Ask for it on the box itself, with the command line.",
    ),
    "UPLOAD_STALLED": Words(
        "the client sent nothing for {seconds:.0f} s in the middle of a file",
        "Send the file again.",
    ),
    "BODY_BROKEN": Words(
        "what was sent cannot be taken apart: its pieces are not as HTTP wants them",
        "Send it again, whole or in pieces of stated lengths.",
    ),
    "JSON_INVALID.not_json": Words(
        "the body is not JSON: {technical_text}",
        "Send JSON.",
    ),
    "PARAMETERS_INVALID.wait": Words(
        "wait is not a number",
        "Give seconds.",
    ),
    "CAR_MISNAMED": Words(
        "the car that was named is not that of {job}",
        "Nothing was sent to the ECU. Read the VIN off the car again: is this the right one?",
    ),
    "ORIGINAL_OF_ANOTHER": Words(
        "the stored file {file} is not the original of job {job}",
        "Choose the right one by hand: `pitbox recover --definition ID --file ID`.",
    ),
    "NO_HARDWARE_NAMED": Words(
        "neither a CAN bus, nor a K-line, nor a simulated car was named",
        "Start with --can socketcan:can0 --voltmeter ina226:/dev/i2c-1:0x40, or with --simulate.",
    ),
    "WAIVER_REFUSED": Words(
        "no word sets the gate {gate} aside",
        "Leave it out, and mend what the gate finds.",
    ),
    "PARAMETERS_INVALID.body": Words(
        "what was sent is no {kind}",
        "Correct it: /v1/openapi.json tells its form.",
    ),
    "PARAMETERS_INVALID.after": Words(
        "after is no number",
        "Give the `seq` of the last event you know.",
    ),
    "UPLOAD_BUSY": Words(
        "another file is being handed in",
        "Send this one again in a moment.",
    ),
    "PLAINTEXT_REFUSED": Words(
        "the file is in the clear, and no such file comes through the web",
        "Hand in a package of the file service, or write a plain file with the command line.",
    ),
    "NO_ORIGINAL": Words(
        "job {job} has no stored read",
        "Read the ECU first.",
    ),
    "FILE_OTHER_DEFINITION": Words(
        "the stored file {file} is of {of}, and this job is of {definition}",
        "Choose a stored file of this ECU.",
    ),
    "DTC_UNREADABLE": Words(
        "the ECU did not tell its fault codes",
        "Ignition on? Then try again.",
    ),
    "NOTHING_TO_SET_ASIDE": Words(
        "no write of job {job} stands in another car's way",
        "`pitbox jobs` shows how each job stands; there is nothing to be set aside here.",
    ),
    "FILE_OTHER_DEFINITION.no_original": Words(
        "the stored file {file} is no original of {definition}",
        "Choose an original of this ECU.",
    ),
    "VERB_UNKNOWN": Words(
        "{given!r} is no operation",
        "Use one of {verbs}.",
    ),
    "PARAMETERS_INVALID.operation": Words(
        "the parameters of {name} do not fit",
        "Correct them.",
    ),
    "NOTHING_READABLE": Words(
        "no memory of this ECU can be read over its access {access!r}",
        "Nothing was sent. {author_text}",
    ),
    "REGION_UNKNOWN.readable": Words(
        "{definition} has no readable region {unknown}",
        "Choose from {readable}.",
    ),
    "NOT_WHAT_WAS_CONFIRMED": Words(
        "what would be written is not what was shown and confirmed",
        "Run the command again and look at its summary.",
    ),
    "OPTION_UNUSED": Words(
        "use, regions, checksums and origin are told of a plain file alone, for an ECU that was read",
        "Leave out --use, --regions, --memory, --correct-checksums and --made-from: a package says it all.",
    ),
    "JOB_NOT_IDENTIFIED": Words(
        "job {job} has no ECU yet",
        "Run `pitbox identify`.",
    ),
    "GAVE_WAY": Words(
        "{verb} was cancelled: {other} was asked for and has the ECU to itself",
        "Start it again once that is done; `pitbox jobs --watch` shows how far it is.",
    ),
    "GATES_WOULD_REFUSE": Words(
        "what is proposed would not pass its checks",
        "Nothing was proposed. Remove what the details name, then propose it again.",
    ),
    "ENGINE_RUNS_ALREADY": Words(
        "an engine already listens on {path}",
        "Use the running engine, or stop it first.",
    ),
    "SOCKET_UNUSABLE": Words(
        "the engine cannot listen on {path}: {technical_text}",
        "Choose another --socket: a short path in a directory this user may write to.",
    ),
    "SECRET_WRONG": Words(
        "the owner's {name!r} {why}",
        "Supply the right one, {author_text}: `pitbox secrets put {secret} FILE --definition {definition}`.",
    ),
    "SECRET_NEEDED": Words(
        "the write of job {job} is not over, and may need it",
        "Finish that one: `pitbox recover --job {job}`.",
    ),
    "KEYS_LOST": Words(
        "{state} holds a box's journal and files, and its keys are gone",
        "Restore the key directory from its backup. Keep the ECU powered if a write was open.",
    ),
    "UPLOAD_UNKNOWN": Words(
        "the file was not handed in",
        "Send the file again.",
    ),
    "JOURNAL_WHOLE": Words(
        "the journal {path} is not damaged, so it is not set aside",
        "Start the engine without --set-journal-aside: it is for a damaged journal, once.",
    ),
    "DEFINITION_CHANGED": Words(
        "the definition {definition} is not the one this job was begun with",
        "Put the definition's former version back, or start a new job with a fresh read.",
    ),
    "MEMORY_UNKNOWN": Words(
        "this access reaches no memory {memory}",
        "Choose from {known}.",
    ),
    "FILE_LENGTH": Words(
        "the file has {bytes} bytes; the whole read has {whole_bytes}, single regions have {sizes}",
        "Use the full image, one region of a length of its own, or Intel HEX / S-record. Of several "
        "memories a file of one names it: `--memory`.",
    ),
    "FILE_LENGTH.too_long": Words(
        "the file has {bytes} characters, more than all of {definition} takes",
        "Choose the file of this ECU.",
    ),
    "FILE_LENGTH.no_region": Words(
        "{bytes} of the file's {given_bytes} bytes are not in a complete region of {definition}",
        "Export whole regions, at least one that is written.",
    ),
    "FILE_CHANGES_FIXED": Words(
        "the file also changes {changed}, which this definition never writes",
        "Nothing was written. Make the file from this ECU's own read and change writable regions only.",
    ),
    "FILE_AMBIGUOUS": Words(
        "the file's addresses are those of {one} and of {other}",
        "Name the memory that it is of: `--memory`.",
    ),
    "FILE_FORMAT": Words(
        "the file is not valid Intel HEX or S-record: {technical_text}",
        "Export it again.",
    ),
    "FORMAT_UNKNOWN": Words(
        "{wanted!r} is no export format",
        "Use bin, ihex or srec.",
    ),
    "ENGINE_BUSY": Words(
        "the box is busy with {verb}",
        "Watch it with `pitbox jobs --watch`, or wait until it is done.",
    ),
    "ENGINE_BUSY.of_job": Words(
        "the box is busy with {verb} of job {job}",
        "Watch it with `pitbox jobs --watch`, or wait until it is done.",
    ),
    "CHECKSUM_NOT_CORRECTED": Words(
        "{code}: {problem}",
        "Correct the checksums in the editor that made the file.",
    ),
    "STATE_EXPOSED.owner": Words(
        "{folder} belongs to user {owner}, the engine runs as {own}",
        "See that nobody has put files there, then `chown` it to the engine's user and `chmod 0700 "
        "{folder}`.",
    ),
    "STATE_EXPOSED": Words(
        "others may write to {folder} (mode {mode:04o})",
        "See that nobody has put files there, then `chown` it to the engine's user and `chmod 0700 "
        "{folder}`.",
    ),
    "TWO_ECUS_AT_ONE_ID": Words(
        "{problem}",
        "Unplug one of the two (a bench ECU beside the car's?). Neither was written.",
    ),
    "ECU_NOT_FOUND.open_write": Words(
        "nothing answered in any of {ways} known ways, and the write of job {job} is not finished",
        "If this is that ECU: ignition on, then `pitbox recover --job {job}`.",
    ),
    "ECU_IN_BOOTLOADER.open_write": Words(
        "only the bootloader answers ({identity}): the application is missing or incomplete",
        "Keep it powered, then `pitbox recover --job {job}`.",
    ),
    "ECU_IN_BOOTLOADER": Words(
        "only the bootloader answers ({identity}): the application is missing or incomplete",
        "Keep it powered. If this box read it once, `pitbox recover --definition {definition}` puts the "
        "sealed original back; else the bench.",
    ),
    "DEFINITION_MISMATCH": Words(
        "an ECU answers ({identity}), but {definition} does not fit it",
        "Look for a definition pack that knows it; do not force another one.",
    ),
    "ECU_UNKNOWN.legislated": Words(
        "a car answers by OBD-II ({protocol}, key bytes {key_bytes}; VIN {vin}), and no definition fits it",
        "Look for a definition pack that knows its ECU; do not force another one.",
    ),
    "PEER_REFUSED": Words(
        "this user may not drive the engine",
        "Run the command as the engine's user, or start the engine with --allow-uid.",
    ),
    "ROLE_REFUSED.nobody": Words(
        "this may be asked for by nobody",
        "Ask for it on the box itself, with the command line.",
    ),
    "OPERATION_UNKNOWN.no_id": Words(
        "{given!r} is no id",
        "List the jobs with `pitbox jobs`.",
    ),
    "JOB_UNKNOWN.no_id": Words(
        "{given!r} is no id",
        "List the jobs with `pitbox jobs`.",
    ),
    "SECRET_UNKNOWN.no_id": Words(
        "{given!r} is no id",
        "List the jobs with `pitbox jobs`.",
    ),
    "PROPOSAL_UNKNOWN.no_id": Words(
        "{given!r} is no id",
        "List the jobs with `pitbox jobs`.",
    ),
    "QUESTION_UNKNOWN.no_id": Words(
        "{given!r} is no id",
        "List the jobs with `pitbox jobs`.",
    ),
    "HTTP": Words(
        "the engine has no such request: {technical_text}",
        "Update this client: it asks for something this engine does not offer.",
    ),
    "CAR_MISNAMED.original": Words(
        "the car that was named is not that of the original {file}",
        "Nothing was sent to the ECU. Read the VIN off the car again: is this the right one?",
    ),
    "NO_ORIGINAL.of_definition": Words(
        "0 sealed originals of {definition} are stored",
        "Look on the box that read this ECU.",
    ),
    "ORIGINAL_AMBIGUOUS": Words(
        "{count} sealed originals of {definition} are stored",
        "Name the one of this very ECU: repeat the command with `--file` and its id.",
    ),
    "NOTHING_TO_SETTLE.open": Words(
        "job {job} does not wait for the bench",
        "Its write is open and is finished with `pitbox recover --job {job}`, not by a word.",
    ),
    "NOTHING_TO_SETTLE": Words(
        "job {job} does not wait for the bench",
        "`pitbox jobs` shows how each job stands; there is nothing to be settled here.",
    ),
    "REGION_UNREADABLE": Words(
        "the ECU does not let region {region} be read: {problem}",
        "If this ECU never lets it be read, its definition should say `readable = false` and `writable = "
        "false` there.",
    ),
    "REGION_UNREADABLE.others": Words(
        "the ECU does not let region {region} be read: {problem}",
        "Read the others with `pitbox read --regions {others}`. If this ECU never lets it be read, its "
        "definition should say `readable = false` and `writable = false` there.",
    ),
    "NOTHING_TO_RECOVER": Words(
        "no write was interrupted",
        "To put an original back, use `pitbox restore`.",
    ),
    "NOTHING_TO_RECOVER.of_job": Words(
        "no write was interrupted in job {job}",
        "To put an original back, use `pitbox restore`.",
    ),
    "NOTHING_TO_RECOVER.set_aside": Words(
        "no write was interrupted",
        "A write was set aside: `pitbox recover --job {job}` finishes it.",
    ),
    "SECRET_UNKNOWN": Words(
        "no secret {secret!r} is known",
        "`pitbox secrets list` shows every secret that a definition names.",
    ),
    "SECRET_UNKNOWN.ambiguous": Words(
        "{count} definitions have a secret {secret!r}",
        "Add `--definition` and the right one.",
    ),
    "SECRET_NEEDED.began_with": Words(
        "the write of job {job} is not over, and began with another {secret!r}",
        "Finish that one: `pitbox recover --job {job}`. If the ECU refuses what it was begun with, have "
        "this one take its place: `pitbox secrets put {secret} FILE --definition {definition} --replace`.",
    ),
}

PHRASES: dict[str, str] = {
    "place_problem": "{place}: {problem}",
    "advice.second_copy": "Bring back a second copy of {state}, then repeat the command.",
    "advice.exported_copy": "The ECU holds the tuned file meanwhile. An exported copy of the original goes "
    "back on a master-role box by `pitbox identify`, `pitbox read`, `pitbox write COPY`.",
    "advice.read_again": "The ECU still holds it, as far as this box knows: `pitbox identify`, then `pitbox "
    "read`, make a new job.",
    "advice.else": "Else: {way}",
    "advice.or": "Or: {way}",
    "advice.finish_tuned": "Finish the tuned file instead: `pitbox recover --job {job}` needs nothing of "
    "the original that it replaces.",
    "advice.may_need_bench": "If it stays silent it may be half written, and needs the bench: {author_text}",
    "advice.correct_checksums": "The checksums of a plain file can be put right by the box: repeat the "
    "command with `--correct-checksums`, as in `pitbox write FILE --correct-checksums`.",
    "advice.name_regions": "Bytes may differ only where `--regions` allows it, of {regions} (default: cal.).",
    "identity.not_the_originals": "{field} is not that of the original",
    "memory.outside_differs": "memory that no write touches differs: {places}",
    "memory.as_no_file": "none of {compared} places looked at is as any file of this ECU",
    "advice.write_not_finished": "Its write is not finished: `pitbox recover --job {job}`.",
    "advice.restore_or_take": "Something else has written this ECU. `pitbox restore --job {job}` puts its "
    "original back; if what it holds is right, `pitbox identify` and then `pitbox read` take it as a new "
    "job's original.",
    "misfit": "{place}: {technical_text}",
    "untold": "not told",
    "operation.asked_for": "operation {operation}, asked for by {actor}",
    "question.withdrawn": "what asked it is over",
    "question.answered": "{person_text} has answered it already: {answer}",
    "question.expired": "nobody answered it within {deadline_s:g} s",
    "question.any_text": "a text of up to {most} signs",
    "ecu.numbers": "HW {hw}, SW {sw}",
    "legislated.protocol": "protocol: {protocol}",
    "legislated.key_bytes": "key bytes: {key_bytes}",
    "legislated.vin": "VIN: {vin}",
    "legislated.calibration": "calibration: {calibration}",
    "legislated.pids": "supported PIDs: {pids}",
    "original.known": "{file}: HW {hw}, SW {sw}",
    "original.read_later": "{file}: HW {hw}, SW {sw}; read after a tune, its original is {earlier}",
    "original.differs": "{field}: the file has {stored}, the job {wanted}",
    "region.unreadable": "{region} cannot be read: {author_text}",
    "secret.of": "{definition}: {secret}",
    "secret.length": "has {bytes} bytes, and the definition says {least_bytes} to {most_bytes}",
    "secret.is_vbf": "is a VBF container, and the definition says that the loader comes plain",
    "secret.other_file": "is not the file whose SHA-256 the definition names",
    "gate.found": "{gate}: {findings}",
    "gate.waivable": "{gate} may be waived where it is {verdicts}",
}
