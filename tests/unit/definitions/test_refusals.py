"""Every problem of a file is named at once: the file, the key's path and the reason."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.definitions.errors import DefinitionError
from appliance.definitions.loader import MAX_FILE_BYTES, load_definition
from appliance.definitions.memory import EXCLUDED_TAGS
from simulator.car import Car
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual

Refusal = Callable[[str, str], list[str]]
Lines = Callable[[Path], list[str]]

HOLDS = "min_v < target_v < max_v does not hold"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("min_v = 12.5", "min = 12.5", "voltage.min: unit missing: did you mean min_v?"),
        (
            "bitrate_bps = 500_000",
            "bitrate = 500_000",
            "bus.bitrate: unit missing: did you mean bitrate_bps?",
        ),
        (
            "[identity]",
            "[timing]\npending_ceiling = 3\n[identity]",
            "timing.pending_ceiling: unit missing: did you mean pending_ceiling_s?",
        ),
        (
            "{ size_bytes = 0x8000, count = 16 }",
            "{ size = 0x8000, count = 16 }",
            "regions[2].sectors[0].size: unit missing: did you mean size_bytes?",
        ),
        (
            'level = 0x01, algorithm = "toy-xor"',
            'level = 0x01, algoritm = "toy-xor"',
            "sessions.read_security.algoritm: unknown key: did you mean algorithm?",
        ),
        (
            "[recovery]\n",
            "[recovery]\nqqq = 1\n",
            "recovery.qqq: unknown key; known here: advice, block_order, first, last, recoverability, "
            "reset_allowed, rewrite_last",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_key_that_was_meant(
    refusal: Refusal, old: str, new: str, line: str
) -> None:
    assert line in refusal(old, new)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("hw = 0xF191", "hw = '0xF191'", "identity.hw: must be a valid integer (is '0xF191')"),
        ("hw = 0xF191", "hw = 0x1F191", "identity.hw: must be less than or equal to 65535 (is 127377)"),
        ("min_v = 12.5", "min_v = nan", "voltage.min_v: must be a finite number (is nan)"),
        ("min_v = 12.5", "min_v = 13.5", f"voltage: {HOLDS}"),
        ("request_id = 0x7E0", "request_id = 0x18DA10F1", "addressing: an identifier is above 0x7FF; set"),
        ("request_id = 0x7E0", "request_id = 0x7E8", "addressing: request_id and response_id are the same"),
        (
            'kind = "can"',
            'kind = "can-fd"',
            "bus: data_bitrate_bps belongs to kind = 'can-fd', and to nothing else",
        ),
        ("level = 0x03", "level = 0x04", "sessions.write_security: level is the odd seed sub-function"),
        (
            "constant = 0x5EED_E400",
            "script = '4C'",
            "sessions.read_security: script belongs to algorithm = 'sa2', and to nothing else; constant",
        ),
        ('hw = ["PBX-E400-0[12]"]', 'hw = ["*"]', "recognition.hw[0]: string should match pattern"),
        (
            'tag = "calibration"',
            'tag = "calibration"\nreadable = false',
            "regions[2]: writable = true needs readable = true: what was never read could not be put back",
        ),
        ('region = "calibration"', 'region = "map"', "checksum: no region is called 'map'"),
        ("base = 0x8020_0000", "base = 1.5", "checksum.parameters.base: must be a whole number, text, true"),
        (
            '[writing]\nby = "address"',
            '[writing]\nby = "address"\naddress_bytes = 3',
            "writing: address_bytes = 3 does not reach the end of region 'boot'; address_bytes = 3",
        ),
        ("start = 0x8020_0000", "start = 0xFFFF_0000", "regions[2]: ends at 0x100070000, above the 32-bit"),
        (
            "count = 16 }",
            "count = 15 }",
            "regions[2]: sectors add up to 0x78000 bytes, size_bytes is 0x80000",
        ),
        (
            "{ size_bytes = 0x8000, count = 16 }",
            "{ size_bytes = 0x80, count = 4096 }",
            "regions: a sector of 'calibration' is not a whole number of pages of 256 bytes",
        ),
        (
            "start = 0x8028_0000",
            "start = 0x8027_8000",
            "regions: 'calibration' ends at 0x80280000, inside 'functions' at 0x80278000",
        ),
        ('name = "functions"', 'name = "code"', "regions: the name 'code' is used 2 times"),
        ('style = "hash_range"', 'style = "none"', "checking: routine belongs to every style but 'none'"),
        (
            '[erasing]\nby = "address"',
            '[erasing]\nby = "block_id"',
            "erasing: region 'code' has no block_id;",
        ),
        ("schema_version = 1", "schema_version = 3", "schema_version: 3 is of a newer Pitbox; this one"),
        ('maker = "Pitbox toy works"', "", "maker: missing"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(refusal: Refusal, old: str, new: str, line: str) -> None:
    assert [found for found in refusal(old, new) if found.startswith(line)]


def test_every_problem_is_reported_at_once(file: Path, e400: str, lines: Lines) -> None:
    broken = e400
    for old, new in (
        ('maker = "Pitbox toy works"', "maker = 7"),
        ("target_v = 13.5", "target = 13.5"),
        ('tag = "calibration"', 'tag = "odometer"'),
        ('recommended = "obd"', 'recommended = "odb"'),
    ):
        broken = broken.replace(old, new, 1)
    file.write_text(broken, "utf-8")
    assert {line.split(":")[0] for line in lines(file)} == {
        "maker",
        "voltage.target",
        "regions[2].tag",
        "method.recommended",
    }


def test_overlaps_are_named_beside_problems_of_other_tables(file: Path, e400: str, lines: Lines) -> None:
    broken = e400.replace("start = 0x8028_0000", "start = 0x8000_8000").replace("maker =", "make =")
    file.write_text(broken, "utf-8")
    found = lines(file)
    assert "regions: 'boot' ends at 0x80010000, inside 'functions' at 0x80008000;" in " ".join(found)
    assert "make: unknown key: did you mean maker?" in found


@pytest.mark.parametrize("tag", sorted(EXCLUDED_TAGS | {"IMMO", "Airbag"}))
def test_excluded_memory_is_refused_by_tag_and_by_name(refusal: Refusal, tag: str) -> None:
    reason = f"Pitbox does not handle {tag.lower()} memory; leave this region out"
    assert f"regions[2].tag: {reason}" in refusal('tag = "calibration"', f'tag = "{tag}"')
    assert f"regions[2].name: {reason}" in refusal('name = "calibration"', f'name = "{tag}"')


def test_any_other_unknown_tag_is_refused(refusal: Refusal) -> None:
    (line,) = refusal('tag = "calibration"', 'tag = "maps"')
    assert line == "regions[2].tag: must be 'boot', 'code', 'calibration' or 'data' (is 'maps')"


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        (
            "crc32-at",
            "base = 0x8026_0000, ranges = [[0x8026_0000, 0x8026_1000]], store_at = 0x8026_1000",
        ),
        ("vw-dq250", ""),
        ("med17", ""),
    ],
)
def test_a_block_hash_that_cannot_see_its_own_content_is_refused(
    file: Path, s18: str, lines: Lines, module: str, parameters: str
) -> None:
    own = "base = 0x8026_0000, header_at = 0x300, signed = false"
    assert own in s18
    text = s18.replace('module = "simos"', f'module = "{module}"').replace(own, parameters)
    file.write_text(text, "utf-8")
    assert any(line.startswith(f"checksum: '{module}' keeps the CRC-32") for line in lines(file))


def test_block_ids_are_unique_and_each_block_is_one_sector(file: Path, s18: str, lines: Lines) -> None:
    file.write_text(s18.replace("block_id = 5", "block_id = 4"), "utf-8")
    assert lines(file) == ["regions: block_id 4 is used 2 times"]
    halves = "{ size_bytes = 0x8_0000, count = 1 }", "{ size_bytes = 0x4_0000, count = 2 }"
    file.write_text(s18.replace(*halves), "utf-8")
    reason = "region 'cal' is named by a block id, so it has one sector"
    assert lines(file) == [f"{table}: {reason}" for table in ("erasing", "writing", "checking")]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"id = 1\nname = \n", "line 2, column 8: Invalid value"),
        (b'id = """never closed\n', "line 2, end of file: Unterminated string"),
        (b"# caf\xe9\n", "line 1: is not UTF-8 text; save the file as UTF-8"),
        (b"# ok\nid = '\xff'\n", "line 2: is not UTF-8 text; save the file as UTF-8"),
        (b"a." * 3000 + b"b = 1", "has more than 2000 dots, more than any definition needs"),
        (b"k=1\n" * 6000, "has more than 5000 keys, more than any definition needs"),
        (b"a=[" + b"1," * 11_000 + b"]", "has more than 10000 commas, more than any definition needs"),
        (b"[a]\n" * 6000, "has more than 5000 opening brackets, more than any definition needs"),
        (b"a = " + b"[" * 300 + b"]" * 300, "has tables or arrays nested deeper than any definition needs"),
        (b"a = " + b"[" * 4_000, "has a value no definition needs: maximum recursion depth exceeded"),
        (b"id = 1979-05-27\n", "has a value no definition needs: the date or time 1979-05-27"),
        (b"id = 1\nid = 2\n", "line 2, column 7: Cannot overwrite a value"),
    ],
)
def test_a_file_that_is_no_definition_is_refused_with_its_line(
    file: Path, lines: Lines, content: bytes, line: str
) -> None:
    file.write_bytes(content)
    assert lines(file)[0].startswith(line)


def test_a_number_too_long_to_print_is_refused(file: Path, lines: Lines) -> None:
    for digits in (b"9" * 5000, b"0x" + b"f" * 5000):
        file.write_bytes(b"schema_version = " + digits)
        (line,) = lines(file)
        assert line.startswith("has a value no definition needs: Exceeds the limit")


def test_a_huge_file_is_refused_without_being_read(file: Path, lines: Lines) -> None:
    with file.open("wb") as stream:
        os.truncate(stream.fileno(), 1 << 30)
    assert lines(file) == ["is larger than 1 MiB, more than any definition needs"]


def test_the_largest_file_is_read(file: Path, e400: str) -> None:
    padding = MAX_FILE_BYTES - len(e400.encode())
    file.write_text(e400 + "#" * padding, "utf-8")
    assert load_definition(file).id == "pbx-e400"
    file.write_text(e400 + "#" * (padding + 1), "utf-8")
    with pytest.raises(DefinitionError):
        load_definition(file)


def test_what_is_no_file_is_refused(tmp_path: Path, lines: Lines) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    assert lines(tmp_path) == ["is not a regular file"]
    assert lines(tmp_path / "pipe.toml") == ["is not a regular file"]
    assert lines(tmp_path / "none.toml") == ["cannot be read: No such file or directory"]
    assert lines(tmp_path / "loop.toml")[0].startswith("cannot be read: ")


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(file: Path, e400: str) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + e400.replace("\n", "\r\n").encode())
    assert load_definition(file).id == "pbx-e400"


def test_odd_keys_cannot_break_a_line_of_the_report(refusal: Refusal) -> None:
    (line,) = refusal("[recovery]\n", '[recovery]\n"\\u001b[31mred\\n" = 1\n')
    assert line.startswith('recovery."\\u001b[31mred\\n": unknown key')


def test_the_error_answers_what_safety_and_what_to_do(file: Path) -> None:
    file.write_text("id = 1", "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_definition(file)
    assert caught.value.what == f"the definition {file} has 9 problems"
    assert f"pitbox definitions check {file}" in caught.value.do_now


def test_an_ecu_without_a_bootloader_to_come_back_to_is_never_reset(refusal: Refusal) -> None:
    told = refusal('recoverability = "bootloader"\n', 'recoverability = "bench"\n')
    assert "recovery: reset_allowed needs recoverability = 'bootloader': nothing else comes back" in told


def test_a_data_format_that_nobody_implements_is_refused(refusal: Refusal) -> None:
    told = refusal("[writing]\n", "[writing]\ndata_format = 0x11\n")
    assert [line for line in told if line.startswith("writing: data_format 0x11 is not implemented")]


def test_a_sector_hash_that_is_blind_needs_a_read_back(refusal: Refusal, e400: str) -> None:
    assert "bootloader_reads = true" not in e400
    told = refusal("[checking]\n", '[checking]\nhash_granularity = "sector"\n')
    assert [line for line in told if line.startswith("checksum: 'crc32-at' keeps the CRC-32")]


def test_a_real_ecu_needs_no_simulated_twin(e400: str, file: Path) -> None:
    file.write_text(e400[: e400.index("[simulation]")].replace('level = "simulated"', 'level = "unproven"'))
    real = load_definition(file)
    assert real.simulation is None

    async def simulate() -> None:
        Car([real], wires_for(real))

    with pytest.raises(DefinitionError, match="DEFINITION_NOT_SIMULATED"):
        run_virtual(simulate())


def test_what_was_never_simulated_does_not_claim_it(refusal: Refusal, e400: str) -> None:
    told = refusal(e400[e400.index("[simulation]") :], "")
    assert told == ["access 'obd' says 'simulated', and there is no [simulation] table"]


@pytest.mark.parametrize(
    ("new", "line"),
    [
        ('style = "hash_range"\npayload = "01"', "a hash needs payloads"),
        ('style = "status"', "verify = 'hash' needs a style that offers one"),
        ('style = "hash_range"\nverify = "status"', "verify = 'status' belongs to style 'status'"),
        ('style = "status"\nverify = "status"\nhash_kind = "crc16-arc"', "hash_kind belongs to a style"),
        ('style = "hash_range"\nhash_kind = "crc8"', "checking.hash_kind: "),
        (
            'style = "hash_range"\npayloads = [{ region = "code", payload = "01" }]',
            "payloads name whole blocks: set hash_granularity = 'sector'",
        ),
        (
            'style = "status"\nverify = "status"\npayloads = [{ region = "nowhere", payload = "01" }]',
            "no erase block of 'nowhere' is meant",
        ),
        (
            'style = "status"\nverify = "status"\npayloads = [{ region = "code", payload = "01" }]',
            "blocks have none, first 'calibration'",
        ),
        (
            'style = "compare_range"\nhash_granularity = "sector"\nhash_kind = "crc16-arc"\n'
            'payloads = [{ region = "code", payload = "01" }]',
            "and a hash is of one",
        ),
        ('style = "status"\nverify = "status"\npayload = "1"', "checking.payload: "),
    ],
)
def test_a_check_that_cannot_be_is_refused(refusal: Refusal, new: str, line: str) -> None:
    told = refusal('style = "hash_range"', new)
    assert any(one.startswith("checking") and line in one for one in told), told


@pytest.mark.parametrize(
    "weak", ['style = "status"\nverify = "status"', 'style = "hash_range"\nhash_kind = "crc16-xmodem"']
)
def test_a_bootloader_that_reads_proves_better_than_a_weak_check(
    weak: str, e400: str, file: Path, lines: Lines
) -> None:
    own = e400.replace('style = "hash_range"', weak, 1)
    file.write_text(own, "utf-8")
    load_definition(file)
    file.write_text(own.replace("[reading]\n", "[reading]\nbootloader_reads = true\n", 1), "utf-8")
    assert any("the bootloader reads" in line and "read_back" in line for line in lines(file))


def test_of_very_many_problems_some_are_told(file: Path) -> None:
    file.write_text("".join(f"k{number} = 1\n" for number in range(3000)), "utf-8")
    with pytest.raises(DefinitionError) as refused:
        load_definition(file)
    assert len(refused.value.details) == 101
    assert refused.value.details[-1].endswith(" more problems")
