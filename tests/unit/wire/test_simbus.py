"""The simulated wire: who wins, what a frame costs, and what faults do to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.can.bits import classic_bits, frame_seconds
from drivers.can.interface import CanBusGoneError, CanFrame
from simulator.bus import Fate, FrameFate, SimBus, SimPort
from simulator.virtualtime import VirtualLoop, run_virtual

ERROR_FRAME_BITS = 20


def log_of(port: SimPort) -> list[tuple[float, CanFrame]]:
    seen: list[tuple[float, CanFrame]] = []
    loop = asyncio.get_running_loop()
    port.subscribe(lambda frame: seen.append((loop.time(), frame)))
    return seen


def fates(*planned: FrameFate | None) -> Callable[[CanFrame], FrameFate | None]:
    left = list(planned)
    return lambda _frame: left.pop(0) if left else None


def arrival_order(queues: list[list[CanFrame]]) -> list[CanFrame]:
    async def main() -> list[CanFrame]:
        bus = SimBus()
        seen = log_of(bus.attach("listener"))
        nodes = [bus.attach(str(number)) for number in range(len(queues))]
        nodes[0].send(CanFrame(0x7FF, b""))  # keeps the wire busy while everyone queues
        for node, frames in zip(nodes, queues, strict=True):
            for frame in frames:
                node.send(frame)
        await asyncio.sleep(1)
        return [frame for _, frame in seen[1:]]

    return run_virtual(main())


def wire_bits(frame: CanFrame) -> str:
    """Arbitration field as sent, dominant 0: the lower string wins."""
    if frame.extended:
        return format(frame.can_id >> 18, "011b") + "11" + format(frame.can_id & 0x3FFFF, "018b")
    return format(frame.can_id, "011b") + "00"


frames = st.one_of(
    st.builds(CanFrame, st.integers(0, 0x7FF), st.binary(max_size=8)),
    st.builds(CanFrame, st.integers(0, 0x1FFF_FFFF), st.binary(max_size=8), st.just(True)),
)


@settings(deadline=None)
@given(st.lists(st.lists(frames, max_size=4), min_size=2, max_size=4))
def test_the_lowest_arbitration_field_goes_first_and_each_node_keeps_its_order(
    queues: list[list[CanFrame]],
) -> None:
    arrived = arrival_order(queues)
    waiting = [list(queue) for queue in queues]
    for frame in arrived:
        heads = [queue for queue in waiting if queue]
        best = min(heads, key=lambda queue: wire_bits(queue[0]))
        assert wire_bits(frame) == wire_bits(best[0])
        next(queue for queue in heads if queue[0] == frame).pop(0)
    assert not any(waiting)


def test_a_frame_arrives_when_its_last_bit_is_over_and_busy_time_is_the_sum() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        bus = SimBus(250_000)
        sender, seen = bus.attach("sender"), log_of(bus.attach("listener"))
        sent_at: list[float] = []
        sent = [CanFrame(0x100 + n, random.Random(n).randbytes(n % 9)) for n in range(50)]
        for frame in sent:
            sender.send(frame, lambda: sent_at.append(loop.time()))
        await asyncio.sleep(1)
        ends = [sum(classic_bits(frame) for frame in sent[: n + 1]) / 250_000 for n in range(50)]
        assert [at for at, _ in seen] == pytest.approx(ends)
        assert sent_at == pytest.approx(ends)
        assert bus.busy_s == pytest.approx(ends[-1])
        assert bus.load() == pytest.approx(ends[-1])
        assert bus.frames == 50

    run_virtual(main())


def test_nodes_do_not_hear_themselves_and_filters_hold() -> None:
    async def main() -> None:
        bus = SimBus()
        one, two = bus.attach("one"), bus.attach("two")
        own, others = log_of(one), log_of(two)
        chosen: list[CanFrame] = []
        unsubscribe = two.subscribe(chosen.append, frozenset({0x7E8}))
        for can_id in (0x7E0, 0x7E8):
            one.send(CanFrame(can_id, b"\x01"))
        await asyncio.sleep(0.1)
        assert own == []
        assert [frame.can_id for _, frame in others] == [0x7E0, 0x7E8]
        assert [frame.can_id for frame in chosen] == [0x7E8]
        unsubscribe()
        one.send(CanFrame(0x7E8, b"\x02"))
        await asyncio.sleep(0.1)
        assert len(chosen) == 1

    run_virtual(main())


def test_a_lone_node_waits_for_somebody_to_acknowledge() -> None:
    async def main() -> None:
        bus = SimBus()
        sender, sent = bus.attach("sender"), asyncio.Event()
        sender.send(CanFrame(0x100, b"\x01"), sent.set)
        await asyncio.sleep(10)
        assert not sent.is_set()
        bus.attach("late")
        await asyncio.wait_for(sent.wait(), 0.001)

    run_virtual(main())


@pytest.mark.parametrize(
    ("fate", "arrivals"),
    [
        (FrameFate(Fate.LOST), [b"\x02"]),
        (FrameFate(Fate.DOUBLED), [b"\x01", b"\x01", b"\x02"]),
        (FrameFate(Fate.LATE, delay_s=0.01), [b"\x02", b"\x01"]),
        (FrameFate(Fate.GARBLED, data=b"\xee\xee"), [b"\xee\xee", b"\x02"]),
        (FrameFate(Fate.CORRUPTED), [b"\x01", b"\x02"]),
    ],
)
def test_a_faulty_frame_still_counts_as_sent(fate: FrameFate, arrivals: list[bytes]) -> None:
    async def main() -> None:
        bus = SimBus()
        bus.fault = fates(fate)
        sender, seen = bus.attach("sender"), log_of(bus.attach("listener"))
        sent: list[bytes] = []
        for data in (b"\x01", b"\x02"):
            sender.send(CanFrame(0x100, data), lambda data=data: sent.append(data))  # type: ignore[misc]
        await asyncio.sleep(1)
        assert [frame.data for _, frame in seen] == arrivals
        assert sent == [b"\x01", b"\x02"]

    run_virtual(main())


def test_a_garbled_frame_keeps_everything_but_its_data() -> None:
    async def main() -> None:
        bus = SimBus(data_bitrate_bps=2_000_000)
        bus.fault = fates(FrameFate(Fate.GARBLED, data=b"\x09"))
        sender, seen = bus.attach("sender"), log_of(bus.attach("listener"))
        sender.send(CanFrame(0x18DAF110, b"\x01", True, True, True))
        await asyncio.sleep(1)
        assert seen[0][1] == CanFrame(0x18DAF110, b"\x09", True, True, True)

    run_virtual(main())


def test_a_corrupted_frame_is_sent_again_at_once_and_costs_an_error_frame() -> None:
    async def main() -> None:
        bus = SimBus()
        bus.fault = fates(FrameFate(Fate.CORRUPTED), FrameFate(Fate.CORRUPTED))
        sender, listener = bus.attach("sender"), bus.attach("listener")
        seen = log_of(listener)
        frame = CanFrame(0x100, b"\x01")
        sender.send(frame)
        listener.send(CanFrame(0x001, b""))  # a lower identifier does not get in between
        await asyncio.sleep(1)
        expected = 3 * frame_seconds(frame, 500_000, None) + 2 * ERROR_FRAME_BITS / 500_000
        assert seen[0][0] == pytest.approx(expected)
        assert sender.health().tx_errors == 15  # 8 up each time, 1 down for the success
        assert listener.health().rx_errors == 1

    run_virtual(main())


def test_error_counters_come_down_again_with_good_frames() -> None:
    async def main() -> None:
        bus = SimBus()
        bus.fault = fates(FrameFate(Fate.CORRUPTED))
        sender, listener = bus.attach("sender"), bus.attach("listener")
        for _ in range(20):
            sender.send(CanFrame(0x100, b"\x01"))
        await asyncio.sleep(1)
        assert sender.health().tx_errors == listener.health().rx_errors == 0

    run_virtual(main())


def test_a_node_whose_frames_never_get_through_goes_bus_off() -> None:
    async def main() -> None:
        bus = SimBus()
        bus.fault = lambda _frame: FrameFate(Fate.CORRUPTED)
        sender, listener = bus.attach("sender"), bus.attach("listener")
        gone: list[CanBusGoneError] = []
        sender.on_gone(gone.append)
        sender.send(CanFrame(0x100, b"\x01"))
        await asyncio.sleep(1)
        assert [str(error) for error in gone] == ["bus-off"]
        assert sender.health().bus_off
        assert not listener.health().bus_off
        assert bus.busy_s * 500_000 == pytest.approx(
            32 * classic_bits(CanFrame(0x100, b"\x01")) + 31 * ERROR_FRAME_BITS
        )
        with pytest.raises(CanBusGoneError, match="bus-off"):
            sender.send(CanFrame(0x100, b"\x01"))

    run_virtual(main())


def test_a_closed_port_sends_and_hears_nothing_more() -> None:
    async def main() -> None:
        bus = SimBus()
        one, two, three = (bus.attach(name) for name in ("one", "two", "three"))
        heard = log_of(three)
        two_heard = log_of(two)
        one.send(CanFrame(0x100, b"\x01"))
        two.send(CanFrame(0x200, b"\x02"))
        two.close()
        await asyncio.sleep(1)
        assert [frame.can_id for _, frame in heard] == [0x100]
        assert two_heard == []

    run_virtual(main())


def test_an_answer_and_the_next_frame_of_the_sender_arbitrate_fairly() -> None:
    """Both are ready when a frame ends; the lower identifier goes first, not whoever was called first."""

    async def main() -> None:
        bus = SimBus()
        host, ecu, watcher = (bus.attach(name) for name in ("host", "ecu", "watcher"))
        seen = log_of(watcher)
        ecu.subscribe(lambda frame: ecu.send(CanFrame(0x7E8, b"")), frozenset({0x123}))
        host.send(CanFrame(0x123, b""), lambda: host.send(CanFrame(0x7E0, b"")))
        await asyncio.sleep(1)
        assert [frame.can_id for _, frame in seen] == [0x123, 0x7E0, 0x7E8]

    run_virtual(main())


def test_a_late_loop_does_not_slow_the_wire_down() -> None:
    """Under a wall clock, timers fire late; frames that queue up still follow each other without gaps."""

    class LateLoop(VirtualLoop):
        def time(self) -> float:
            return super().time() // 0.002 * 0.002 if hasattr(self, "_virtual") else 0.0

    async def main() -> float:
        loop = asyncio.get_running_loop()
        bus = SimBus()
        bus.attach("listener")
        sender, done = bus.attach("sender"), asyncio.Event()
        for _ in range(999):
            sender.send(CanFrame(0x100, bytes(8)))
        sender.send(CanFrame(0x100, bytes(8)), done.set)
        await done.wait()
        return loop.time() - bus.busy_s

    with asyncio.Runner(loop_factory=LateLoop) as runner:
        assert runner.run(main()) < 0.005


def busy_hour(loop_factory: Callable[[], VirtualLoop]) -> list[tuple[float, str, CanFrame | None]]:
    """Everything that three nodes, a fault hook and timers in between see, with its time."""

    async def main() -> list[tuple[float, str, CanFrame | None]]:
        loop, bus, dice = asyncio.get_running_loop(), SimBus(), random.Random(5)
        seen: list[tuple[float, str, CanFrame | None]] = []

        def tell(what: str, frame: CanFrame | None = None) -> None:
            seen.append((loop.time(), what, frame))

        def fate(frame: CanFrame) -> FrameFate | None:
            tell("fault", frame)
            kind = dice.choice([None] * 20 + list(Fate))
            return kind and FrameFate(kind, dice.random() / 1000, b"?")

        bus.fault = fate
        ports = [bus.attach(str(number)) for number in range(3)]

        def talk(port: SimPort, left: int) -> None:
            tell(f"{port.name} sends")
            if left:
                frame = CanFrame(dice.randrange(0x800), dice.randbytes(8))
                again = [
                    lambda: talk(port, left - 1),
                    lambda: loop.call_later(dice.random() / 500, talk, port, left - 1),
                ]
                port.send(frame, dice.choice(again))  # type: ignore[arg-type]

        for port in ports:
            port.subscribe(lambda frame, name=port.name: tell(name, frame))  # type: ignore[misc]
            talk(port, 300)
        for _ in range(300):
            await asyncio.sleep(dice.random() / 100)
            tell("awake")
        await asyncio.sleep(10)
        return seen

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())


def test_frames_that_follow_without_a_turn_of_the_loop_are_seen_as_with_one() -> None:
    class TurnByTurn(VirtualLoop):
        def leap_to(self, when_s: float) -> bool:
            return False

    leapt: list[bool] = []

    class Counting(VirtualLoop):
        def leap_to(self, when_s: float) -> bool:
            leapt.append(super().leap_to(when_s))
            return leapt[-1]

    assert busy_hour(Counting) == busy_hour(TurnByTurn)
    assert sum(leapt) > 200
