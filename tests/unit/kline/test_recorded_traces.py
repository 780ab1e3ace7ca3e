"""What others have published of cars on a K-line, played to our host byte by byte.

Told as recorded at a car: `iwanders/OBD9141` issues 32 (key bytes EA 8F, a length byte in each header) and 41
(E9 8F by 5 bit/s); `domnulvlad/KLineKWP1281Lib` issue 8 (01 8A); `fr3ts0n/AndrOBD` issue 174 (what mode 09
offers on an Audi A3); `fjvva/ecu-tool` (how an EDC15 and an EDC16 wake).

Frames of a public project's tests or documentation, of which nobody here knows how much a car has sent:
freediag's file of a Berlingo (EA 8F, and PID 01 is not among what it supports), and those of LTOBD2 over
ISO 14230-4 and ISO 9141-2, where engine and gearbox controllers (10 and 17) answer in turn, with an
altered VIN.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from appliance.protocols.access import LinkLostError
from appliance.protocols.kwp2000.framing import HeaderForm, decode
from appliance.protocols.kwp2000.keybytes import KeyBytes
from appliance.protocols.kwp2000.legislated import survey_of
from appliance.protocols.kwp2000.timing import KwpTiming
from appliance.protocols.kwp2000.waking import wake_fast
from appliance.protocols.registry import Legislated
from drivers.kline.simulated import SimulatedKLine
from simulator.kline.wire import KWire
from simulator.virtualtime import run_virtual

STARTED_EA = "80F11003C1EA8FBE"
VIN_KWP = [
    "87F11049020100000057 2B",
    "87F110490202 44582D53 F1",
    "87F110490203 494D3030 CC",
    "87F110490204 31393231 A4",
    "87F110490205 32333435 A6",
]
VIN_9141 = [
    "486B10490201 00000057 66",
    "486B10490202 44582D53 2C",
    "486B10490203 494D3030 07",
    "486B10490204 31393231 DF",
    "486B10490205 32333435 E1",
]
WDX = "WDX-SIM0019212345"


def summed(data: str) -> str:
    """With the checksum, where the record leaves it out."""
    raw = bytes.fromhex(data)
    return (raw + bytes((sum(raw) % 256,))).hex()


class Published:
    """Plays what was published; it answers nothing else."""

    def __init__(self, wire: KWire, answers: dict[str, list[str]], woken_by: str = "") -> None:
        """`woken_by` is what comes to an address at 5 bit/s: synch byte and key bytes."""
        self._answers = {bytes.fromhex(asked): told for asked, told in answers.items()}
        self._woken_by = bytes.fromhex(woken_by)
        self._node = wire.attach("published")
        self._node.on_byte, self._node.on_level = self._byte, self._level
        self._loop = asyncio.get_running_loop()
        self._heard = bytearray()
        self._low_s = self._began_s = 0.0
        self._own = 0

    def _level(self, low: bool) -> None:
        now_s = self._loop.time()
        if low and now_s - self._began_s > 3:
            self._began_s = now_s
            if self._woken_by:
                self._loop.call_later(2.1, self._say, [self._woken_by.hex()])
        self._heard.clear()

    def _byte(self, value: int) -> None:
        if self._own:
            self._own -= 1
            return
        self._heard.append(value)
        for asked, told in self._answers.items():
            if self._heard.endswith(asked):
                self._heard.clear()
                self._loop.call_later(0.03, self._say, told)

    def _say(self, told: list[str]) -> None:
        data = bytes.fromhex(told[0])
        self._own += len(data)
        self._node.send(data)
        if told[1:]:
            self._loop.call_later(len(data) * 10 / 10_400 + 0.03, self._say, told[1:])


def played(answers: dict[str, list[str]], woken_by: str = "") -> Legislated | None:
    async def inside() -> Legislated | None:
        wire = KWire()
        Published(wire, answers, woken_by)
        return await survey_of(SimulatedKLine(wire.attach("box")))

    return on_virtual_time(inside())


def on_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
    return run_virtual(work)


def test_two_controllers_over_kwp2000_answer_in_turn() -> None:
    told = played(
        {
            "C133F18166": ["83F110C1E98FBD"],
            summed("C233F10100"): ["86F1104100B87B30103B", "86F117410080008003D2"],
            summed("C233F10120"): ["83F1107F011216", "83F1177F01121D"],
            summed("C233F10900"): [summed("87F1104900 01 F0000000"), summed("83F1177F0912")],
            summed("C233F10902"): VIN_KWP,
            summed("C233F10904"): [summed("83F1107F0912"), summed("83F1177F0912")],
        }
    )
    assert told is not None
    assert told.vin == WDX
    assert bytes(told.pids).hex() == "010304050a0b0c0d0f101113141c1f"


def test_two_controllers_over_iso_9141_answer_in_turn() -> None:
    told = played(
        {
            "F7": ["CC"],
            summed("686AF10100"): ["486B104100B87B301077", "486B174100800080030E"],
            summed("686AF10900"): [summed("486B10490001F0000000")],
            summed("686AF10902"): VIN_9141,
        },
        "55 08 08",
    )
    assert told is not None
    assert (told.spoken, told.key_bytes, told.vin) == ("ISO 9141-2, woken by 5 bit/s", "08 08", WDX)


def test_an_ecu_that_wants_a_length_byte_is_asked_with_one() -> None:
    """Key bytes EA 8F: no length in the format byte. It says that it has no PID 01."""
    told = played(
        {
            "C133F18166": [STARTED_EA],
            summed("C033F1020100"): [summed("80F1100641005818 0000")],
        }
    )
    assert told == Legislated("KWP2000, woken by a pulse", "EA 8F", None, (0x02, 0x04, 0x05, 0x0C, 0x0D))


def test_a_car_that_says_no_more_than_its_key_bytes_is_identified_by_them() -> None:
    told = played({"70": ["CC"]}, "55 E9 8F")
    assert told == Legislated("KWP2000, woken by 5 bit/s", "E9 8F", None, ())


def test_an_instrument_of_kwp1281_is_told_as_such() -> None:
    with pytest.raises(LinkLostError, match=r"01 8A \(KWP1281\)"):
        played({}, "55 01 8A")


def test_key_bytes_that_name_nothing_are_told_and_not_spoken_to() -> None:
    """As an emulator of ECUs says them (8F 8F: 1935, and KWP2000 begins at 2000), whose frames are right."""
    with pytest.raises(LinkLostError, match=r"8F 8F \(unknown\)"):
        played({"C133F18166": ["83F133C18F8F86"], summed("C233F10100"): [summed("86F1334100BE3FA813")]})


def test_a_vin_in_one_message_as_on_can_is_none() -> None:
    told = played(
        {
            "C133F18166": ["83F133C1E98FE0"],
            summed("C233F10100"): [summed("86F133 4100 BE3FA812")],
            summed("C233F10900"): [summed("86F133 4900 40000000")],
            summed("C233F10902"): [summed("94F133 490201 5750305A5A5A39395A54533339303030 30")],
        }
    )
    assert told is not None and told.vin is None and 0x0C in told.pids


@pytest.mark.parametrize(
    ("target", "answer", "keys"),
    [(0x01, "83F101C16B8F", (0x6B, 0x8F)), (0x10, "83F110C1EF8F", (0xEF, 0x8F))],
)
def test_edc15_and_edc16_are_woken_as_their_traces_say(
    target: int, answer: str, keys: tuple[int, int]
) -> None:
    async def inside() -> KeyBytes:
        wire = KWire()
        Published(wire, {summed(f"81{target:02X}F181"): [summed(answer)]})
        return await wake_fast(SimulatedKLine(wire.attach("box")), HeaderForm(target), KwpTiming())

    assert on_virtual_time(inside()) == KeyBytes(*keys)


@pytest.mark.parametrize("published", [*VIN_KWP, STARTED_EA, "86F1104100B87B30103B", "83F1107F011216"])
def test_published_messages_are_whole(published: str) -> None:
    assert decode(bytes.fromhex(published)).target == 0xF1
