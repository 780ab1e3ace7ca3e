"""What the heart may say, in English: gates, writes, the journal, and how a controller is brought in."""

from __future__ import annotations

from appliance.contract.problem_texts.words import Words

ERRORS: dict[str, Words] = {
    "PINS_FAILED": Words(
        "{technical_text}",
        "Check the box's pins, supply and voltmeter, then start again.",
    ),
    "SUPPLY_FAILED": Words(
        "{technical_text}",
        "Check the box's pins, supply and voltmeter, then start again.",
    ),
    "IGNITION_STUCK": Words(
        "{amps:.2f} A measured with {step}, and the ignition is off",
        "The ignition line or its wire is stuck at the supply, or a wire is in the wrong place: take the "
        "ECU off the bench, then check the switch of the ignition and the wiring.",
    ),
    "SUPPLY_TRIPPED": Words(
        "the supply's current limit has switched it off",
        "A wire is shorted, or supply and ground are swapped: check the wiring from ground on before it is "
        "switched on again.",
    ),
    "SUPPLY_STAYS_ON": Words(
        "the supply is switched off, and {measured} is still at its output",
        "Take the controller off the bench by hand, then check the supply's switch.",
    ),
    "POLARITY_WRONG": Words(
        "{measured}: supply and ground are the wrong way round",
        "Nothing was switched on. Exchange the wires of supply and ground, then start again.",
    ),
    "SUPPLY_OUT_OF_WINDOW": Words(
        "{volts:.1f} V measured with {step}",
        "Check the supply's setting and its current limit.",
    ),
    "CURRENT_TOO_HIGH": Words(
        "{amps:.2f} A measured with {step}",
        "A wire is in the wrong place, or the ECU is damaged: check the wiring before it is switched on "
        "again.",
    ),
    "GROUND_MISSING": Words(
        "{measured}: no current finds its way from supply to ground",
        "The ground wire or the supply wire is open or in the wrong place. Nothing was switched on: an ECU "
        "without ground would be powered through its other pins. Check ground first.",
    ),
    "SUPPLY_SHORTED": Words(
        "{measured}: the supply wire is shorted to ground",
        "Nothing was switched on. Look for the wire that touches another, then start again.",
    ),
    "QUESTION_DECLINED": Words(
        "{person_text} answered {answer!r}: {step}",
        "Start again when it can be done; nothing is lost.",
    ),
    "PIN_NOT_FOLLOWING": Words(
        "{pin} is driven {level} and does not follow",
        "Its wire is shorted, or something else drives it: check it before anything is switched on again.",
    ),
    "QUESTION_UNANSWERED": Words(
        "nobody answered within {longest_s:g} s: {step}",
        "Start again when somebody is at the box to answer; nothing is lost.",
    ),
    "ENTRY_STUCK": Words(
        "a step did not end in time: {step}",
        "Take the controller off the bench, and check the box's supply, pins and voltmeter.",
    ),
    "PIN_LEVEL": Words(
        "{pin} does not read {level}",
        "Its wire is open, shorted or in the wrong place: check it against the wiring picture, then start "
        "again.",
    ),
    "ECU_DRAWS_NOTHING": Words(
        "{amps:.2f} A measured with {step}",
        "The ECU does not take its supply: check the wires of supply, ignition and ground for one that is "
        "open or in the wrong place, then the ECU's supply pins.",
    ),
    "IGNITION_DRAWS_NOTHING": Words(
        "{amps:.2f} A measured with {step}",
        "The ECU does not take its supply: check the wires of supply, ignition and ground for one that is "
        "open or in the wrong place, then the ECU's supply pins.",
    ),
    "JOB_EXISTS": Words(
        "there is a job {job} already",
        "List the jobs with `pitbox jobs`.",
    ),
    "JOB_STATE": Words(
        "job {job} is {old} and cannot become {new}",
        "Look at the job with `pitbox jobs`.",
    ),
    "WRITE_OPEN": Words(
        "the write of job {other} is not finished",
        "Finish it first: `pitbox recover --job {other}`; or, if another car has to come first: `pitbox "
        "set-aside --job {other} --by NAME --reason TEXT`.",
    ),
    "JOB_UNKNOWN": Words(
        "there is no job {job}",
        "List the jobs with `pitbox jobs`.",
    ),
    "DEFINITION_CHECKSUM": Words(
        "definition {definition}: {technical_text}",
        "Correct the module or the parameters of its [[checksums]] in the definition.",
    ),
    "BENCH_SUPPLY_LOST": Words(
        "the box's own supply was outside the window for {seconds:.0f} s",
        "The box switches it off. Check its current limit and the wires, from ground on, then `pitbox "
        "recover`: the ECU is brought in again.",
    ),
    "PROPOSAL_DAMAGED": Words(
        "the record of proposal {proposal} was changed on the disk: it is never started",
        "Nothing was started. Propose it again.",
    ),
    "PARAMETERS_INVALID.web_consents": Words(
        "the web does not consent to what it proposes",
        "Leave `web` out of `needs`.",
    ),
    "PROPOSAL_UNKNOWN": Words(
        "there is no proposal {proposal}",
        "List them with `pitbox proposals`.",
    ),
    "PROPOSAL_NOT_READY": Words(
        "consents are missing: {missing}",
        "`pitbox consent {proposal}` gives one.",
    ),
    "PROPOSAL_READY": Words(
        "every consent is in already",
        "`pitbox consent {proposal} --start` starts it.",
    ),
    "PROPOSALS_FULL": Words(
        "{most} proposals wait for consents already",
        "Consent to one of `pitbox proposals`, or withdraw one.",
    ),
    "CONSENT_TO_ANOTHER": Words(
        "the consent is to something else than what is proposed",
        "Nothing was started. Look at `pitbox proposals` again, and consent to that.",
    ),
    "WITHDRAWAL_REFUSED": Words(
        "this user has neither proposed it nor consented to it",
        "Its proposer or an operator can withdraw it.",
    ),
    "WRITE_SET_ASIDE": Words(
        "the write of job {job} was set aside by {person_text}, and this may be its ECU",
        "Finish that one: `pitbox recover --job {job}`.",
    ),
    "TARGET_CHANGED": Words(
        "the file to be written is not the one this write was planned with",
        "Nothing was sent to the ECU just now. Recover with the original: `pitbox recover --original`.",
    ),
    "GATES_REFUSED": Words(
        "{count} safety gates did not pass: {gates}",
        "Nothing was written. Mend every point below, then start again.",
    ),
    "GATES_REFUSED.one": Words(
        "{count} safety gate did not pass: {gates}",
        "Nothing was written. Mend every point below, then start again.",
    ),
    "READ_UNSTABLE": Words(
        "{reads} reads of {place} never agreed twice",
        "Check connector, ground and supply, stop other testers on the bus, then read again: chunks already "
        "agreed are kept.",
    ),
    "WRITE_INTERRUPTED": Words(
        "the write stopped: {why}",
        "Leave the ignition on, do not start the engine, then `pitbox recover --job {job}`. {author_text}",
    ),
    "ERASE_BOUND": Words(
        "the write stopped: {where} erased {erases} times in this write, and that is as often as the "
        "definition allows: find what stands in the way first, flash wears out",
        "Leave the ignition on, do not start the engine, then `pitbox recover --job {job} --more-erases`. "
        "{author_text}",
    ),
    "NEEDS_BENCH": Words(
        "the ECU no longer answers on this connection, and its definition says it will not",
        "{author_text}",
    ),
    "NEEDS_BENCH.stuck": Words(
        "the ECU does not let its write be finished on this connection, time and again: {why}",
        "{author_text}",
    ),
    "VERIFY_FAILED": Words(
        "{blocks} blocks differ from the expected memory",
        "Do not start the engine. `pitbox jobs` shows how the job stands.",
    ),
    "VERIFY_FAILED.one": Words(
        "{blocks} block differs from the expected memory",
        "Do not start the engine. `pitbox jobs` shows how the job stands.",
    ),
    "FILE_DIFFERS": Words(
        "{blocks} blocks of the ECU differ from the stored file {file}",
        "This is no fault if the ECU was meant to hold something else: `pitbox verify` without --file "
        "compares it with what it should hold.",
    ),
    "FILE_DIFFERS.one": Words(
        "{blocks} block of the ECU differs from the stored file {file}",
        "This is no fault if the ECU was meant to hold something else: `pitbox verify` without --file "
        "compares it with what it should hold.",
    ),
    "ECU_CHANGED": Words(
        "another ECU is connected than the one this job is for",
        "Connect the job's own ECU and repeat the command, or run `pitbox identify` to open a job for this "
        "one.",
    ),
    "CAR_UNCONFIRMED": Words(
        "the ECU tells too little of itself to know whether it is the one this job is for",
        "Look whether the plug sits in the very car of this job. If it does, repeat the command with "
        "`--car` and the VIN read off this car.",
    ),
    "CAR_UNCONFIRMED.by_job": Words(
        "the ECU tells too little of itself to know whether it is the one this job is for",
        "Look whether the plug sits in the very car of this job. If it does, repeat the command with "
        "`--car` and the job's id.",
    ),
    "TARGET_DAMAGED": Words(
        "the sealed bytes of {places} places are damaged, and the ECU is not known to hold them",
        "Bring back the second copy of the box's state directory, then repeat the command.",
    ),
    "TARGET_DAMAGED.other": Words(
        "the sealed bytes of {places} places are damaged, and the ECU is not known to hold them",
        "Bring back the second copy of the box's state directory, or {other}.",
    ),
    "TARGET_DAMAGED.closed": Words(
        "the sealed bytes of {places} places are damaged, and the ECU is not known to hold them",
        "Nothing was erased, and the write is closed. Begin it again, a tuned file with the file.",
    ),
    "SOURCE_LOST": Words(
        "the bytes of {places} places are whole nowhere any more: their sealed copies are damaged, and the "
        "ECU is not known to hold them",
        "Repeating this changes nothing. Where there is a second copy of the box's state directory, or the "
        "folder of --second-store, bring it back, then `pitbox recover --job {job}`. Where its original was "
        "exported, that file goes back by `pitbox recover --job {job} --from FILE`. Where there is none of "
        "these, this ECU is for the bench: what is named below has to come from elsewhere. Once it was "
        "mended or replaced, `pitbox settle --job {job}` ends the warning.",
    ),
    "WAY_BACK_LOST": Words(
        "the sealed original is damaged in {places} places, and the ECU is not known to hold them: what is "
        "erased now could never be put back",
        "Nothing was erased, and the write is closed. Bring back the second copy of the box's state "
        "directory, or read the ECU again (`pitbox read --job {job}`); then begin it anew.",
    ),
    "ECU_REFUSED_CONDITIONS": Words(
        "{problem}",
        "Engine off, ignition on, vehicle standing, doors as the rituals say; try again; if it repeats, "
        "switch the ignition off for 15 s first.",
    ),
    "ECU_REFUSED_CONDITIONS.stays_on": Words(
        "{problem}",
        "Engine off, ignition on, vehicle standing, doors as the rituals say; try again; if it repeats, "
        "only an ECU whose engine has run since it was last written may be without ignition for 15 s: a "
        "half-written one of this kind, whoever left it so, does not come back.",
    ),
    "ECU_REFUSED_VOLTAGE": Words(
        "{problem}",
        "Bring the supply into the window shown, then try again.",
    ),
    "ECU_REFUSED_SECURITY": Words(
        "{problem}",
        "The unlock was refused: the definition or its key plugin does not fit. Stop here.",
    ),
    "ECU_REFUSED_LOCKED_OUT": Words(
        "{problem}",
        "The ECU blocks unlocks for a while: leave the ignition on and wait ten minutes.",
    ),
    "ECU_REFUSED_SEQUENCE": Words(
        "{problem}",
        "Try again; if it repeats, switch the ignition off for 15 s first.",
    ),
    "ECU_REFUSED_SEQUENCE.stays_on": Words(
        "{problem}",
        "Try again; if it repeats, only an ECU whose engine has run since it was last written may be "
        "without ignition for 15 s: a half-written one of this kind, whoever left it so, does not come back.",
    ),
    "ECU_REFUSED_PROGRAMMING": Words(
        "{problem}",
        "Try again with a steady supply; if it repeats, choose the bench.",
    ),
    "ECU_REFUSED_SESSION_LOST": Words(
        "{problem}",
        "Try again; keep other testers off the bus.",
    ),
    "ECU_REFUSED_UNSUPPORTED": Words(
        "{problem}",
        "The definition does not fit this ECU: identify it again.",
    ),
    "ECU_REFUSED_AUTHENTICATION": Words(
        "{problem}",
        "A security gateway or certificate protects this ECU: use the maker's authorised access, or the "
        "bench.",
    ),
    "ECU_REFUSED_BUSY": Words(
        "{problem}",
        "The ECU is busy with something else: wait a minute, then try again.",
    ),
    "LINK_LOST": Words(
        "{problem}",
        "Check the plug and the interface, then try again.",
    ),
    "LINE_NO_ECHO": Words(
        "{problem}",
        "The adapter does not hear itself: ignition on? Pin 7 (K), 4 and 5 (ground), 16 (battery) in "
        "contact? Then try again.",
    ),
    "LINE_HELD_LOW": Words(
        "{problem}",
        "Take other testers and the radio off the K-line, and look for a short of pins 7 and 15 to ground; "
        "then try again.",
    ),
    "LINE_DISTURBED": Words(
        "{problem}",
        "Take other testers and the radio off the K-line, then try again.",
    ),
    "LINE_ADAPTER_GONE": Words(
        "{problem}",
        "Plug the adapter in again, then try again. Leave the ignition on.",
    ),
    "LINE_RATE": Words(
        "{problem}",
        "Use an adapter that makes this bit rate.",
    ),
    "LINE_OTHER_PROTOCOL": Words(
        "{problem}",
        "Choose a definition that speaks what this ECU speaks; do not force this one.",
    ),
    "ECU_SILENT": Words(
        "{problem}",
        "Ignition on? Plug seated? Other testers off? Then try again.",
    ),
    "ECU_MISBEHAVED": Words(
        "{problem}",
        "Ignition on? Plug seated? Other testers off? Then try again.",
    ),
    "JOURNAL_DAMAGED": Words(
        "the journal {path} cannot be read: {why}",
        "Keep the ECU powered. Start the engine once with --set-journal-aside: the damaged file is kept, an "
        "open write is known from its own record, sealed originals stay usable, and `pitbox recover` takes "
        "the definition by hand.",
    ),
    "JOURNAL_NEWER": Words(
        "{path} was written by a newer version of Pitbox: {why}",
        "Start that version again: this one would not understand what is open in it.",
    ),
    "STORAGE_FAILED": Words(
        "{path} cannot be written: {technical_text}",
        "Free some space or repair the storage; then run the same command again. Nothing already recorded "
        "is lost.",
    ),
    "CONSENT_REFUSED": Words(
        "{why}",
        "It waits for: {missing}.",
    ),
    "PROPOSAL_CLOSED": Words(
        "the proposal is {state}",
        "Look at `pitbox proposals`; what is still wanted is proposed again.",
    ),
    "CAR_UNCONFIRMED.by_file": Words(
        "the ECU tells too little of itself to know whether it is the one this job is for",
        "Look whether the plug sits in the very car of this job. If it does, repeat the command with "
        "`--car` and the original's file id.",
    ),
    "PROPOSAL_CLOSED.why": Words(
        "the proposal is {state}: {why}",
        "Look at `pitbox proposals`; what is still wanted is proposed again.",
    ),
}

PHRASES: dict[str, str] = {
    "car.vin": "VIN {vin}",
    "car.untold": "{definition}, VIN not told",
    "open_write.now": "the ECU of job {job} ({car}) is being written now: `pitbox jobs --watch` shows it",
    "open_write.half_written": "the ECU of job {job} ({car}) is half written: `pitbox recover --job {job}` "
    "finishes it, with `--original` its original goes back",
    "open_write.bench": "the ECU of job {job} ({car}) is half written: it needs the bench, then `pitbox "
    "recover --job {job}` finishes it, with `--original` its original goes back",
    "step.output_on": "{output} on, {window}{current}",
    "step.window": "{min_v:.1f} to {max_v:.1f} V",
    "step.amps_any": "",
    "step.amps_at_least": ", at least {min_a:g} A",
    "step.amps_at_most": ", at most {max_a:g} A",
    "step.amps_between": ", at least {min_a:g} A, at most {max_a:g} A",
    "step.supply_off": "supply off, below {below_v:.1f} V",
    "step.ignition_off": "ignition off",
    "step.ignition_off_below": "ignition off, below {below_a:g} A",
    "step.check_off": "with the supply off below {below_v:.1f} V and {below_a:g} A",
    "step.check_ground": "ground and supply wire closed, {min_v:.1f} to {max_v:.1f} V at the probe",
    "step.set_pin": "{pin} {level}",
    "step.pulse_pin": "{pin} {times} x {level} for {width_ms:g} ms",
    "step.release_pin": "{pin} released",
    "step.check_pin": "{pin} reads {level}",
    "step.wait": "wait {seconds:g} s",
    "step.ask": "ask {question}: {author_text}",
    "step.connect_wires": "ask for each wire",
    "step.probed": "{volts:.1f} V at the probe",
    "step.measured": "{volts:.1f} V, {amps:.2f} A",
    "step.answered": "{person_text} answered {answer}",
    "step.wire_known": "confirmed before in this job, and measured well since",
    "lines.still_on": "{output} is not switched off: {technical_text}",
    "lines.not_released": "{pin} is not released: {technical_text}",
    "entry.inside": "it was left under power, in its session",
    "entry.entered": "{steps} steps done",
    "entry.step": "step {number} of {of}: {step}",
    "entry.failed": "{code}: {problem}",
    "entry.supply_stays": "whether the ECU may lose its supply is not known ({problem}), so it is left on",
    "entry.ending_failed": "{step}: {problem}",
    "entry.supply_off": "pins released, supply off",
    "entry.supply_on": "pins released, supply left on",
    "entry.supply_kept": "pins released, supply left on: the ECU would not come back without it",
    "entry.unsafe": "{problems}",
    "entry.cut": "the box stopped in it, behind: {behind}; its lines are let go at its start",
    "entry.kept_off": "the box stopped with the supply left on; it is switched off at this start",
    "entry.kept_on": "the box stopped with the supply left on, and it may still be on: {problems}",
    "lines.no_supply": "this start of the box has no bench supply to switch: {technical_text}",
    "advice.of_author": "{author_text}",
    "gate.refused": "{gate}: {verdict}: {findings}",
    "erased.blocks": "blocks were",
    "erased.block": "{block} was",
    "advice.over_access": "It is finished there with `pitbox recover --job {job} --access {access}`.",
    "advice.or_over_access": "Or with `pitbox recover --job {job} --access {access}`.",
    "advice.runs": "The ECU runs, and is not as it was: do not start the engine.",
    "advice.written_by_other": "Nothing was erased. Something else has written this ECU since it was read: "
    "`pitbox identify`, then `pitbox read` take what it holds now as the original of a new job.",
    "other.finish_tuned": "finish the tuned file instead (`pitbox recover`)",
    "other.put_original_back": "put the original back instead (`pitbox recover --original`)",
    "ecu.bad_block": "the ECU calls {block} bad right after programming it",
    "ecu.short_read": "{bytes} bytes came from {place} where {wanted_bytes} were asked for",
    "ecu.silent": "the ECU does not answer",
    "memory.not_as_read": "{block} does not hold what was read from the job's ECU",
    "memory.not_as_left": "{block} is not as this write left it",
    "identity.differs": "{field} is {now}, the job is for {known}",
    "identity.told": "{field} {value}",
    "identity.untold": "{field} not told",
    "newer.version": "it has version {version}, this build knows up to {newest}",
    "newer.format": "format {version}, this one knows up to {newest}",
    "journal.log_alone": "the file is gone, its write-ahead log is not",
    "journal.torn": "its end is missing",
    "journal.link": "{file} is a link",
    "journal.no_file": "{file} is not a file",
    "journal.none": "it is not a journal of any version",
    "journal.senseless": "a record makes no sense: {technical_text}",
    "proposal.operation": "{state} as operation {operation}",
    "proposal.state": "{state}",
    "consent.at_the_box": "what was proposed over the web is consented to at the box",
    "consent.by_operator": "a consent of a kind is stated by an operator",
    "consent.names_person": "a consent of a kind names the person who gave it",
    "consent.given_already": "this user has given a consent already",
    "consent.by_another": "it takes another user than this one: {need}",
    "consent.not_wanted": "no consent {need} is wanted",
    "memory.not_as_written": "memory is not what was written: {blocks}",
}
