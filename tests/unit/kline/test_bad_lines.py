"""What a person plugs in wrong, or pulls out: told by a code of its own, the journal right, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.definitions.library import Library
from appliance.definitions.schema import Definition
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.safety import standing
from appliance.protocols.access import LineFault, LinkLostError
from appliance.protocols.kwp2000.link import line_errors
from drivers.kline.interface import HeldLowError, NoEchoError, RateError
from simulator.virtualtime import run_virtual
from tests.support.kwp_box import KwpBox, KwpCar, stock, tuned
from tests.support.kwp_definition import edc15_kind, me7_kind

from .pty_line import line_over_a_pty, on_a_patient_loop

ME7, EDC15 = me7_kind(), edc15_kind()
Fault = Callable[[KwpBox], None]


def dead(at: KwpBox) -> None:
    at.car.wire.dead = True


def shorted(at: KwpBox) -> None:
    at.car.wire.stuck_low = True


def unplugged(at: KwpBox) -> None:
    at.ports.lines[-1].lose("unplugged")


def mended(at: KwpBox) -> None:
    at.car.wire.dead = at.car.wire.stuck_low = False


def told(error: PitboxError) -> None:
    """The five answers."""
    assert error.code and error.what and error.do_now.endswith((".", "?"))


LINES: dict[str, tuple[Fault, str]] = {
    "no echo": (dead, "LINE_NO_ECHO"),
    "held low": (shorted, "LINE_HELD_LOW"),
}


@pytest.mark.parametrize("kind", [ME7, EDC15], ids=["slow", "fast"])
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("named", [True, False])
def test_a_line_that_does_not_work_is_told_when_an_ecu_is_looked_for(
    kind: Definition, line: str, named: bool, tmp_path: Path
) -> None:
    fault, code = LINES[line]

    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(kind))
        only(at, kind)
        fault(at)
        with pytest.raises(PitboxError) as refused:
            await identify(at.box, kind.id if named else None)
        told(refused.value)
        assert refused.value.code == code
        assert list(at.box.journal.jobs()) == []
        mended(at)
        assert (await identify(at.box, kind.id))["definition"] == kind.id
        at.box.journal.close()

    run_virtual(inside())


def only(at: KwpBox, definition: Definition) -> None:
    at.box.library = Library()
    at.box.library.add(definition, Path("only.toml"))


def test_k_and_l_swapped_are_silence_with_advice(tmp_path: Path) -> None:
    """The box hears itself on its own wire, and the ECU answers on the other."""

    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(ME7))
        at.car.line._node.send = lambda data: None  # type: ignore[method-assign]
        with pytest.raises(PitboxError) as refused:
            await identify(at.box, ME7.id)
        assert refused.value.code == "ECU_NOT_FOUND"
        assert "pins 7 and 15" in refused.value.do_now
        at.box.journal.close()

    run_virtual(inside())


def test_wrong_key_bytes_are_told_where_that_ecu_was_named(tmp_path: Path) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(ME7, key_bytes=(0x01, 0x8A)))
        with pytest.raises(PitboxError, match="KWP1281") as refused:
            await identify(at.box, ME7.id)
        told(refused.value)
        assert refused.value.code == "LINE_OTHER_PROTOCOL"
        at.box.journal.close()

    run_virtual(inside())


class At:
    """Something goes wrong with the request of that number from now on."""

    def __init__(self, at: KwpBox, number: int, fault: Fault) -> None:
        self._at, self._left, self._fault = at, number, fault
        at.ports.watch = self

    def __call__(self, data: bytes) -> None:
        self._left -= 1
        if self._left == 0:
            self._fault(self._at)


FAULTS: dict[str, Fault] = {"no echo": dead, "held low": shorted, "unplugged": unplugged}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_read_that_loses_its_line_goes_on_where_it_stopped(fault: str, tmp_path: Path) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(ME7))
        job = str((await identify(at.box, ME7.id))["job"])
        At(at, 40, FAULTS[fault])
        with pytest.raises(PitboxError) as refused:
            await read(at.box, job)
        told(refused.value)
        assert refused.value.code in {"LINE_NO_ECHO", "LINE_HELD_LOW", "LINE_ADAPTER_GONE", "ECU_SILENT"}
        assert standing(at.box.journal).ecu is EcuSafety.UNTOUCHED
        at.ports.watch = lambda data: None
        mended(at)
        await read(at.box, job)
        assert at.box.journal.job(job).state is JobState.READ_VERIFIED
        assert at.car.memory == stock(ME7)
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_that_loses_its_line_is_half_written_until_it_is_recovered(
    fault: str, tmp_path: Path
) -> None:
    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(ME7))
        job = str((await identify(at.box, ME7.id))["job"])
        await read(at.box, job)
        wanted = tuned(ME7, stock(ME7), 0x300, 0x900)
        seen = [0]

        def at_the_first_block(data: bytes) -> None:
            if at.car.server.routines.erased:
                seen[0] += 1
                if seen[0] == 5:
                    FAULTS[fault](at)

        at.ports.watch = at_the_first_block
        with pytest.raises(PitboxError) as refused:
            await write(at.box, job, at.hand_in(wanted), MasterWish(), engine_off=True)
        told(refused.value)
        assert refused.value.code == "WRITE_INTERRUPTED"
        assert standing(at.box.journal).ecu is EcuSafety.HALF_WRITTEN
        at.ports.watch = lambda data: None
        mended(at)
        await recover(at.box, job)
        assert at.car.memory == wanted
        assert standing(at.box.journal).ecu is EcuSafety.INTACT
        at.box.journal.close()

    run_virtual(inside())


def test_a_rate_that_the_adapter_lacks_leaves_the_one_it_has(tmp_path: Path) -> None:
    """It is known before the ECU changes to it."""

    async def inside() -> None:
        at = KwpBox(tmp_path / "box", KwpCar(ME7))
        job = str((await identify(at.box, ME7.id))["job"])
        made = at.ports.kline

        def slow_line() -> object:
            line = made()
            line.fastest_bps = 57_600
            return line

        at.ports.kline = slow_line  # type: ignore[assignment]
        await read(at.box, job)
        assert at.car.line.violations == []
        assert not any(request[:1] == b"\x10" and len(request) > 2 for request in at.car.line.requests)
        at.box.journal.close()

    run_virtual(inside())


@pytest.mark.parametrize(
    ("echo", "error", "fault"),
    [
        (b"", NoEchoError, LineFault.NO_ECHO),
        (b"\x00", HeldLowError, LineFault.HELD_LOW),
        (b"\x55", None, LineFault.DISTURBED),
    ],
)
def test_the_real_driver_tells_them_apart(
    echo: bytes, error: type[Exception] | None, fault: LineFault
) -> None:
    async def run() -> None:
        with line_over_a_pty() as (line, far):
            far.echo = lambda data: echo
            with pytest.raises(LinkLostError) as refused, line_errors():
                await line.send(b"\x81\x10", 0.005)
            assert refused.value.fault is fault
            assert error is None or isinstance(refused.value.__cause__, error)

    on_a_patient_loop(run())


def test_the_real_driver_refuses_a_rate_that_its_adapter_makes_another_of() -> None:
    async def run() -> None:
        with line_over_a_pty() as (line, far):
            line._made_rate = lambda: 115_200  # type: ignore[method-assign]
            with pytest.raises(RateError, match="124800 bit/s: it makes 115200"):
                line.set_rate(124_800)
            assert (line.rate_bps, far.rate_bps) == (10_400, 10_400)

    on_a_patient_loop(run())
