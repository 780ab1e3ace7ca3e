"""Steps as data: what a file may say, and what is refused with its key and the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.step_kinds import Request
from appliance.definitions.template import Template

Lines = Callable[[Path], list[str]]
P179 = (PACKS / "pbx-p179.toml").read_text("utf-8")
VB60 = (PACKS / "pbx-vb60.toml").read_text("utf-8")
Q250 = (PACKS / "pbx-q250.toml").read_text("utf-8")
V381 = (PACKS / "pbx-v381.toml").read_text("utf-8")
OPEN = '  { verb = "session", number = 0x03 },\n'
ASKING = (
    '  { verb = "ask", question = "key", text = "Off and on.", deadline_s = 60, '
    'choices = ["done", "stop"], go_on_with = ["done"] },\n'
)
FETCH = '{ verb = "fetch", send = "23 {start:3} {size:1}" }'
UPLOAD = '{ verb = "upload", open = "35 {start:3} 00 {size:3}" }'
LAST = '  { verb = "unlock" },'
RATE = '{ verb = "rate", to_bps = 1_000_000 },'
ERASE = 'send = "31 01 FF 00 {block_id} F0 5A", good = "02", busy = "01", every_ms = 200, most = 300'


@pytest.mark.parametrize("name", ["pbx-p179", "pbx-vb60", "pbx-q250"])
def test_steps_are_filled_in_as_the_vectors_say(name: str) -> None:
    vectors: dict[str, Any] = json.loads((PACKS / "vectors" / f"{name}.json").read_text("utf-8"))
    steps = uds_access(load_definition(PACKS / f"{name}.toml")).steps
    block = vectors["first_writable_block"]
    size = block["size_bytes"]
    values = {"start": block["start"], "size": size, "block_id": block["block_id"], "wire_size": size}
    assert steps.download
    sent = {"program": Template.of(steps.download.open).filled(values).hex().upper()}
    for key in ("erase", "prove", "commit"):
        for step in steps.named.get(key, ()):
            assert isinstance(step, Request)
            sent[key] = step.template.filled(values).hex().upper()
    assert sent == vectors["steps"]


def test_every_step_is_told_in_words() -> None:
    steps = uds_access(load_definition(PACKS / "pbx-vb60.toml")).steps
    told = list(steps.in_words())
    assert "open: unless 22D0F0 is answered: upload the owner's sbl to 0x40000000" in "\n".join(told)
    assert "erase: send 31 01 FF 00 {start:4} {size:4}, expect 00" in told
    assert len(told) == sum(len(steps) for steps in steps.named.values())


@pytest.mark.parametrize(
    ("pack", "old", "new", "line"),
    [
        (
            P179,
            "{block_id} F0 5A",
            "{blok} F0 5A",
            "erase[0]: there is no field {blok} here",
        ),
        (P179, "{block_id} F0 5A", "81 F0 5A", "erase: names no block: {block_id}, or {start} and {size}"),
        (P179, "31 01 FF 00 {block_id} F0", "{block_id} F0", "erase[0]: send begins with a field"),
        (P179, '"31 01 FF 00 {block_id}', '"31 01 {block_id} FF', "erase[0]: a routine is told in full"),
        (P179, ", most = 300", "", "erase[0]: busy and most go together"),
        (P179, "every_ms = 200, most = 300", "every_ms = 10000, most = 300", "erase: may wait 2990 s in all"),
        (
            P179,
            'busy = "01", every_ms = 200, most = 300',
            'busy = "02", most = 3',
            "erase[0]: busy and good",
        ),
        (P179, ERASE, ERASE + ", may_fail = true", "erase: may_fail would turn a refusal into success"),
        (P179, "31 03 FF 04", "31 01 FF 00", "commit[0]: erases; only the list 'erase' may"),
        (P179, "31 01 FF 00 {block_id} F0 5A", "31 01 A0 00 {block_id}", None),
        (P179, "31 03 FF 04", "34 00 44", "commit[0]: service 0x34 has a verb of its own: download"),
        (P179, "31 03 FF 04", "3D 11 00", "commit[0]: service 0x3D is none that a step may ask for"),
        (VB60, 'start = "31 01 03 01', 'start = "31 01 FF 00', "open[4]: erases; only the list 'erase' may"),
        (VB60, 'probe = "22D0F0"', 'probe = "1101"', "open[4]: probe reads (22) or asks for presence"),
        (VB60, 'send = "1082"', 'send = "1182"', "open[0]: send is 10, 28, 3E or 85 with the bit"),
        (VB60, '{ verb = "unlock" }', '{ verb = "download", open = "34" }', "'download' is none of"),
        (
            Q250,
            "quiet = true },\n]\nprogram",
            'passes = "22" },\n]\nprogram',
            "erase: passes would turn a refusal",
        ),
        (Q250, "31 03 FF 00", "31 01 FF 00", "erase[0]: poll asks for a result (31 03"),
        (Q250, "31 03 FF 00", "31 03 {size}", "erase[0]: poll asks for a result (31 03"),
        (Q250, ', busy = "01", every_ms = 100, most = 300', "", "erase[0]: poll belongs to busy"),
        (Q250, "23 {start:3} {size:1}", "23 {start:3}", "read[0]: names no piece"),
        (Q250, "23 {start:3} {size:1}", "22 {start:3} {size:1}", "read[0]: send is a request to read memory"),
        (
            Q250,
            "23 {start:3} {size:1}",
            "23 {block_id} {size:1}",
            "read[0]: there is no field {block_id} here",
        ),
        (Q250, 'verb = "fetch"', 'verb = "download"', "'download' is none of"),
        (Q250, 'send = "1A9A"', 'send = "119A"', "identify[1]: send is 22 with an identifier"),
        (Q250, 'tells = "sw"', 'tells = "hw"', "identify: tells 'hw' 2 times"),
        (
            Q250,
            '"31 01 FF 01"',
            '"82"',
            "commit[0]: ends the communication, which the list 'close' alone may",
        ),
        (Q250, 'send = "82"', 'send = "31 01 FF 00"', "close[0]: erases; only the list 'erase' may"),
        (Q250, 'same = "1A8C"', 'same = "1101"', "open[3]: same is 22 with an identifier"),
        (Q250, "wait_s = 0.5", "wait_s = 61", "must be less than or equal to 60"),
        (Q250, OPEN, ASKING + OPEN, None),
        (Q250, OPEN, ASKING.replace("stop", "done") + OPEN, "open[0]: two choices are the same"),
        (
            Q250,
            OPEN,
            ASKING.replace('"done"] }', '"done", "stop"] }') + OPEN,
            "open[0]: every choice goes on",
        ),
        (
            Q250,
            OPEN,
            ASKING.replace('"done"] }', '"yes"] }') + OPEN,
            "open[0]: go_on_with names no choice: yes",
        ),
        (Q250, OPEN, ASKING.replace("60", "601") + OPEN, "must be less than or equal to 600"),
        (Q250, OPEN, ASKING.replace("60", "600") + OPEN, "open: may wait 606 s in all"),
        (VB60, "seconds = 1.1", "seconds = 100", "must be less than or equal to 60"),
        (Q250, FETCH, UPLOAD, None),
        (Q250, FETCH, UPLOAD.replace('"35 ', '"34 '), "read[0]: open is a request for an upload"),
        (Q250, FETCH, UPLOAD.replace("{size:3}", "00"), "read[0]: names no span"),
        (
            Q250,
            FETCH,
            UPLOAD.replace("{start:3}", "{block_id}"),
            "read[0]: there is no field {block_id} here",
        ),
        (Q250, FETCH, f"{FETCH}, {UPLOAD}", "read: has one fetch or one upload, and not more"),
        (Q250, LAST, f"{LAST}\n  {RATE}", None),
        (Q250, LAST, f"{LAST}\n  {RATE.replace('1_000_000', '83_333')}", "open[6]: to_bps has no number"),
        (Q250, LAST, f"{LAST}\n  {RATE.replace('1_000_000', '500_000')}", "to_bps is the rate of the bus"),
        (Q250, LAST, f"{LAST}\n  {RATE}\n  {RATE}", "open: changes the bit rate 2 times"),
        (Q250, OPEN, f"  {RATE}\n{OPEN}", "open[0]: a rate is kept by a session, and none is entered"),
        (Q250, OPEN, f"{OPEN}  {RATE}\n", "open[1]: behind a rate no session is entered and no link left"),
        (
            Q250,
            LAST,
            f'{LAST}\n  {{ verb = "request", send = "87 03" }},',
            "0x87 has a verb of its own",
        ),
    ],
)
def test_a_step_that_is_not_what_steps_are_for_is_refused(
    pack: str, old: str, new: str, line: str | None, tmp_path: Path, lines: Lines
) -> None:
    assert old in pack
    file = tmp_path / "mine.toml"
    file.write_text(pack.replace(old, new, 1), "utf-8")
    if line is None:
        load_definition(file)
        return
    told = lines(file)
    assert [one for one in told if one.startswith("access[0].steps") and line in one], told


def test_an_ecu_that_must_keep_its_session_keeps_its_rate(tmp_path: Path, lines: Lines) -> None:
    file = tmp_path / "mine.toml"
    bench = Q250.replace('recoverability = "bootloader"', 'recoverability = "bench"', 1)
    bench = bench.replace("reset_allowed = true", "reset_allowed = false", 1)
    file.write_text(bench.replace(LAST, f"{LAST}\n  {RATE}", 1), "utf-8")
    assert [one for one in lines(file) if "must not lose it half written" in one]


def test_an_erase_of_ones_own_may_not_hide_in_another_list(tmp_path: Path, lines: Lines) -> None:
    own = P179.replace("31 01 FF 00 {block_id} F0 5A", "31 01 A0 00 {block_id}", 1)
    file = tmp_path / "mine.toml"
    file.write_text(own.replace("31 03 FF 04", "31 01 A0 00", 1), "utf-8")
    assert [one for one in lines(file) if "commit[0]: erases; only the list 'erase' may" in one]


@pytest.mark.parametrize(
    ("pack", "old", "new", "line"),
    [
        (
            P179,
            '[access.erasing]\nby = "steps"',
            '[access.erasing]\nby = "block_id"',
            "steps.erase: is",
        ),
        (
            VB60,
            'commit = [{ verb = "request", send = "31 01 03 04", good = "10" }]',
            'prove = [{ verb = "request", send = "31 01 03 04 {start:4} {size:4}" }]',
            "steps.prove: is given, and checking does not say 'steps'",
        ),
        (V381, 'in_place = ["parameters"]', 'in_place = ["params"]', "erasing.in_place: no writable region"),
        (V381, "data_format = 0xAA\n", "", "writing: data_format 0x00 says that nothing is transformed"),
        (V381, '{ name = "lzss-10-6" },', '{ name = "lzss" },', "writing.transforms[0].name: must be"),
        (V381, ', iv = "payload_iv"', "", "writing.transforms[1]: iv names the secret of 'aes-cbc'"),
    ],
)
def test_tables_and_lists_agree(
    pack: str, old: str, new: str, line: str, tmp_path: Path, lines: Lines
) -> None:
    assert old in pack
    file = tmp_path / "mine.toml"
    file.write_text(pack.replace(old, new, 1), "utf-8")
    told = lines(file)
    assert [one for one in told if one.startswith(f"access[0].{line}")], told


def test_a_secret_that_nobody_names_is_refused(tmp_path: Path, lines: Lines) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(V381.replace('name = "payload_iv"', 'name = "other"', 1), "utf-8")
    assert [one for one in lines(file) if "no [[secrets]] is called 'payload_iv'" in one]


def test_the_erase_of_a_table_may_not_hide_in_a_list_either(tmp_path: Path, lines: Lines) -> None:
    own = V381.replace(
        '[access.erasing]\nby = "block_id"', '[access.erasing]\nroutine = 0xA000\nby = "block_id"', 1
    )
    hidden = '[access.steps]\ncommit = [{ verb = "request", send = "31 01 A0 00 01 02" }]\n\n[access.voltage]'
    file = tmp_path / "mine.toml"
    file.write_text(own.replace("[access.voltage]", hidden, 1), "utf-8")
    told = lines(file)
    assert [one for one in told if one.startswith("access[0].steps: commit[0]: erases; only the list")], told


@pytest.mark.parametrize("bytes_", [("16", "17"), ("15", "15")])
def test_a_key_has_a_length_that_its_cipher_takes(
    bytes_: tuple[str, str], tmp_path: Path, lines: Lines
) -> None:
    least, most = bytes_
    old = "least_bytes = 16\nmost_bytes = 16"
    file = tmp_path / "mine.toml"
    file.write_text(V381.replace(old, f"least_bytes = {least}\nmost_bytes = {most}", 1), "utf-8")
    assert [
        one for one in lines(file) if "'payload_key' has least_bytes = most_bytes = 16 or 24 or 32" in one
    ]


def test_an_invented_secret_is_as_long_as_the_real_one(tmp_path: Path, lines: Lines) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(V381.replace('payload_iv = "0011', 'payload_iv = "00', 1), "utf-8")
    assert [one for one in lines(file) if "'payload_iv' is not as long as the secret may be" in one]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('  { verb = "tell", tells = "sw", send = "1A9A" },\n', "", "access[0].identity.sw: is missing"),
        ("obd_mode_09 = false", "hw = 0xF191", "access[0].identity.hw: is told by steps.identify too"),
        ("block_bytes = 254", "block_bytes = 1024", "access[0].reading.block_bytes: 1024 bytes at once"),
        (
            'method = "steps"',
            'method = "by_address"',
            "access[0].steps.read: is given, and reading does not say",
        ),
        (
            'read = [{ verb = "fetch", send = "23 {start:3} {size:1}" }]\n',
            "",
            "says 'steps', and there is no",
        ),
        ("read_security", "# read_security", "a step unlocks for reading, and sessions.read_security"),
    ],
)
def test_steps_and_tables_that_contradict_each_other_are_refused(
    old: str, new: str, line: str, tmp_path: Path, lines: Lines
) -> None:
    assert old in Q250
    file = tmp_path / "mine.toml"
    file.write_text(Q250.replace(old, new, 1), "utf-8")
    told = lines(file)
    assert [one for one in told if line in one], told
