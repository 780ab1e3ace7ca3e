"""Bit rate, ECUs, two at one address, and what stands in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.schema import Definition
from appliance.protocols.access import DuplicateEcuError, EcuSilentError, LinkLostError
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from appliance.protocols.protection import Protection, ProtectionKind
from appliance.protocols.uds.addressing import link_settings, physical_address
from appliance.protocols.uds.bitrate import LISTENED_BPS, PROBED_BPS, detect_bitrate
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.discovery import (
    ADDRESSES_11_BIT,
    ADDRESSES_29_BIT,
    FUNCTIONAL_11_BIT,
    FUNCTIONAL_29_BIT,
    find_ecus,
    require_single_ecu,
)
from appliance.protocols.uds.group import Answers, FunctionalGroup
from appliance.protocols.uds.protection import assess_protection
from appliance.protocols.uds.survey import highest_motion, survey
from drivers.can.interface import CanFrame, CanPort
from simulator.bus import SimBus
from simulator.car import Car, CarSettings
from simulator.ecu.options import EcuOptions
from simulator.gateway import GatewayPolicy
from simulator.virtualtime import run_virtual
from simulator.wires import Wires

from .scripted import ScriptedLink, asked, later, play
from .uds_bench import E400, definition

T = TypeVar("T")
FD20 = definition("pbx-fd20")
SECOND = definition("pbx-x050", addressing={"request_id": 0x7E2, "response_id": 0x7EA})
TWIN = definition("pbx-x050")


class Listener:
    """A port at one bit rate of a bus that runs at another."""

    def __init__(self, right: bool, talking: bool, listen_only: bool) -> None:
        self.bitrate_bps = 0
        self.data_bitrate_bps = None
        self.sent: list[CanFrame] = []
        self.closed = False
        self._right = right
        self._talking = talking
        self._listen_only = listen_only

    def subscribe(
        self, handler: Callable[[CanFrame], None], can_ids: frozenset[int] | None = None
    ) -> Callable[[], None]:
        if self._right and self._talking:
            asyncio.get_running_loop().call_later(0.1, handler, CanFrame(0x123, b""))
        return lambda: None

    def send(self, frame: CanFrame, on_sent: Callable[[], None] | None = None) -> None:
        assert not self._listen_only
        self.sent.append(frame)
        if self._right and on_sent:
            asyncio.get_running_loop().call_later(0.001, on_sent)

    def close(self) -> None:
        self.closed = True


def detected(
    actual_bps: int, *, talking: bool, may_probe: bool = True
) -> tuple[int | None, list[tuple[int, bool]]]:
    """(what was found, the rates that were opened and whether only to listen)."""
    opened: list[tuple[int, bool]] = []
    ports: list[Listener] = []

    async def open_port(bitrate_bps: int, listen_only: bool) -> CanPort:
        opened.append((bitrate_bps, listen_only))
        ports.append(Listener(bitrate_bps == actual_bps, talking, listen_only))
        return ports[-1]  # type: ignore[return-value]

    found = run_virtual(detect_bitrate(open_port, may_probe=may_probe))
    assert all(port.closed for port in ports)
    return found, opened


@pytest.mark.parametrize("actual_bps", LISTENED_BPS)
def test_a_talking_bus_is_found_without_a_word(actual_bps: int) -> None:
    found, opened = detected(actual_bps, talking=True)
    assert found == actual_bps
    assert all(listen_only for _, listen_only in opened)


@pytest.mark.parametrize("actual_bps", PROBED_BPS)
def test_a_silent_bus_is_asked_at_the_legislated_rates_only(actual_bps: int) -> None:
    found, opened = detected(actual_bps, talking=False)
    assert found == actual_bps
    assert {rate for rate, listen_only in opened if not listen_only} <= set(PROBED_BPS)


def test_no_rate_is_made_up() -> None:
    assert detected(125_000, talking=False)[0] is None
    found, opened = detected(500_000, talking=False, may_probe=False)
    assert found is None
    assert all(listen_only for _, listen_only in opened)


Scenario = Callable[[SimBus, Callable[[IsoTpAddress], SoftIsoTpLink]], Awaitable[T]]


def on_bus(
    definitions: tuple[Definition, ...], scenario: Scenario[T], settings: CarSettings | None = None
) -> T:
    async def main() -> T:
        bus = SimBus(
            uds_access(definitions[0]).bus.bitrate_bps, uds_access(definitions[0]).bus.data_bitrate_bps
        )
        car = Car(definitions, Wires(can=bus), settings)
        car.power_up()
        port = bus.attach("tester")
        await asyncio.sleep(1.0)
        link_options = link_settings(uds_access(definitions[0]))
        try:
            return await scenario(bus, lambda address: SoftIsoTpLink(port, address, link_options))
        finally:
            car.close()

    return run_virtual(main())


def test_every_ecu_on_the_bus_is_found_with_its_vehicle() -> None:
    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> dict[int, str | None]:
        return {ecu.address.rx_id: ecu.vin for ecu in await find_ecus(make)}

    found = on_bus((E400, SECOND), scenario)
    assert found == {0x7E8: E400.simulation.vin, 0x7EA: SECOND.simulation.vin}


def test_ecus_with_29_bit_identifiers_are_found() -> None:
    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> list[int]:
        return [ecu.address.tx_id for ecu in await find_ecus(make, FUNCTIONAL_29_BIT, ADDRESSES_29_BIT)]

    assert on_bus((FD20,), scenario) == [0x18DA10F1]


def test_an_ecu_deaf_to_the_functional_address_is_found_at_its_own() -> None:
    deaf = definition("pbx-e400", addressing={"functional_id": 0x700})

    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> list[int]:
        return [ecu.address.rx_id for ecu in await find_ecus(make)]

    assert on_bus((deaf,), scenario) == [0x7E8]


def test_an_empty_bus_has_no_ecus() -> None:
    async def main() -> int:
        bus = SimBus()
        bus.attach("nobody who answers")
        port = bus.attach("tester")
        return len(await find_ecus(lambda address: SoftIsoTpLink(port, address, IsoTpSettings())))

    assert run_virtual(main()) == 0


def test_two_ecus_at_one_address_are_refused() -> None:
    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> None:
        with pytest.raises(DuplicateEcuError, match="0x7E8"):
            await find_ecus(make)
        with pytest.raises(DuplicateEcuError, match="0x7E8"):
            await require_single_ecu(make(ADDRESSES_11_BIT[0]), ADDRESSES_11_BIT[0])

    on_bus((E400, TWIN), scenario)


def test_one_ecu_at_an_address_is_fine() -> None:
    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> None:
        await require_single_ecu(make(ADDRESSES_11_BIT[0]), ADDRESSES_11_BIT[0])

    on_bus((E400,), scenario)


def test_answers_that_spoil_each_other_give_twins_away() -> None:
    """Simultaneous equal short answers merge into one frame; long ones cannot."""

    async def scenario(link: ScriptedLink) -> None:
        with pytest.raises(DuplicateEcuError, match="spoil each other"):
            await require_single_ecu(link, ADDRESSES_11_BIT[0])

    spoilt = asked("22 F190", (0.01, IsoTpError("a frame came where another was due")))
    play(scenario, asked("3E 00", "7E 00"), spoilt, spoilt)


def group_of(make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> FunctionalGroup:
    listeners = {address.rx_id: make(address) for address in ADDRESSES_11_BIT}
    return FunctionalGroup(make(FUNCTIONAL_11_BIT), listeners)


def test_every_controller_reports_over_obd() -> None:
    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> None:
        group = group_of(make)
        reports = await survey(group)
        assert set(reports) == {0x7E8, 0x7EA}
        assert reports[0x7E8].vin == E400.simulation.vin
        assert reports[0x7E8].cvn == (E400.simulation.cvn,)
        assert [dtc.code for dtc in reports[0x7E8].stored] == ["P0301", "U0100"]
        assert reports[0x7EA].calid == (SECOND.simulation.calid,)
        assert await highest_motion(group) == (0.0, 0.0)
        group.close()

    on_bus((E400, SECOND), scenario)


def test_a_functional_answer_may_be_pending() -> None:
    async def scenario(link: ScriptedLink) -> tuple[bytes, ...]:
        answers = await FunctionalGroup(link, {1: link}).answers(b"\x04")
        return answers[1].payloads

    assert play(scenario, asked("04", "7F 04 78", later(2.0, "44"))) == (b"\x44",)


def test_a_bus_that_vanishes_in_the_window_is_lost_and_not_listened_to_for_ever() -> None:
    async def main() -> None:
        bus = SimBus()
        bus.attach("nobody who answers")
        port = bus.attach("tester")
        group = group_of(lambda address: SoftIsoTpLink(port, address, IsoTpSettings()))
        asyncio.get_running_loop().call_later(0.1, port.lose, "unplugged")
        with pytest.raises(LinkLostError, match="unplugged"):
            await group.answers(b"\x3e\x00")

    run_virtual(main())


def test_a_silent_car_reports_nothing() -> None:
    async def main() -> None:
        bus = SimBus()
        bus.attach("nobody who answers")
        port = bus.attach("tester")
        group = group_of(lambda address: SoftIsoTpLink(port, address, IsoTpSettings()))
        assert await survey(group) == {}
        assert await highest_motion(group) == (None, None)

    run_virtual(main())


def assessed(chosen: Definition, settings: CarSettings | None = None) -> Protection:
    async def scenario(bus: SimBus, make: Callable[[IsoTpAddress], SoftIsoTpLink]) -> Protection:
        client = UdsClient(make(physical_address(uds_access(chosen).addressing)))
        return await assess_protection(client)

    return on_bus((chosen,), scenario, settings)


@pytest.mark.parametrize("name", ["pbx-e400", "pbx-s18", "pbx-t300", "pbx-x050", "pbx-fd20"])
def test_an_unprotected_ecu_is_not_suspected(name: str) -> None:
    assert assessed(definition(name)) == Protection(ProtectionKind.NONE)


@pytest.mark.parametrize("silent", [False, True])
def test_a_gateway_is_recognised_by_what_it_stops(silent: bool) -> None:
    found = assessed(E400, CarSettings(gateway=GatewayPolicy(silent=silent)))
    assert found.kind is ProtectionKind.GATEWAY
    assert any("clear fault codes" in sentence for sentence in found.evidence)
    assert "bench" in found.advice


def test_a_certificate_ecu_is_recognised() -> None:
    settings = CarSettings(options={E400.id: EcuOptions(authentication_only=True)})
    found = assessed(E400, settings)
    assert found.kind is ProtectionKind.CERTIFICATE
    assert "0x29" in found.evidence[0]


LEAVE = asked("10 01", "50 01")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (("50 03", "7F 14 13", "7F 2E 33", "7F 31 13"), ProtectionKind.NONE),
        (("50 03", "7F 14 13", "7F 2E 33", "7F 31 33"), ProtectionKind.GATEWAY),
        (("7F 10 33", "7F 14 13", "7F 2E 7F", "7F 31 7F"), ProtectionKind.GATEWAY),
        (("7F 10 22", "7F 14 13", "7F 2E 7F", "7F 31 7F"), ProtectionKind.NONE),
        (("50 03", "7F 14 34"), ProtectionKind.CERTIFICATE),
        (("7F 10 50",), ProtectionKind.CERTIFICATE),
    ],
)
def test_verdicts(answers: tuple[str, ...], kind: ProtectionKind) -> None:
    requests = ("10 03", "14", "2E F190", "31 01")
    probes = [asked(request, answer) for request, answer in zip(requests, answers, strict=False)]
    steps = (asked("3E 00", "7E 00"), asked("29 08", "7F 29 11"), *probes, LEAVE)
    verdict = play(lambda link: assess_protection(UdsClient(link)), *steps)
    assert verdict.kind is kind


def test_an_ecu_that_answers_nothing_is_not_called_protected() -> None:
    steps = [asked("3E 00"), *[asked("3E 00")] * 3]
    with pytest.raises(EcuSilentError):
        play(lambda link: assess_protection(UdsClient(link)), *steps)


@pytest.mark.parametrize(
    ("answers", "second"),
    [
        ((b"\x76\x04", b"\x7e\x00"), False),
        ((b"\x7f\x36\x78", b"\x7f\x3e\x12"), False),
        ((b"\x7e\x00", b"\x7e\x00"), True),
        ((b"\x7e\x00", b"\x7f\x3e\x12"), True),
    ],
)
def test_a_late_answer_to_another_request_is_no_second_ecu(
    answers: tuple[bytes, ...], *, second: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last piece of a write that was cut off is answered when the next operation asks who is there."""

    async def heard(group: FunctionalGroup, payload: bytes, *window: float) -> dict[int, Answers]:
        return {0: Answers(answers) if payload[0] == 0x3E else Answers()}

    monkeypatch.setattr(FunctionalGroup, "answers", heard)
    nobody: Any = None
    asking = require_single_ecu(nobody, ADDRESSES_11_BIT[0])
    if second:
        with pytest.raises(DuplicateEcuError):
            asyncio.run(asking)
    else:
        asyncio.run(asking)


def test_a_late_answer_to_the_same_question_is_no_second_ecu() -> None:
    """It was asked by an operation that was cancelled just before, and comes once."""

    async def scenario(link: ScriptedLink) -> None:
        await require_single_ecu(link, ADDRESSES_11_BIT[0])

    vin = asked("22 F190", "62 F190 41")
    play(scenario, asked("3E 00", "7E 00", "7E 00"), asked("3E 00", "7E 00"), vin)
    play(scenario, asked("3E 00", "7E 00"), asked("22 F190", "62 F190 41", "62 F190 41"), vin)
