"""Whole writes on ECUs that keep an open transfer, or whose session only 0x10 and 0x3E keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from appliance.definitions.schema import Definition
from appliance.engine.operations.read import read
from appliance.engine.operations.write import recover, restore, write
from simulator.ecu.core import Answer, Core
from simulator.ecu.dispatch import SERVICES
from simulator.ecu.hooks import Mishap, RequestFate
from simulator.ecu.nrc import RefusedError
from simulator.ecu.options import EcuOptions, TransferEnd
from simulator.ecu.transfer import Transfer
from tests.support.definitions import with_access
from tests.support.garage import PACK, Garage, Readied, visit

ERASE = bytes.fromhex("31 01 FF00")
DOWNLOAD = 0x34
ONE_END = [
    frozenset({TransferEnd.EXIT}),
    frozenset({TransferEnd.SESSION}),
    frozenset({TransferEnd.RESET}),
]


class Onlooker:
    """Counts the erases of each block, and swallows the answers to the first downloads."""

    def __init__(self, garage: Garage, lost_downloads: int = 0) -> None:
        self.erases: Counter[bytes] = Counter()
        self._lost = lost_downloads
        garage.car.ecu.request_hook = self._look

    def _look(self, request: bytes) -> RequestFate | None:
        if request.startswith(ERASE):
            self.erases[request[4:]] += 1
        if request[0] == DOWNLOAD and self._lost:
            self._lost -= 1
            return RequestFate(Mishap.UNANSWERED)
        return None


def with_bootloader(garage: Garage, **recovery_keys: object) -> Definition:
    changes = {"recoverability": "bootloader", **recovery_keys}
    return with_access(garage.definition, recovery=changes)


def options(**quirks: object) -> dict[str, EcuOptions]:
    return {PACK: EcuOptions(**quirks)}  # type: ignore[arg-type]


@pytest.mark.parametrize("ended_by", ONE_END, ids=lambda ends: next(iter(ends)))
def test_a_lost_answer_to_a_download_costs_one_more_erase_at_most(
    slave: Readied, ended_by: frozenset[TransferEnd]
) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(with_bootloader(garage, reset_allowed=True))
        onlooker = Onlooker(garage, lost_downloads=1)
        result = await write(garage.box, garage.job, garage.hand_in(garage.package()))
        assert result["result"] == "done"
        assert max(onlooker.erases.values()) <= 2
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched

    visit(slave, scene, options=options(transfer_ended_by=ended_by))


@pytest.mark.parametrize("nrc", [0x22, 0x24, 0x70])
@pytest.mark.parametrize("ended_by", ONE_END, ids=lambda ends: next(iter(ends)))
def test_a_transfer_that_a_killed_engine_left_open_costs_no_second_erase(
    slave: Readied, ended_by: frozenset[TransferEnd], nrc: int
) -> None:
    async def scene(garage: Garage) -> None:
        garage.use(with_bootloader(garage, reset_allowed=True))
        core = garage.car.ecu.core
        left_open = Transfer(True, 0, 4096, 256)
        onlooker = Onlooker(garage)
        core.transfer = left_open
        result = await write(garage.box, garage.job, garage.hand_in(garage.package()))
        assert result["result"] == "done"
        assert max(onlooker.erases.values()) == 1

    visit(slave, scene, options=options(transfer_ended_by=ended_by, open_transfer_nrc=nrc))


@pytest.mark.parametrize("nrc", [0x24, 0x70])
@pytest.mark.parametrize("reset_allowed", [False, True])
def test_a_transfer_that_may_be_a_missing_erase_costs_one_more_erase(
    slave: Readied, nrc: int, *, reset_allowed: bool
) -> None:
    """24 and 70 may also say that the cells were not erased: one erase shows that they do not."""

    async def scene(garage: Garage) -> None:
        garage.use(with_bootloader(garage, reset_allowed=reset_allowed))
        garage.car.ecu.core.transfer = Transfer(True, 0, 4096, 256)
        onlooker = Onlooker(garage)
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert error.code == "WRITE_INTERRUPTED"
        assert sum(onlooker.erases.values()) == 2
        garage.car.power_cut()
        garage.car.power_up()
        assert (await recover(garage.box, garage.job))["result"] == "done"

    ends = frozenset({TransferEnd.POWER})
    visit(slave, scene, options=options(transfer_ended_by=ends, open_transfer_nrc=nrc))


def test_a_transfer_that_nothing_ends_leaves_one_erase_and_a_way_on(slave: Readied) -> None:
    """The ECU keeps its transfer over everything but a power cut, and refuses every download: 0x22."""

    async def scene(garage: Garage) -> None:
        garage.use(with_bootloader(garage))
        garage.car.ecu.core.transfer = Transfer(True, 0, 4096, 256)
        onlooker = Onlooker(garage)
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert error.code == "WRITE_INTERRUPTED"
        for _ in range(3):
            await garage.refusal(recover(garage.box, garage.job))
        assert sum(onlooker.erases.values()) == 4
        garage.car.power_cut()
        garage.car.power_up()
        assert (await recover(garage.box, garage.job))["result"] == "done"

    visit(slave, scene, options=options(transfer_ended_by=frozenset({TransferEnd.POWER})))


def test_a_session_that_only_3e_keeps_survives_long_reads_and_writes(slave: Readied) -> None:
    async def scene(garage: Garage) -> None:
        await read(garage.box, garage.job)
        assert (await write(garage.box, garage.job, garage.hand_in(garage.package())))["result"] == "done"
        assert (await restore(garage.box, garage.job))["result"] == "restored"
        assert garage.untouched
        assert garage.car.ecu.core.sessions_expired == 0

    visit(slave, scene, options=options(s3_kept_by_any_request=False))


TRANSFER_DATA, TRANSFER_EXIT = 0x36, 0x37


@pytest.mark.parametrize("service", [TRANSFER_DATA, TRANSFER_EXIT])
@pytest.mark.parametrize("nrc", [0x21, 0x22, 0x92, 0x93])
def test_a_condition_in_the_middle_of_a_block_is_waited_for_without_an_erase(
    slave: Readied, service: int, nrc: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([False] * (2 if service == TRANSFER_DATA else 1) + [True] * 15)

    async def scene(garage: Garage) -> None:
        usual = SERVICES[service]

        def refusing(core: Core, request: bytes) -> Answer:
            if next(refusals, False):
                raise RefusedError(nrc)
            return usual.handle(core, request)

        monkeypatch.setitem(SERVICES, service, replace(usual, handle=refusing))
        onlooker = Onlooker(garage)
        result = await write(garage.box, garage.job, garage.hand_in(garage.package()))
        assert result["result"] == "done"
        assert max(onlooker.erases.values()) == 1
        assert not any(refusals)

    visit(slave, scene)


def test_a_condition_that_never_ends_costs_few_erases_and_ends_told(
    slave: Readied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ECU that gave the block up, and calls that a condition: the block is begun again, not for ever."""

    async def scene(garage: Garage) -> None:
        def refusing(core: Core, request: bytes) -> Answer:
            raise RefusedError(0x22)

        usual = SERVICES[TRANSFER_DATA]
        monkeypatch.setitem(SERVICES, TRANSFER_DATA, replace(usual, handle=refusing))
        onlooker = Onlooker(garage)
        error = await garage.refusal(write(garage.box, garage.job, garage.hand_in(garage.package())))
        assert error.code == "WRITE_INTERRUPTED"
        assert 2 <= sum(onlooker.erases.values()) <= 5

    visit(slave, scene)
