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
}

PHRASES: dict[str, str] = {
    "car.vin": "VIN {vin}",
    "car.untold": "{definition}, VIN not told",
    "open_write.now": "the ECU of job {job} ({car}) is being written now: `pitbox jobs --watch` shows it",
    "open_write.half_written": "the ECU of job {job} ({car}) is half written: `pitbox recover --job {job}` "
    "finishes it, with `--original` its original goes back",
    "open_write.bench": "the ECU of job {job} ({car}) is half written: it needs the bench, then `pitbox "
    "recover --job {job}` finishes it, with `--original` its original goes back",
    "step.output_on": "{output} on, {bounds}",
    "step.window": "{min_v:.1f} to {max_v:.1f} V",
    "step.at_least": "at least {min_a:g} A",
    "step.at_most": "at most {max_a:g} A",
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
    "advice.of_author": "{author_text}",
}
