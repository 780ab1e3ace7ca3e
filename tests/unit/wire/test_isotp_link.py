"""The ISO-TP state machine on the simulated wire, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpError, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import CanFrame
from simulator.bus import Fate, FaultHook, FrameFate, SimBus, SimPort
from simulator.virtualtime import run_virtual

NORMAL = IsoTpAddress(0x7E0, 0x7E8)
ADDRESSES = [
    NORMAL,
    IsoTpAddress(0x18DA10F1, 0x18DAF110, extended_ids=True),
    IsoTpAddress(0x6F1, 0x612, tx_extension=0x12, rx_extension=0xF1),
    IsoTpAddress(0x7E0, 0x7E8, tx_extension=0x55, rx_extension=0x55),
]


def mirrored(address: IsoTpAddress) -> IsoTpAddress:
    return IsoTpAddress(
        address.rx_id, address.tx_id, address.extended_ids, address.rx_extension, address.tx_extension
    )


@dataclass
class Rig:
    bus: SimBus
    tester: SoftIsoTpLink
    ecu: SoftIsoTpLink
    ports: tuple[SimPort, SimPort]
    trace: list[tuple[float, CanFrame]]

    def sent_by(self, can_id: int) -> list[bytes]:
        return [frame.data for _, frame in self.trace if frame.can_id == can_id]


def rig(
    address: IsoTpAddress = NORMAL,
    tester: IsoTpSettings | None = None,
    ecu: IsoTpSettings | None = None,
    fault: FaultHook | None = None,
) -> Rig:
    loop = asyncio.get_running_loop()
    bus = SimBus(500_000, 2_000_000)
    bus.fault = fault
    trace: list[tuple[float, CanFrame]] = []
    bus.tap = lambda frame: trace.append((loop.time(), frame))
    ports = bus.attach("tester"), bus.attach("ecu")
    return Rig(
        bus,
        SoftIsoTpLink(ports[0], address, tester),
        SoftIsoTpLink(ports[1], mirrored(address), ecu),
        ports,
        trace,
    )


def nth(number: int, fate: FrameFate, matches: Callable[[CanFrame], bool]) -> FaultHook:
    """The fate of the n-th (from 1) frame that matches."""
    seen = 0

    def hook(frame: CanFrame) -> FrameFate | None:
        nonlocal seen
        seen += matches(frame)
        return fate if matches(frame) and seen == number else None

    return hook


def consecutive(frame: CanFrame) -> bool:
    return frame.can_id == 0x7E0 and frame.data[0] >> 4 == 2


def numbered(length: int) -> bytes:
    return bytes((n * 7 + n // 251) & 0xFF for n in range(length))


async def moved(one: SoftIsoTpLink, other: SoftIsoTpLink, payload: bytes) -> bytes:
    async with asyncio.TaskGroup() as group:
        group.create_task(one.send(payload))
        arrival = group.create_task(other.receive(5))
    return arrival.result()


lengths = st.one_of(
    st.integers(1, 5000), st.integers(1, 70), st.sampled_from([6, 7, 8, 61, 62, 63, 4094, 4095, 4096, 5000])
)


@settings(max_examples=150, deadline=None)
@given(
    lengths,
    st.sampled_from(ADDRESSES),
    st.sampled_from([8, 12, 16, 20, 24, 32, 48, 64]),
    st.sampled_from([0, 1, 8, 255]),
    st.sampled_from([0, 0x0A, 0xF3, 0x7F]),
    st.booleans(),
)
def test_every_payload_arrives_in_both_directions(
    length: int, address: IsoTpAddress, frame_bytes: int, block_size: int, stmin: int, pads: bool
) -> None:
    payload = numbered(length)

    async def main() -> None:
        ours = IsoTpSettings(
            block_size, stmin, frame_bytes, bit_rate_switch=True, padding=0x55 if pads else None
        )
        both = rig(address, ours, ours)
        assert await moved(both.tester, both.ecu, payload) == payload
        assert await moved(both.ecu, both.tester, payload) == payload
        assert all(len(frame.data) <= frame_bytes for _, frame in both.trace)
        assert all(frame.fd == (frame_bytes > 8) for _, frame in both.trace)
        assert all(len(frame.data) == 8 for _, frame in both.trace if pads and frame_bytes == 8)

    run_virtual(main())


@pytest.mark.parametrize(("block_size", "flow_controls"), [(0, 1), (1, 14), (8, 2), (14, 1), (13, 2)])
def test_the_receiver_gets_its_flow_control_after_each_block_but_not_after_the_last_frame(
    block_size: int, flow_controls: int
) -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(block_size=block_size))
        await moved(both.tester, both.ecu, numbered(6 + 14 * 7))
        assert len(both.sent_by(0x7E8)) == flow_controls

    run_virtual(main())


@pytest.mark.parametrize(
    ("stmin", "override_us", "gap_s"),
    [
        (0, None, 0),
        (5, None, 0.005),
        (0xF3, None, 0.0003),
        (0x90, None, 0.127),
        (0x7F, 0, 0),
        (0, 350, 0.00035),
    ],
)
def test_consecutive_frames_keep_their_distance(stmin: int, override_us: int | None, gap_s: float) -> None:
    async def main() -> None:
        both = rig(tester=IsoTpSettings(stmin_override_us=override_us), ecu=IsoTpSettings(stmin=stmin))
        await moved(both.tester, both.ecu, bytes(50))
        ends = [at for at, frame in both.trace if consecutive(frame)]
        frame_s = both.bus.busy_s / len(both.trace)
        gaps = [later - sooner for sooner, later in itertools.pairwise(ends)]
        assert min(gaps) == pytest.approx(gap_s + frame_s, abs=3e-5)
        assert max(gaps) == pytest.approx(gap_s + frame_s, abs=3e-5)

    run_virtual(main())


def test_without_separation_time_the_wire_is_never_idle() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = rig()
        await moved(both.tester, both.ecu, numbered(4095))
        assert both.bus.busy_s == pytest.approx(loop.time())

    run_virtual(main())


async def failing_send(both: Rig, payload: bytes) -> str:
    with pytest.raises(IsoTpError) as caught:
        await both.tester.send(payload)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (FrameFate(Fate.LOST), "came where"),
        (FrameFate(Fate.DOUBLED), "came where"),
        (FrameFate(Fate.LATE, delay_s=0.01), "came where"),
        (FrameFate(Fate.GARBLED, data=b"\x2f" + bytes(7)), "came where"),
        (FrameFate(Fate.GARBLED, data=b""), "came where"),
    ],
)
def test_a_damaged_row_of_frames_is_noticed_and_the_next_payload_arrives(fate: FrameFate, told: str) -> None:
    async def main() -> None:
        both = rig(fault=nth(3, fate, consecutive))
        with pytest.raises(IsoTpError, match=told):
            async with asyncio.timeout(3):
                await asyncio.gather(both.tester.send(numbered(100)), both.ecu.receive(1))
        await asyncio.sleep(1)
        both.ecu.drain()
        assert await moved(both.tester, both.ecu, numbered(200)) == numbered(200)

    run_virtual(main())


def test_a_lost_last_frame_is_told_after_n_cr() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = rig(ecu=IsoTpSettings(timeout_s=0.4), fault=nth(2, FrameFate(Fate.LOST), consecutive))
        await both.tester.send(numbered(20))
        sent_at = loop.time()
        with pytest.raises(IsoTpError, match="N_Cr"):
            await both.ecu.receive(0.1)
        assert loop.time() - sent_at == pytest.approx(0.4, abs=0.01)
        assert await moved(both.tester, both.ecu, b"next") == b"next"

    run_virtual(main())


def test_a_trickle_of_frames_has_an_end() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = rig(ecu=IsoTpSettings(stmin=0x7F, reassembly_s=5.0))
        sending = loop.create_task(both.tester.send(numbered(4000)))
        with pytest.raises(IsoTpError, match="too slowly"):
            await both.ecu.receive(1.0)
        assert 5.0 <= loop.time() <= 5.2
        await sending
        assert both.ecu.drain() == 0
        assert await moved(both.tester, both.ecu, numbered(200)) == numbered(200)

    run_virtual(main())


def test_first_frames_without_end_are_no_answer() -> None:
    """Each of them begins anew, so that neither N_Cr nor the ceiling of one payload ever runs out."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = rig(tester=IsoTpSettings(reassembly_s=5.0))

        async def openings() -> None:
            while True:
                both.ports[1].send(CanFrame(0x7E8, bytes.fromhex("1FFF112233445566")))
                await asyncio.sleep(0.5)

        sending = loop.create_task(openings())
        with pytest.raises(TimeoutError):
            await both.tester.receive(2.0)
        assert 2.0 <= loop.time() <= 2.6
        sending.cancel()

    run_virtual(main())


def test_a_payload_that_began_in_time_is_waited_for() -> None:
    async def main() -> None:
        both = rig(tester=IsoTpSettings(stmin=0x7F))
        sending = asyncio.get_running_loop().create_task(both.ecu.send(numbered(400)))
        assert await both.tester.receive(0.01) == numbered(400)
        await sending

    run_virtual(main())


def test_a_receiver_that_asks_to_wait_before_every_frame_is_given_up() -> None:
    """Each row of waits is allowed, and N_Bs starts again with each: 585 frames would take hours."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = rig(tester=IsoTpSettings(timeout_s=1.0))
        both.ecu.close()

        async def slow() -> None:
            while True:
                for _ in range(15):
                    both.ports[1].send(CanFrame(0x7E8, bytes.fromhex("310000")))
                    await asyncio.sleep(0.9)
                both.ports[1].send(CanFrame(0x7E8, bytes.fromhex("300100")))

        stalling = loop.create_task(slow())
        assert "too slowly" in await failing_send(both, numbered(200))
        assert loop.time() < 30
        stalling.cancel()

    run_virtual(main())


@pytest.mark.parametrize("gap_s", [0.95, 1.05])
def test_n_bs_starts_again_with_each_wait(gap_s: float) -> None:
    async def main() -> None:
        both = rig()
        both.ecu.close()

        async def waits() -> None:
            for pci in ("310000", "310000", "310000", "300000"):
                await asyncio.sleep(gap_s)
                both.ports[1].send(CanFrame(0x7E8, bytes.fromhex(pci)))

        waiting = asyncio.get_running_loop().create_task(waits())
        if gap_s < 1:
            await both.tester.send(numbered(20))
        else:
            assert "N_Bs" in await failing_send(both, numbered(20))
        waiting.cancel()

    run_virtual(main())


@pytest.mark.parametrize("n_bs_s", [1.0, 2.0])
def test_a_lost_flow_control_is_told_after_n_bs(n_bs_s: float) -> None:
    """As what it is, also where the time for the whole payload is nearly up: 2.5 s without frames to wait."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        settings = IsoTpSettings(timeout_s=n_bs_s, max_wait_frames=0)
        both = rig(
            tester=settings, fault=lambda frame: FrameFate(Fate.LOST) if frame.can_id == 0x7E8 else None
        )
        assert "N_Bs" in await failing_send(both, numbered(20))
        assert loop.time() == pytest.approx(n_bs_s, abs=0.01)

    run_virtual(main())


def test_nobody_there_is_told_too() -> None:
    async def main() -> None:
        both = rig()
        both.ports[1].close()
        assert "N_Bs" in await failing_send(both, b"\x3e\x00")

    run_virtual(main())


@pytest.mark.parametrize("waits", [0, 1, 16])
def test_wait_frames_are_endured_up_to_the_limit(waits: int) -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(wait_frames=waits))
        assert await moved(both.tester, both.ecu, numbered(50)) == numbered(50)
        assert [data[0] for data in both.sent_by(0x7E8)] == [0x31] * waits + [0x30]

    run_virtual(main())


def test_one_wait_frame_too_many_ends_the_transfer() -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(wait_frames=17))
        assert "wait 17 times" in await failing_send(both, numbered(50))

    run_virtual(main())


def test_waiting_does_not_outlive_the_transfer_it_belongs_to() -> None:
    """A first frame that repeats while the first is held back gets one row of flow controls, not two."""

    async def main() -> None:
        both = rig(ecu=IsoTpSettings(wait_frames=3))
        opening = CanFrame(0x7E0, bytes.fromhex("1014112233445566"))
        both.ports[0].send(opening)
        await asyncio.sleep(0.03)
        both.ports[0].send(opening)
        await asyncio.sleep(0.5)
        assert [data[0] for data in both.sent_by(0x7E8)] == [0x31] * 5 + [0x30]
        both.ports[0].send(opening)
        await asyncio.sleep(0.03)
        both.ecu.close()
        await asyncio.sleep(0.5)
        assert len(both.sent_by(0x7E8)) == 6 + 2

    run_virtual(main())


def test_overflow_is_told_at_once_and_the_receiver_stays_usable() -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(max_payload_bytes=30))
        assert "FC.OVERFLOW" in await failing_send(both, numbered(31))
        assert await moved(both.tester, both.ecu, numbered(30)) == numbered(30)

    run_virtual(main())


def test_a_receiver_is_not_left_waiting_when_a_transfer_gives_way_to_an_overflow() -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(max_payload_bytes=30))
        waiting = asyncio.ensure_future(both.ecu.receive(0.05))
        both.ports[0].send(CanFrame(0x7E0, bytes.fromhex("1014112233445566")))
        await asyncio.sleep(0.2)
        both.ports[0].send(CanFrame(0x7E0, bytes.fromhex("1fff112233445566")))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 3)

    run_virtual(main())


@pytest.mark.parametrize("pci", ["3300000000000000", "30", "3f"])
def test_a_broken_flow_control_ends_the_transfer(pci: str) -> None:
    async def main() -> None:
        both = rig(
            fault=nth(1, FrameFate(Fate.GARBLED, data=bytes.fromhex(pci)), lambda f: f.can_id == 0x7E8)
        )
        assert "invalid flow control" in await failing_send(both, numbered(50))

    run_virtual(main())


def test_receiving_times_out_only_before_a_payload_begins() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        both = rig(ecu=IsoTpSettings(stmin=0x7F))
        with pytest.raises(TimeoutError, match="50 ms"):
            await both.ecu.receive(0.05)
        assert loop.time() == pytest.approx(0.05)
        sending = asyncio.ensure_future(both.tester.send(numbered(100)))
        assert await both.ecu.receive(0.05) == numbered(100)  # takes 14 * 127 ms
        await sending

    run_virtual(main())


def test_a_payload_that_begins_in_time_is_waited_for_even_right_after_another() -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(stmin=20))
        assert await moved(both.tester, both.ecu, numbered(30)) == numbered(30)
        waiting = asyncio.ensure_future(both.ecu.receive(0.05))
        await asyncio.sleep(0.04)
        await both.tester.send(numbered(60))
        assert await waiting == numbered(60)

    run_virtual(main())


@pytest.mark.parametrize("after_s", [0.0, 0.0001, 0.0003, 0.0006, 0.002, 0.01])
def test_a_send_that_was_given_up_does_not_disturb_the_next(after_s: float) -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(block_size=4))
        sending = asyncio.ensure_future(both.tester.send(numbered(500)))
        await asyncio.sleep(after_s)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert await moved(both.tester, both.ecu, numbered(300)) == numbered(300)

    run_virtual(main())


def test_two_payloads_cannot_be_sent_at_once() -> None:
    async def main() -> None:
        both = rig()
        first = asyncio.ensure_future(both.tester.send(numbered(500)))
        await asyncio.sleep(0)
        with pytest.raises(IsoTpError, match="already being sent"):
            await both.tester.send(b"\x3e\x00")
        await first
        assert await both.ecu.receive(1) == numbered(500)

    run_virtual(main())


def test_two_cannot_wait_for_the_same_payload() -> None:
    async def main() -> None:
        both = rig()
        first = asyncio.ensure_future(both.ecu.receive(1))
        await asyncio.sleep(0)
        with pytest.raises(IsoTpError, match="already waits"):
            await both.ecu.receive(1)
        await both.tester.send(b"\x3e\x00")
        assert await first == b"\x3e\x00"

    run_virtual(main())


def test_an_empty_payload_is_refused_and_nothing_is_sent() -> None:
    async def main() -> None:
        both = rig()
        assert "empty" in await failing_send(both, b"")
        assert both.trace == []

    run_virtual(main())


def test_both_directions_at_once() -> None:
    async def main() -> None:
        both = rig(ecu=IsoTpSettings(block_size=3), tester=IsoTpSettings(block_size=2))
        there, back = numbered(700), numbered(900)[::-1]
        arrived = await asyncio.gather(
            moved(both.tester, both.ecu, there), moved(both.ecu, both.tester, back)
        )
        assert tuple(arrived) == (there, back)

    run_virtual(main())


def test_a_bus_that_goes_away_is_told_to_sender_and_receiver_and_stays_told() -> None:
    async def main() -> None:
        both = rig()
        sending = asyncio.ensure_future(both.tester.send(numbered(4000)))
        receiving = asyncio.ensure_future(both.tester.receive(100))
        await asyncio.sleep(0.02)
        both.ports[0].lose("can0 is down")
        for task in (sending, receiving):
            with pytest.raises(IsoTpError, match="can0 is down"):
                await asyncio.wait_for(task, 0.001)
        both.tester.drain()
        with pytest.raises(IsoTpError, match="can0 is down"):
            await both.tester.receive(1)
        assert "can0 is down" in await failing_send(both, b"\x3e\x00")

    run_virtual(main())


def test_a_bus_that_was_gone_before_is_told_when_sending() -> None:
    async def main() -> None:
        both = rig()
        both.ports[0].lose("can0 is down")
        late = SoftIsoTpLink(both.ports[0], NORMAL)
        with pytest.raises(IsoTpError, match="can0 is down"):
            await late.send(b"\x3e\x00")

    run_virtual(main())


def test_a_closed_link_hears_nothing_and_lets_its_waiters_go() -> None:
    async def main() -> None:
        both = rig()
        waiting = asyncio.ensure_future(both.ecu.receive(100))
        await asyncio.sleep(0.01)
        both.ecu.close()
        with pytest.raises(IsoTpError, match="closed"):
            await asyncio.wait_for(waiting, 1)
        assert "N_Bs" in await failing_send(both, numbered(20))
        assert both.sent_by(0x7E8) == []

    run_virtual(main())


def test_payloads_that_nobody_asked_for_can_be_dropped() -> None:
    async def main() -> None:
        both = rig()
        for text in (b"one", b"two"):
            await both.tester.send(text)
        await asyncio.sleep(0.1)
        assert both.ecu.drain() == 2
        with pytest.raises(TimeoutError):
            await both.ecu.receive(0.1)

    run_virtual(main())


def test_frames_of_other_addresses_are_not_ours() -> None:
    async def main() -> None:
        both = rig(ADDRESSES[2])
        for frame in (
            CanFrame(0x6F1, bytes.fromhex("1302aabb")),  # another ECU behind the same identifier
            CanFrame(0x6F1, b""),
            CanFrame(0x6F1, b"\x12"),
            CanFrame(0x6F1, bytes.fromhex("1202aabb"), extended=True),
            CanFrame(0x6F2, bytes.fromhex("1202aabb")),
        ):
            both.ports[0].send(frame)
        with pytest.raises(TimeoutError):
            await both.ecu.receive(0.1)
        both.ports[0].send(CanFrame(0x6F1, bytes.fromhex("1202aabb")))
        assert await both.ecu.receive(0.1) == b"\xaa\xbb"

    run_virtual(main())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0x7E0, 0x7E8]), st.binary(max_size=8)), max_size=60),
    st.integers(1, 200),
)
def test_any_frames_at_all_end_in_a_payload_or_an_isotp_error(
    garbage: list[tuple[int, bytes]], length: int
) -> None:
    async def main() -> None:
        failures: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
        both = rig()
        joker = both.bus.attach("joker")
        for can_id, data in garbage:
            joker.send(CanFrame(can_id, data))
        await asyncio.gather(
            both.tester.send(numbered(length)), both.ecu.receive(0.2), return_exceptions=True
        )
        await asyncio.sleep(3)
        for link in (both.tester, both.ecu):
            link.drain()
        assert await moved(both.tester, both.ecu, numbered(length)) == numbered(length)
        assert failures == []

    run_virtual(main())
