"""Each gate of the link and of the box at its bound: what just passes, and what just does not."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.contract.gates import GateVerdict
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine import conditions
from appliance.engine.conditions import LiveConditions
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.judging import CAR_GATES, judge_car
from appliance.flashing.gates.request import Authorisation, WriteRequest
from appliance.protocols.uds.access import UdsAccess
from drivers.can.interface import BusHealth
from simulator.virtualtime import run_virtual
from tests.support.definitions import with_access
from tests.support.garage import PACK
from tests.support.probe_access import ProbeAccess

CLEAN = BusHealth()


class Port:
    """A controller that is looked at before and after listening."""

    def __init__(self, *looks: BusHealth) -> None:
        self._looks = list(looks)
        self.looked_at: list[float] = []

    def health(self) -> BusHealth:
        self.looked_at.append(asyncio.get_running_loop().time())
        return self._looks.pop(0)


class Client:
    """An ECU that answers these requests, by their first bytes, and nothing else."""

    def __init__(self, **answers: Any) -> None:
        self._answers = {bytes.fromhex(key.strip("_")): value for key, value in answers.items()}

    async def attempt(self, request: Any) -> Any:
        return self._answers.get(request.payload)


@pytest.fixture(scope="module")
def pack() -> Definition:
    return load_definition(PACKS / f"{PACK}.toml")


def engine(pack: Definition, speed_did: int | None = None, kind: str = "engine") -> Definition:
    told = with_access(pack, identity={"engine_speed": speed_did})
    return told.model_copy(update={"kind": kind})


def judged(
    live: LiveConditions,
    definition: Definition,
    names: set[str],
    *,
    engine_off_stated: bool = False,
    restores: bool = False,
) -> dict[str, GateVerdict]:
    """What these gates say of such conditions."""
    papers = Authorisation(own_original=restores)
    request = WriteRequest(
        "j", definition, definition.best_access, None, None, None, None, papers, (), engine_off_stated
    )
    nobody: Any = None
    job: Any = SimpleNamespace(
        definition=definition, access=ProbeAccess(nobody), power=SimpleNamespace(measured=nobody)
    )
    check = CarCheck(job, request, live)

    async def verdicts() -> dict[str, GateVerdict]:
        gates = [gate for gate in CAR_GATES if gate.name in names]
        return {gate.name: await judge_car(gate, check) for gate in gates}

    found = run_virtual(verdicts())
    assert set(found) == names
    return found


def link(
    definition: Definition,
    before: BusHealth = CLEAN,
    after: BusHealth = CLEAN,
    client: Client | None = None,
    **said: bool,
) -> dict[str, GateVerdict]:
    port: Any = Port(before, after)
    asked: Any = client or Client()
    live = LiveConditions(UdsAccess(uds_access(definition), asked, definition, port=port), Path("/nowhere"))
    found = judged(live, definition, {"bus_quiet", "link_clean", "engine_off"}, **said)
    assert port.looked_at[1] - port.looked_at[0] == pytest.approx(1.0)
    assert len(port.looked_at) == 2, "one look serves both gates"
    return found


@pytest.mark.parametrize(("load", "verdict"), [(0.0, "pass"), (0.6, "pass"), (0.61, "fail")])
def test_the_wire_may_be_in_use_up_to_a_share(pack: Definition, load: float, verdict: str) -> None:
    told = link(pack, after=BusHealth(load=load))["bus_quiet"]
    assert (told.verdict, told.detail) == (verdict, f"{load:.0%} of the wire in use")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (BusHealth(), BusHealth(), "pass"),
        (BusHealth(3, 4), BusHealth(4, 3), "pass"),
        (BusHealth(3, 4), BusHealth(3, 5), "fail"),
        (BusHealth(3, 4), BusHealth(4, 4), "fail"),
        (BusHealth(0, 9), BusHealth(2, 0), "pass"),
        (BusHealth(9, 0), BusHealth(0, 2), "pass"),
        (BusHealth(90, 90), BusHealth(50, 45), "pass"),
        (BusHealth(90, 90), BusHealth(50, 46), "fail"),
        (BusHealth(), BusHealth(bus_off=True), "fail"),
    ],
)
def test_errors_of_the_link_are_few_and_do_not_grow(
    pack: Definition, before: BusHealth, after: BusHealth, verdict: str
) -> None:
    told = link(pack, before, after)["link_clean"]
    errors = after.tx_errors + after.rx_errors
    assert (told.verdict, told.detail) == (verdict, f"{errors} errors counted by the controller")


@pytest.mark.parametrize(("lost", "verdict"), [(7, "pass"), (8, "fail")])
def test_frames_that_the_box_does_not_take_in_time_are_no_clean_link(
    pack: Definition, lost: int, verdict: str
) -> None:
    """What was lost before anybody listened says nothing of now."""
    told = link(pack, BusHealth(lost_frames=7), BusHealth(lost_frames=lost))["link_clean"]
    assert told.verdict == verdict
    assert ("1 frames arrived" in told.detail) is (verdict == "fail")


@pytest.mark.parametrize(("rpm", "verdict"), [(0.0, "pass"), (0.25, "fail"), (1.0, "fail"), (750.0, "fail")])
@pytest.mark.parametrize("said", [{}, {"engine_off_stated": True}, {"restores": True}])
def test_an_engine_that_turns_outranks_every_word(
    pack: Definition, rpm: float, verdict: str, said: dict[str, bool]
) -> None:
    told = link(engine(pack), client=Client(_010C=rpm), **said)["engine_off"]
    assert (told.verdict, told.detail) == (verdict, f"{rpm:.0f} rpm, told by the ECU")


@pytest.mark.parametrize(
    ("record", "verdict", "rpm"), [(b"\0\0", "pass", 0), (b"\0\1", "fail", 0), (b"\x0b\xb8", "fail", 750)]
)
def test_the_speed_may_lie_in_a_field_of_the_definition(
    pack: Definition, record: bytes, verdict: str, rpm: int
) -> None:
    told = link(engine(pack, 0x1F40), client=Client(_221F40=record))["engine_off"]
    assert (told.verdict, told.detail) == (verdict, f"{rpm} rpm, told by the ECU")


def test_what_obd_tells_needs_no_field(pack: Definition) -> None:
    told = link(engine(pack, 0x1F40), client=Client(_010C=0.0, _221F40=b"\x0b\xb8"))["engine_off"]
    assert told.verdict == "pass"


@pytest.mark.parametrize(
    ("kind", "said", "verdict"),
    [
        ("engine", {}, "unknown"),
        ("engine", {"engine_off_stated": True}, "pass"),
        ("engine", {"restores": True}, "waived"),
        ("gearbox", {}, "not_applicable"),
    ],
)
@pytest.mark.parametrize("speed_did", [None, 0x1F40])
def test_an_ecu_that_does_not_tell_wants_a_word(
    pack: Definition, kind: str, said: dict[str, bool], verdict: str, speed_did: int | None
) -> None:
    assert link(engine(pack, speed_did, kind), **said)["engine_off"].verdict == verdict


def host(definition: Definition, state: Path) -> dict[str, GateVerdict]:
    nobody: Any = None
    live = LiveConditions(nobody, state)
    return judged(live, definition, {"disk", "temperature", "no_update"})


@pytest.mark.parametrize(("short", "verdict"), [(0, "pass"), (1, "fail"), (-(5 << 30), "pass")])
def test_the_disk_must_hold_the_image_three_times(
    pack: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: int, verdict: str
) -> None:
    wanted = 3 * sum(region.size_bytes for region in pack.regions)
    asked: list[Path] = []

    def usage(path: Path) -> Any:
        asked.append(path)
        return SimpleNamespace(free=wanted - short)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    told = host(pack, tmp_path)["disk"]
    assert told.verdict == verdict
    assert told.detail == f"{(wanted - short) >> 20} MiB free, {wanted >> 20} MiB wanted"
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    ("text", "verdict", "detail"),
    [
        ("74999\n", "pass", "75 °C, limit 75 °C"),
        ("75000\n", "fail", "75 °C, limit 75 °C"),
        ("41000\n", "pass", "41 °C, limit 75 °C"),
        ("no number\n", "not_applicable", "this machine has no temperature sensor"),
        (None, "not_applicable", "this machine has no temperature sensor"),
    ],
)
def test_a_hot_box_writes_nothing(
    pack: Definition,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    verdict: str,
    detail: str,
) -> None:
    sensor = tmp_path / "temp"
    if text is not None:
        sensor.write_text(text)
    monkeypatch.setattr(conditions, "_THERMAL", sensor)
    told = host(pack, tmp_path)["temperature"]
    assert (told.verdict, told.detail) == (verdict, detail)


def test_an_update_that_waits_is_let_through_first(pack: Definition, tmp_path: Path) -> None:
    told = host(pack, tmp_path)["no_update"]
    assert (told.verdict, told.detail) == ("pass", "none pending")
    (tmp_path / "update-pending").touch()
    told = host(pack, tmp_path)["no_update"]
    assert (told.verdict, told.detail) == ("fail", "an update waits")


def test_a_disk_that_does_not_answer_is_no_pass(pack: Definition, tmp_path: Path) -> None:
    told = host(pack, tmp_path / "gone")["disk"]
    assert told.verdict == "fail"
    assert "No such file" in told.detail
