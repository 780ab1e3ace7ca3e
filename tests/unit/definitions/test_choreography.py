"""An entry choreography is refused when it is loaded, not while a controller is under power."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from appliance.definitions.choreography import Choreography
from appliance.definitions.errors import DefinitionError
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.parsing import pinned_definition
from appliance.definitions.pin_steps import SetPin
from appliance.definitions.refusing import explain

BOOT = """
[[steps]]
verb = "ask"
question = "strap_connected"
text = "Connect the boot strap to pad 7, then confirm."
deadline_s = 300
[[steps]]
verb = "set_pin"
pin = "boot_1"
level = "low"
[[steps]]
verb = "supply_on"
min_v = 11.5
max_v = 14.0
min_a = 0.1
max_a = 0.6
[[steps]]
verb = "ignition_on"
min_v = 11.5
max_v = 14.0
[[steps]]
verb = "pulse_pin"
pin = "reset"
level = "low"
width_ms = 10
[[steps]]
verb = "wait"
seconds = 0.1
[[steps]]
verb = "check_pin"
pin = "boot_2"
level = "high"
[[ending]]
verb = "supply_off"
[[ending]]
verb = "release_pin"
pin = "boot_1"
[[ending]]
verb = "release_pin"
pin = "reset"
"""


def load(text: str) -> Choreography:
    return Choreography.model_validate_json(json.dumps(tomllib.loads(text)))


def problems(text: str) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        load(text)
    return explain(refused.value, Choreography)


def test_a_whole_entry_is_taken_and_says_what_it_needs() -> None:
    entry = load(BOOT)
    assert entry.pins == {"boot_1", "boot_2", "reset"}
    assert entry.switches and entry.asks and not entry.keep_supply
    assert [step.told.text for step in entry.steps] == [
        "ask strap_connected: Connect the boot strap to pad 7, then confirm.",
        "boot_1 low",
        "supply on, 11.5 to 14.0 V, at least 0.1 A, at most 0.6 A",
        "ignition on, 11.5 to 14.0 V",
        "reset 1 x low for 10 ms",
        "wait 0.1 s",
        "boot_2 reads high",
    ]
    assert [step.told.text for step in entry.ending] == [
        "supply off, below 1.0 V",
        "boot_1 released",
        "reset released",
    ]


def test_nothing_is_needed_by_default() -> None:
    entry = Choreography()
    assert not entry.steps and not entry.pins and not entry.switches and not entry.asks


@pytest.mark.parametrize(
    ("old", "new", "told_of"),
    [
        ('pin = "boot_1"\nlevel', 'pin = "bot_1"\nlevel', "steps[1].pin: must be 'boot_1', 'boot_2'"),
        ("deadline_s = 300\n", "", "steps[0].deadline_s: missing"),
        ("deadline_s = 300", "deadline_s = 99999", "steps[0].deadline_s: must be less than or equal to 1800"),
        ("seconds = 0.1", "seconds = 900", "steps[5].seconds: must be less than or equal to 60"),
        ("seconds = 0.1", "second = 0.1", "steps[5].second: unknown key: did you mean seconds?"),
        ('verb = "wait"', 'verb = "loop"', "steps[5]: 'loop' is none of"),
        ('verb = "wait"\n', "", "steps[5]: 'verb' missing"),
        ("max_v = 14.0\nmin_a", "max_v = 9.0\nmin_a", "steps[2]: min_v < max_v does not hold"),
        ("max_a = 0.6", "max_a = 0.05", "steps[2]: min_a < max_a does not hold"),
        (
            'verb = "release_pin"\npin = "reset"',
            'verb = "wait"\nseconds = 1',
            "the ending does not release reset, which the steps drive",
        ),
        (
            'verb = "supply_off"',
            'verb = "ignition_off"',
            "the ending does not switch the supply off (supply_off), and keep_supply is not set",
        ),
        ('verb = "supply_off"', 'verb = "supply_on"', "ending[0]: 'supply_on' is none of"),
        (
            'verb = "release_pin"\npin = "reset"',
            'verb = "release_pin"\npin = "boot_3"',
            "the ending drives or releases boot_3, which no step drives",
        ),
        (
            'verb = "wait"\nseconds = 0.1',
            'verb = "supply_on"\nmin_v = 11\nmax_v = 14',
            "steps[5]: the supply is on already",
        ),
        (
            'verb = "wait"\nseconds = 0.1',
            'verb = "ignition_on"\nmin_v = 11\nmax_v = 14',
            "steps[5]: the ignition is on already",
        ),
        (
            'verb = "set_pin"\npin = "boot_1"\nlevel = "low"',
            'verb = "ignition_on"\nmin_v = 11\nmax_v = 14',
            "steps[1]: the ignition is switched on before the supply",
        ),
        ("deadline_s = 300", 'deadline_s = 300\nchoices = ["yes", "yes"]', "two choices are the same"),
        ("deadline_s = 300", 'deadline_s = 300\ngo_on_with = ["maybe"]', "go_on_with names no choice: maybe"),
        (
            "deadline_s = 300",
            'deadline_s = 300\ngo_on_with = ["done", "stop"]',
            "every choice goes on: one must stop",
        ),
    ],
)
def test_what_cannot_be_done_safely_is_refused_with_its_place(old: str, new: str, told_of: str) -> None:
    assert old in BOOT
    assert any(told_of in line for line in problems(BOOT.replace(old, new, 1))), problems(
        BOOT.replace(old, new, 1)
    )


def test_waits_that_add_up_and_questions_that_add_up_are_refused() -> None:
    wait = '[[steps]]\nverb = "wait"\nseconds = 60\n'
    assert "the steps may wait 180 s in all, and 120 s is the most" in problems(wait * 3)[0]
    asked = "".join(
        f'[[steps]]\nverb = "ask"\nquestion = "number_{n}"\ntext = "?"\ndeadline_s = 1800\n' for n in range(3)
    )
    assert "the questions may take 5400 s in all, and 3600 s is the most" in problems(asked)[0]


def test_a_question_is_asked_once() -> None:
    asked = '[[steps]]\nverb = "ask"\nquestion = "same"\ntext = "?"\ndeadline_s = 10\n'
    assert "question 'same' is asked 2 times" in problems(asked * 2)[0]


def test_keeping_the_supply_is_said_by_the_entry_alone() -> None:
    kept = BOOT.replace('[[ending]]\nverb = "supply_off"\n', "")
    assert load("keep_supply = true\n" + kept).keep_supply
    assert "exclude each other" in problems("keep_supply = true\n" + BOOT)[0]
    assert "keeps nothing" in problems("keep_supply = true\n")[0]


def test_an_ending_that_drives_a_pin_again_is_refused() -> None:
    again = BOOT + '[[ending]]\nverb = "set_pin"\npin = "reset"\nlevel = "low"\n'
    assert "the ending drives reset again after releasing it" in problems(again)[0]
    dark = '[[steps]]\nverb = "wait"\nseconds = 1\n[[ending]]\nverb = "supply_off"\n'
    assert "the ending switches off what no step switches on" in problems(dark)[0]
    assert "an ending without steps ends nothing" in problems('[[ending]]\nverb = "wait"\nseconds = 1\n')[0]


def test_a_pin_may_be_held_through_the_ending() -> None:
    held = BOOT.replace(
        '[[ending]]\nverb = "supply_off"',
        '[[ending]]\nverb = "set_pin"\npin = "reset"\nlevel = "low"\n[[ending]]\nverb = "supply_off"',
    )
    assert isinstance(load(held).ending[0], SetPin)


def pack_with(tmp_path: Path, entry: str) -> Path:
    """A shipped pack whose access has this entry as well."""
    lines = (PACKS / "pbx-x050.toml").read_text("utf-8")
    nested = entry.replace("[[", "[[access.entry.")
    path = tmp_path / "pbx-x050.toml"
    path.write_text(lines.replace("[access.recognition]", f"{nested}\n[access.recognition]", 1), "utf-8")
    return path


def test_an_access_has_its_entry_in_its_file_and_keeps_it_when_it_is_pinned(tmp_path: Path) -> None:
    definition = load_definition(pack_with(tmp_path, BOOT))
    assert definition.accesses[0].entry == load(BOOT)
    assert pinned_definition(definition.canonical()) == definition
    assert not load_definition(PACKS / "pbx-x050.toml").accesses[0].entry.steps


def test_what_is_wrong_with_an_entry_is_told_under_its_key_in_the_file(tmp_path: Path) -> None:
    wrong = BOOT.replace('pin = "boot_1"\nlevel', 'pin = "bot_1"\nlevel', 1)
    with pytest.raises(DefinitionError) as refused:
        load_definition(pack_with(tmp_path, wrong))
    assert "access[0].entry.steps[1].pin: must be 'boot_1'" in refused.value.details[0]
    late = BOOT.replace('[[ending]]\nverb = "release_pin"\npin = "reset"\n', "")
    with pytest.raises(DefinitionError) as refused:
        load_definition(pack_with(tmp_path, late))
    assert "access[0].entry: the ending does not release reset" in refused.value.details[0]


def test_a_stricter_check_of_a_later_build_keeps_no_pinned_entry_from_being_read(tmp_path: Path) -> None:
    definition = load_definition(pack_with(tmp_path, BOOT))
    entry = definition.accesses[0].entry.model_copy(update={"ending": ()})
    access = definition.accesses[0].model_copy(update={"entry": entry})
    lax = definition.model_copy(update={"accesses": (access,)})
    assert pinned_definition(lax.canonical()).accesses[0].entry == entry
