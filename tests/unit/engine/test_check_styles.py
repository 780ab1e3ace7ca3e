"""Every way to ask an ECU about its memory: a whole write, a power cut, and an ECU that lies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from appliance.cli.words import outcome_line, proof_line
from appliance.definitions.schema import Definition
from appliance.engine.operations.check import verify
from appliance.engine.operations.write import recover, restore, write
from simulator.ecu.hooks import Mishap, RequestFate
from simulator.ecu.services import routine
from simulator.ecu.watch import Counter
from tests.support.definitions import raw, validated
from tests.support.garage import Garage, Readied, visit

ROUTINE = bytes.fromhex("31 01 0202")
ERASE = bytes.fromhex("31 01 FF00")
STARTS = [*range(0, 0x8000, 0x1000), *range(0x8000, 0x3_0000, 0x8000), *range(0x3_0000, 0x4_0000, 0x4000)]
CRC16 = ("crc16-ccitt-false", "crc16-xmodem", "crc16-arc", "crc16-kermit")


def _region(start: int) -> str:
    return "boot" if start < 0x8000 else "code" if start < 0x3_0000 else "calibration"


PER_BLOCK = [
    {"region": _region(start), "start": start, "payload": f"A5{number:02X}"}
    for number, start in enumerate(STARTS)
]
STYLES: dict[str, dict[str, Any]] = {
    "crc32 in the request": {"style": "compare_range"},
    "crc32 in the request after each block": {"style": "compare_range", "after_each_block": True},
    "a long status": {"style": "compare_range", "status_bytes": 3},
    **{f"{kind} answered": {"style": "hash_range", "hash_kind": kind} for kind in CRC16},
    **{f"{kind} in the request": {"style": "compare_range", "hash_kind": kind} for kind in CRC16},
    "hash by payload": {"style": "hash_range", "payloads": PER_BLOCK, "hash_kind": "crc16-arc"}
    | {"hash_granularity": "sector"},
    "compare by payload": {"style": "compare_range", "payloads": PER_BLOCK, "hash_kind": "crc16-kermit"}
    | {"hash_granularity": "sector", "after_each_block": True},
    "status by address": {"style": "status", "verify": "status"},
    "status by one payload": {"style": "status", "verify": "status", "payload": "01020304"},
    "status by region": {
        "style": "status",
        "verify": "status",
        "payloads": [{"region": "code", "payload": "01"}, {"region": "calibration", "payload": "02"}],
        "after_each_block": True,
    },
    "read back besides a status": {"style": "status", "verify": "read_back", "after_each_block": True},
}
METHODS = {name: "crc16" if "crc16" in str(style) else "hash" for name, style in STYLES.items()} | {
    name: "status" for name in STYLES if name.startswith("status")
}
METHODS["read back besides a status"] = "read_back"


def with_checks(garage: Garage, checking: dict[str, Any]) -> Definition:
    tables = raw(garage.definition)
    access = next(one for one in tables["access"] if one["method"] == "obd")
    tables["access"] = [access]
    access["checking"] |= checking
    access["reading"]["bootloader_reads"] = checking.get("verify") == "read_back"
    access["recovery"]["recoverability"] = "bootloader"
    return validated(tables)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("style", STYLES)
def test_a_write_is_proven_as_its_definition_says(slave: Readied, style: str, cut: bool) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(with_checks(garage, STYLES[style]))
        target, stock = garage.calibration(), garage.stock
        package = garage.hand_in(garage.package())
        if cut:
            watch = garage.car.ecu.core.watch
            at = watch.totals[Counter.PROGRAMMED] + 1000
            watch.at(Counter.PROGRAMMED, at, lambda address: garage.car.power_cut())
            assert (await garage.refusal(write(garage.box, garage.job, package))).code == "WRITE_INTERRUPTED"
            garage.car.power_up()
            await asyncio.sleep(1)
            result = await recover(garage.box, garage.job)
        else:
            result = await write(garage.box, garage.job, package)
        assert result["result"] == "done"
        assert result["verify"]["method"] == METHODS[style]
        assert garage.car.ecu.memory.whole() == stock[: -len(target)] + target
        assert (await verify(garage.box, garage.job))["method"] in ("hash", "read_back")
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("mishap", [Mishap.TRUNCATED, Mishap.OVERSIZED])
def test_an_answer_of_another_length_is_never_success(slave: Readied, style: str, mishap: Mishap) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(with_checks(garage, STYLES[style]))
        garage.car.ecu.request_hook = lambda request: (
            RequestFate(mishap, count=1) if request.startswith(ROUTINE) else None
        )
        await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert not garage.box.journal.job(garage.job).detail.get("verify")

    visit(slave, scene)


@pytest.mark.parametrize("style", STYLES)
def test_memory_that_is_called_bad_is_never_success(
    slave: Readied, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(with_checks(garage, STYLES[style]))
        monkeypatch.setattr(routine, "_done", lying(routine._done))
        await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert not garage.box.journal.job(garage.job).detail.get("verify")

    visit(slave, scene)


def lying(done: Callable[..., bytes]) -> Callable[..., bytes]:
    def lie(request: bytes, *status: int) -> bytes:
        if request.startswith(ROUTINE):
            status = (*status[:-1], status[-1] ^ 1) if len(status) in (2, 4) else (2, *status[1:])
        return done(request, *status)

    return lie


@pytest.mark.parametrize("style", [name for name in STYLES if METHODS[name] in ("status", "crc16")])
def test_no_block_is_skipped_on_a_weak_word(slave: Readied, style: str) -> None:
    """The ECU holds the target already: by its own hash the box would leave it alone."""

    async def scene(garage: Garage) -> None:
        garage.use(with_checks(garage, STYLES[style]))
        region = garage.definition.region("calibration")
        package = garage.hand_in(garage.package())
        garage.car.ecu.memory.force(region.start, garage.calibration())
        result = await write(garage.box, garage.job, package)
        assert result["blocks"]["skipped"] == 0
        assert result["blocks"]["written"] == result["blocks"]["total"]

    visit(slave, scene)


def test_a_check_after_each_block_has_it_written_again(slave: Readied) -> None:
    erases: list[bytes] = []
    lies = iter([True])

    async def scene(garage: Garage) -> None:
        style = {"style": "compare_range", "after_each_block": True}
        garage.use(with_checks(garage, style))
        usual = garage.car.ecu.core

        def hook(request: bytes) -> RequestFate | None:
            if request.startswith(ERASE):
                erases.append(request)
            programmed = usual.watch.totals[Counter.PROGRAMMED] > began
            if request.startswith(ROUTINE) and programmed and next(lies, False):
                address = int.from_bytes(request[5:9], "big")
                usual.flips[address] = 0xFF
                usual.memory.force(address, bytes([usual.memory.read(address, 1)[0] ^ 0xFF]))
            return None

        began = usual.watch.totals[Counter.PROGRAMMED]
        garage.car.ecu.request_hook = hook
        assert (await write(garage.box, garage.job, garage.hand_in(garage.package())))["result"] == "done"
        assert len(erases) == len(set(erases)) + 1
        assert erases[0] == erases[1]

    visit(slave, scene)


@pytest.mark.parametrize("method", ["status", "crc16"])
def test_a_weak_proof_is_told_in_weak_words(method: str) -> None:
    proof = {"method": method, "blocks": 3, "sha256": "ab" * 32, "unproven": []}
    for result in ("done", "restored"):
        told = outcome_line(result, method)
        assert "proven" not in told
    assert ("proven" not in proof_line(proof)) == (method == "status")
    assert "weak" in proof_line(proof) or "status alone" in proof_line(proof)
