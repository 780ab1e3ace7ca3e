"""What the ways into an ECU may say, in English: links, services, secrets, and the ports below them."""

from __future__ import annotations

from appliance.contract.problem_texts.words import Words

ERRORS: dict[str, Words] = {
    "PORT_MISSING": Words(
        "this box has no {port}, and this way into the ECU needs it",
        "Choose another access, or use a box that has it.",
    ),
    "ACCESS_UNSUPPORTED": Words(
        "the access {access} is over {protocol}, which this box cannot open",
        "Choose another access of this ECU.",
    ),
    "SECURITY_PLUGIN_BROKEN": Words(
        "the unlock algorithm {name!r} cannot be loaded: {why}",
        "Reinstall the security package, or ask its owner for a version made for this box.",
    ),
    "SECURITY_PLUGIN_MISSING": Words(
        "the unlock algorithm {name!r} is not installed on this box",
        "Install the security package that its owner supplied, then start the job again.",
    ),
    "SECRET_MISSING": Words(
        "the owner's {secret!r}, without which this ECU is not opened, is not on this box",
        "Put it there: `pitbox secrets put {secret} FILE`.",
    ),
    "ISOTP_KERNEL_OLD": Words(
        "the ISO-TP sockets of kernel {kernel} do not tell when a payload is out",
        "Update the system: Linux 6.6 or later, or at least 6.1.64 or 5.15.140.",
    ),
    "ISOTP_KERNEL_MISSING": Words(
        "this kernel has no ISO-TP sockets ({technical_text})",
        "Load the module with `modprobe can-isotp`.",
    ),
    "CAN_FD_MISSING": Words(
        "this ECU speaks CAN FD, and {interface} cannot",
        "Use a CAN interface that has CAN FD.",
    ),
    "HARDWARE_MISSING": Words(
        "the hardware cannot be opened: {technical_text}",
        "Check the HAT, its overlay and the interface name; `ip link` and `i2cdetect` help. For a simulated "
        "car start the engine with --simulate.",
    ),
    "CAN_RATE_FIXED": Words(
        "this way into the ECU changes the bit rate of the bus in its middle, and the CAN interface of this "
        "box keeps its {bitrate_bps} bit/s while it is open",
        "Choose another access of this ECU, or a box whose interface changes its rate while it is open. "
        "Nothing was erased.",
    ),
    "SECRET_WRONG.loader": Words(
        "the owner's {secret!r} {why}",
        "Supply the one for this ECU: `pitbox secrets put {secret} FILE`. Nothing was sent.",
    ),
    "QUESTION_DECLINED.link": Words(
        "{person_text} answered {answer} to: {author_text}",
        "Start again as soon as it can be done.",
    ),
    "QUESTION_UNANSWERED.link": Words(
        "nobody answered within {deadline_s:g} s: {author_text}",
        "Start again, and answer the question this time.",
    ),
    "ECU_CHANGED.link": Words(
        "after the link was opened again, {request} is answered otherwise than before",
        "Connect the job's own ECU, and no other, then repeat the command.",
    ),
    "PORT_MISSING.option": Words(
        "this box has no {port}, and this way into the ECU needs it",
        "Choose another access, or use a box that has it, or name it in {option} when the engine is started.",
    ),
    "SECRET_MISSING.of_definition": Words(
        "the owner's {secret!r}, without which this ECU is not opened, is not on this box",
        "Put it there: `pitbox secrets put {secret} FILE --definition {definition}`.",
    ),
    "FAULTS_INVALID": Words(
        "{why}",
        "Correct the JSON given with --faults.",
    ),
    "CAN_BIT_RATE": Words(
        "{technical_text}",
        "As root: `{command}`. Or give the engine the capability CAP_NET_ADMIN.",
    ),
    "LAYOUT_UNLIKE": Words(
        "the memory of this ECU is not that of the definition: {why}",
        "Nothing was erased. This ECU has another flash part than its definition is made for: leave it, and "
        "look for a definition of its own.",
    ),
}

PHRASES: dict[str, str] = {
    "ecu.two_at_one_id": "more than one ECU answers on identifier 0x{rx_id:X}: {why}",
    "ecu.answers_unasked_on": "the ECU goes on answering what it was not asked",
    "ecu.more_answers": "more answers than requests came to {service}",
    "ecu.silent_after_reset": "the ECU does not answer after the reset",
    "ecu.bootloader_after_reset": "the ECU stays in its bootloader after the reset",
    "ecu.answers_apart_reading": "answers ran apart from their requests while memory was read",
    "ecu.answers_apart_upload": "answers ran apart from their requests during an upload",
    "ecu.block_too_long": "a block of {bytes} bytes came where {left} were left",
    "ecu.block_in_between": "a block of {bytes} bytes came between blocks of {share}",
    "ecu.out_of_reach": "{place} is out of reach over this connection",
    "ecu.answers_as_neither": "the ECU answers neither as its application nor as its bootloader",
    "ecu.silent_at_rate": "the ECU does not answer at {to_bps} bit/s, to which it was to change",
    "ecu.still_busy": "the ECU was still busy when asked {times} times: {request}",
    "ecu.ended_with": "{request} ended with {told} instead of {wanted}",
    "ecu.answer_lost": "the answer to {service} was lost, and then: {why}",
    "ecu.conditions_named": "the ECU names conditions that are not met: {unmet}",
    "ecu.answer_misfit": "{service} was answered by {answer}, which cannot be: {technical_text}",
    "ecu.answers_nobody_asked": "the ECU goes on sending answers that nobody asked for",
    "ecu.no_answer": "no answer to {service} within {within_ms:.0f} ms",
    "ecu.no_tester_present": "no answer to TesterPresent",
    "ecu.no_answer_to": "no answer to {what} within {within_ms:.0f} ms",
    "ecu.silent_after_write": "the ECU does not answer after the write",
    "kline.nothing_answers": "nothing on the K-line answers",
    "ecu.stays_in_bootloader": "the ECU stays in its bootloader",
    "kline.not_silent": "the K-line does not fall silent",
    "kline.no_answer_began": "no answer began in time",
    "kline.broken_message": "{message}: {technical_text}",
    "kline.routine_lost": "the answer to routine {routine:02X} was lost",
    "kline.routine_ended": "routine {routine:02X} ended with {result:02X}",
    "ecu.needs_loader": "its memory needs a loader that is not there",
    "ecu.bytes_too_many": "{bytes} bytes came where fewer are left of {place}",
    "kline.speaks_other": "the ECU speaks {keys}, not {spoken}",
    "kline.confirmed_other": "the ECU confirmed {answered:02X} instead of the address {address:02X}",
    "kline.application_runs": "the application runs, and refuses to be woken (7F 00 13)",
    "kline.wake_answered": "81 was answered by {answer}",
    "kline.no_synch": "the ECU answered the wake-up address by no synch byte",
    "ecu.refused": "{service} refused: {name} (7F {sid:02X} {code:02X})",
    "kline.refused_wake": "the ECU refused to be woken: {why}",
    "kline.no_such_headers": "the ECU does not take headers of this form, say its key bytes {keys}",
    "kline.obstacles": "the ECU says: {obstacles}",
    "ecu.seed_length": "a seed of {bytes} bytes instead of {wanted_bytes}",
    "key.not_made": "no key for the seed {seed}: {technical_text}",
    "key.strange": "the unlock algorithm {name!r} gave {technical_text} for a key",
    "ecu.erase_answer_lost": "the answer to the erase routine was lost, and the ECU does not tell its "
    "result: {why}",
    "ecu.erase_failed": "erase failed with status {record}",
    "ecu.check_failed": "the check of programming dependencies failed with status {record}",
    "ecu.segments_spoil": "their segmented answers spoil each other",
    "ecu.several_answers": "{answers} answers to one request",
    "ecu.other_crc": "the ECU answers 37 with {told}, which is not the CRC of what was sent",
    "loader.not_started": "the loader was not started: {told} instead of {wanted}",
    "loader.placed_elsewhere": "goes to 0x{address:X} and starts at 0x{entry:X}, and the definition says "
    "0x{wanted_address:X} and 0x{wanted_entry:X}",
    "kline.no_first_key_byte": "the first key byte did not come",
    "kline.no_second_key_byte": "the second key byte did not come",
    "kline.not_confirmed": "the ECU did not confirm its address",
    "kline.no_answer_to_wake": "no ECU answered the wake-up address",
    "key.failed": "the unlock algorithm {name!r} failed on the seed {seed}: {technical_text}",
    "plugin.looked_for": "looked for an entry point {name!r} in the group {group!r}",
    "plugin.entry_point": "entry point {entry_point}",
    "plugin.no_function": "it is not a function",
    "advice.secret_is": "It is {author_text}",
    "port.can": "CAN bus",
    "port.kline": "K-line",
    "port.uart": "UART",
    "port.ethernet": "Ethernet port",
    "port.tap": "test access port",
    "port.pins": "pins",
    "port.some_pins": "pin {pins}",
    "port.supply": "bench supply",
    "port.person": "person to ask",
    "port.ammeter": "ammeter of the bench supply",
    "port.link": "link that can be left",
    "faults.no_plan": "the fault plan does not fit its schema",
    "faults.no_such_ecu": "the car has no ECU {ecus}",
    "layout.there": "0x{address:06X} is there",
    "layout.not_there": "0x{address:06X} is not there",
    "layout.mirrored": "what stands at 0x{address:06X} stands at 0x{again:06X} again",
}
