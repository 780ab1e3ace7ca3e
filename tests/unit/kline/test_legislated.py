"""OBD-II on a K-line, without any definition: who answers, by which protocol, and the traps of waking it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.library import Library
from appliance.engine.operations.read import identify
from appliance.protocols.access import EcuSilentError
from appliance.protocols.kwp2000.keybytes import KeyBytes, Spoken
from appliance.protocols.kwp2000.legislated import survey_of
from appliance.protocols.kwp2000.waking import SlowWake, StrangeKeyBytesError, WakeError, wake_slowly
from appliance.protocols.registry import Legislated
from simulator.kline.answering import AnswerFault
from simulator.kline.ecu import KwpEcu, Phase
from simulator.kline.legislated import LegislatedServer, LegislatedTold
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.virtualtime import run_virtual
from tests.support.kwp_box import KwpBox, KwpCar
from tests.support.kwp_definition import me7_kind

from .kwp_bench import LegislatedBench

VIN = "WPBXZZZ1JZW000001"
CALID = b"PBX-0261207939  "
PIDS = (0x01, 0x04, 0x05, 0x0C, 0x0D, 0x1C, 0x21)
TOLD = LegislatedTold(information={0x02: b"\0\0\0" + VIN.encode(), 0x04: CALID})
_OBD = KwpEcuSettings(wake_address=0x33, wakes=frozenset(("slow",)))
KINDS = {
    "ISO 9141-2 of 08 08": replace(_OBD, key_bytes=(0x08, 0x08), iso_9141=True),
    "ISO 9141-2 of 94 94": replace(_OBD, key_bytes=(0x94, 0x94), iso_9141=True, times=LineTimes(p2_s=0.0005)),
    "KWP2000 by address": replace(_OBD, key_bytes=(0xE9, 0x8F)),
    "KWP2000 by pulse": replace(_OBD, key_bytes=(0x6B, 0x8F), wakes=frozenset(("fast",))),
}
Work = Callable[[LegislatedBench], Coroutine[Any, Any, None]]


def at_car(settings: KwpEcuSettings, work: Work, told: LegislatedTold = TOLD) -> None:
    async def run() -> None:
        await work(LegislatedBench(settings, told))

    run_virtual(run())


def expected(kind: str) -> tuple[str, str]:
    settings = KINDS[kind]
    spoken = "ISO 9141-2" if settings.iso_9141 else "KWP2000"
    how = "by a pulse" if "fast" in settings.wakes else "by 5 bit/s"
    return f"{spoken}, woken {how}", bytes(settings.key_bytes).hex(" ").upper()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_tells_who_it_is_and_no_rule_is_broken(kind: str) -> None:
    async def work(bench: LegislatedBench) -> None:
        told = await survey_of(bench.line)
        assert told == Legislated(*expected(kind), VIN, PIDS, ("PBX-0261207939",))
        assert bench.ecu.violations == []

    at_car(KINDS[kind], work)


@pytest.mark.parametrize("kind", KINDS)
def test_an_ecu_without_mode_09_tells_the_rest(kind: str) -> None:
    async def work(bench: LegislatedBench) -> None:
        assert await survey_of(bench.line) == Legislated(*expected(kind), None, PIDS)
        assert not any(request.startswith(b"\x09\x02") for request in bench.ecu.requests)

    at_car(KINDS[kind], work, LegislatedTold())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["lost", "garbled", "cut"])
@pytest.mark.parametrize("number", range(9))
def test_a_spoilt_answer_is_asked_for_again_and_never_believed(kind: str, fault: str, number: int) -> None:
    """The pieces of a VIN that lacks one make no VIN."""

    async def work(bench: LegislatedBench) -> None:
        at_wake = not KINDS[kind].iso_9141 and "fast" in KINDS[kind].wakes
        late = AnswerFault("late", 0.001)
        bench.ecu.faults.extend([late] * (number + at_wake) + [AnswerFault(fault)])  # type: ignore[arg-type]
        told = await survey_of(bench.line)
        assert told == Legislated(*expected(kind), VIN, PIDS, ("PBX-0261207939",))

    at_car(KINDS[kind], work)


@pytest.mark.parametrize(
    "slow",
    [
        {"w1_s": 0.06},
        {"w1_s": 0.3},
        {"w1_s": 0.405},
        {"w2_s": 0.005},
        {"w2_s": 0.02},
        {"w3_s": 0.0001},
        {"w3_s": 0.02},
        {"w4_s": 0.025},
        {"w4_s": 0.05},
    ],
    ids=str,
)
def test_every_time_that_the_sheet_allows_is_waited_for(slow: dict[str, float]) -> None:
    async def work(bench: LegislatedBench) -> None:
        told = await survey_of(bench.line)
        assert told is not None and told.vin == VIN
        assert bench.ecu.violations == []

    at_car(replace(KINDS["KWP2000 by address"], **slow), work)  # type: ignore[arg-type]


@pytest.mark.parametrize("late", [{"w1_s": 0.7}, {"w2_s": 0.2}, {"w3_s": 0.2}, {"w4_s": 0.3}], ids=str)
def test_an_ecu_beyond_them_is_silent(late: dict[str, float]) -> None:
    async def work(bench: LegislatedBench) -> None:
        with pytest.raises(EcuSilentError):
            await wake_slowly(bench.line, SlowWake(0x33))

    at_car(replace(KINDS["KWP2000 by address"], **late), work)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "spoken"),
    [
        ((0x01, 0x8A), Spoken.KWP1281),
        ((0x08, 0x94), Spoken.UNKNOWN),
        ((0x94, 0x08), Spoken.UNKNOWN),
        ((0x00, 0x00), Spoken.UNKNOWN),
        ((0xFF, 0x01), Spoken.UNKNOWN),
    ],
)
def test_wrong_key_bytes_are_told_and_not_confirmed(keys: tuple[int, int], spoken: Spoken) -> None:
    assert KeyBytes(*keys).spoken is spoken

    async def work(bench: LegislatedBench) -> None:
        with pytest.raises(StrangeKeyBytesError, match=rf"{keys[0]:02X} {keys[1]:02X} \({spoken}\)"):
            await survey_of(bench.line)
        assert bench.ecu.requests == [] and bench.ecu.violations == []
        await asyncio.sleep(0.1)
        assert bench.ecu.phase is Phase.ASLEEP

    at_car(replace(_OBD, key_bytes=keys), work)


def test_the_wrong_complement_of_the_address_ends_the_wake_up() -> None:
    async def work(bench: LegislatedBench) -> None:
        bench.wire.fault = lambda byte: setattr(byte, "value", 0xCD) if byte.value == 0xCC else None
        with pytest.raises(WakeError, match="confirmed 32 instead of the address 33"):
            await wake_slowly(bench.line, SlowWake(0x33))

    at_car(KINDS["KWP2000 by address"], work)


def test_a_car_in_which_nobody_wakes_is_nobody() -> None:
    async def work(bench: LegislatedBench) -> None:
        bench.ecu.power_cut()
        assert await survey_of(bench.line) is None

    at_car(_OBD, work)


def test_an_ecu_that_fell_asleep_in_between_is_told_as_far_as_it_went() -> None:
    """Whoever no longer answers is not made up."""

    async def work(bench: LegislatedBench) -> None:
        bench.ecu.faults.extend([AnswerFault("late", 0.001)] * 3 + [AnswerFault("lost")] * 40)
        told = await survey_of(bench.line)
        assert told is not None and told.pids == PIDS and told.vin is None

    at_car(KINDS["KWP2000 by address"], work)


class ObdCar(KwpCar):
    """An engine controller that knows OBD-II alone."""

    def __init__(self, settings: KwpEcuSettings) -> None:
        super().__init__(me7_kind())
        self.power_cut()
        self.obd = KwpEcu(self.wire, settings, "obd")
        LegislatedServer(self.obd, TOLD)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("knows", [True, False])
def test_identify_tells_of_a_car_that_no_definition_knows(kind: str, knows: bool, tmp_path: Path) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", ObdCar(KINDS[kind]))
        at.box.library = Library()
        if knows:
            at.box.library.add(at.car.definition, Path("known.toml"))
        with pytest.raises(PitboxError) as refused:
            await identify(at.box)
        error, (spoken, keys) = refused.value, expected(kind)
        assert error.code == "ECU_UNKNOWN"
        assert error.details == (
            f"protocol: {spoken}",
            f"key bytes: {keys}",
            f"VIN: {VIN}",
            "calibration: PBX-0261207939",
            "supported PIDs: 01 04 05 0C 0D 1C 21",
        )
        assert [job.job_id for job in at.box.journal.jobs()] == []
        at.box.journal.close()

    run_virtual(inside())


def test_whoever_names_an_ecu_is_told_of_that_one(tmp_path: Path) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", ObdCar(KINDS["KWP2000 by pulse"]))
        with pytest.raises(PitboxError, match="ECU_NOT_FOUND"):
            await identify(at.box, at.car.definition.id)
        at.box.journal.close()

    run_virtual(inside())
