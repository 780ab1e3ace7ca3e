"""A whole job over an access no room knows: no hash, no number, the chip erased at once, a question first."""

from __future__ import annotations

import random
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.contract.jobs import JobState
from appliance.contract.operations import OfRestore, OfWrite
from appliance.definitions.choreography import Choreography
from appliance.definitions.library import Library
from appliance.engine.operations.check import verify
from appliance.engine.operations.preview import preview_restore, preview_write
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.restore_without_journal import reopen
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.safety import standing
from drivers.person.simulated import Reply
from drivers.supply.interface import Output
from simulator.virtualtime import run_virtual
from tests.support import probe_protocol
from tests.support.killing import Killed, Killer
from tests.support.probe_box import ChipBox, ReadBox, Script, new_chip, read_box, stock, tuned
from tests.support.probe_definition import CHIP_BYTES, CHIP_START, probe_definition


@pytest.fixture(scope="module", autouse=True)
def _known() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        probe_protocol.register(patch)
        yield


@pytest.fixture(scope="module")
def was_read(_known: None, tmp_path_factory: pytest.TempPathFactory) -> ReadBox:
    return read_box(tmp_path_factory.mktemp("probe") / "state")


Scene = Callable[[ChipBox, str], Awaitable[None]]


@pytest.fixture
def at_chip(was_read: ReadBox, tmp_path: Path) -> Callable[[Scene], None]:
    """Runs a scene with a box that has read its chip."""

    def run(scene: Scene) -> None:
        async def inside() -> None:
            chip = ChipBox(was_read.copy(tmp_path / "box"), new_chip())
            await scene(chip, was_read.job)
            assert chip.bench.is_safe
            chip.box.journal.close()

        run_virtual(inside())

    return run


async def refusal(work: Awaitable[object]) -> PitboxError:
    with pytest.raises(PitboxError) as caught:
        await work
    assert caught.value.what and caught.value.do_now
    return caught.value


def test_a_whole_job_from_identify_to_restore(tmp_path: Path) -> None:
    async def inside() -> None:
        chip = ChipBox(tmp_path / "state", new_chip())
        found = await identify(chip.box, chip.ecu.definition.id)
        job = found["job"]
        done = await read(chip.box, job)
        assert done["full"] and chip.box.journal.job(job).state is JobState.READ_VERIFIED
        written = await write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job)
        assert (written["result"], written["verify"]["method"]) == ("done", "read_back")
        assert chip.memory == tuned(stock()) and chip.tap.erases == 1
        assert written["identity_after"]["known_by"] == "person"
        assert (await restore(chip.box, job, car=job))["result"] == "restored"
        assert chip.memory == stock() and chip.bench.is_safe
        assert [question.key for question in chip.person.asked] == ["probe_connected"] * 4

    run_virtual(inside())


def test_without_a_persons_word_nothing_is_written(at_chip: Callable[[Scene], None]) -> None:
    """Memory tells content, not a car."""

    async def scene(chip: ChipBox, job: str) -> None:
        error = await refusal(write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish()))
        assert error.code == "GATES_REFUSED" and [one.split(":")[0] for one in error.details] == ["identity"]
        error = await refusal(restore(chip.box, job, car="another car"))
        assert error.code == "CAR_MISNAMED"
        assert chip.memory == stock() and not chip.tap.changed_bytes

    at_chip(scene)


def test_another_chips_memory_is_refused_against_every_word(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        chip.ecu.damage(0x0800_0004)
        error = await refusal(write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job))
        assert error.code == "GATES_REFUSED" and "identity" in error.details[0]
        assert not chip.tap.changed_bytes

    at_chip(scene)


def test_a_chip_of_another_type_is_not_identified(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        chip.tap.idcode ^= 1
        assert (await refusal(identify(chip.box, "pbx-probe-chip"))).code == "ECU_REFUSED_UNSUPPORTED"
        error = await refusal(restore(chip.box, job, car=job))
        assert chip.memory == stock() and error.code == "GATES_REFUSED"

    at_chip(scene)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({}, "QUESTION_UNANSWERED"),
        ({"probe_connected": [Reply("done", 121)]}, "QUESTION_UNANSWERED"),
        ({"probe_connected": [Reply("stop")]}, "QUESTION_DECLINED"),
    ],
    ids=["never", "late", "declined"],
)
def test_a_person_who_does_not_say_yes_costs_nothing(
    at_chip: Callable[[Scene], None], script: Script, code: str
) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        chip.live_again(script=script)
        error = await refusal(write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job))
        assert error.code == code and chip.bench.is_safe and not chip.tap.changed_bytes
        assert standing(chip.box.journal, job).ecu is EcuSafety.UNTOUCHED
        chip.live_again()
        assert (await restore(chip.box, job, car=job))["result"] == "restored"

    at_chip(scene)


@pytest.mark.parametrize("original", [False, True])
def test_a_power_cut_behind_the_erase_is_recovered(at_chip: Callable[[Scene], None], original: bool) -> None:
    """Nothing of the chip is left then but the sealed original."""

    async def scene(chip: ChipBox, job: str) -> None:
        killer = Killer(chip.state)
        chip.tap.struck_at[0x2000 + 0x123] = killer.strike
        with pytest.raises(Killed):
            await write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job)
        chip.live_again(killer.state)
        assert chip.memory not in {stock(), tuned(stock())}
        assert standing(chip.box.journal, job).ecu is EcuSafety.HALF_WRITTEN
        assert (await refusal(recover(chip.box, job))).code == "CAR_UNCONFIRMED"
        assert standing(chip.box.journal, job).ecu is EcuSafety.HALF_WRITTEN
        done = await recover(chip.box, job, original, job)
        assert done["result"] == ("restored" if original else "done")
        assert chip.memory == (stock() if original else tuned(stock()))
        assert standing(chip.box.journal, job).ecu is EcuSafety.INTACT

    at_chip(scene)


def test_a_half_written_chip_is_nobodys_original(at_chip: Callable[[Scene], None]) -> None:
    """Its port answers as ever: the journal alone knows."""

    async def scene(chip: ChipBox, job: str) -> None:
        killer = Killer(chip.state)
        chip.tap.struck_at[0x2000 + 0x1000] = killer.strike
        with pytest.raises(Killed):
            await write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job)
        chip.live_again(killer.state)
        other = str((await identify(chip.box, "pbx-probe-chip"))["job"])
        error = await refusal(read(chip.box, other))
        assert error.code == "WRITE_OPEN" and job in error.do_now
        assert (await recover(chip.box, None, True, job))["result"] == "restored"

    at_chip(scene)


def test_a_whole_comparison_and_a_preview_need_nothing_more(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        told = await verify(chip.box, job)
        assert (told["method"], told["blocks"]) == ("read_back", 1)
        shown = await preview_write(chip.box, OfWrite(job=job, upload=chip.hand_in(tuned(stock()))))
        assert shown["job"] == job
        await preview_restore(chip.box, OfRestore(job=job))
        await write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job)
        await verify(chip.box, job)
        chip.ecu.damage(0x0800_0004)
        assert (await refusal(verify(chip.box, job))).code == "VERIFY_FAILED"

    at_chip(scene)


def test_without_the_journal_the_sealed_original_goes_back(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        killer = Killer(chip.state)
        original = str(chip.box.journal.job(job).original_file)
        chip.tap.struck_at[0x2000 + 0x800] = killer.strike
        with pytest.raises(Killed):
            await write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job)
        for lost in (*killer.state.glob("journal.db*"), *killer.state.glob("writes.*")):
            lost.unlink()
        chip.live_again(killer.state)
        assert not chip.box.journal.open_flashes()
        error = await refusal(reopen(chip.box, "pbx-probe-chip"))
        assert error.code == "CAR_UNCONFIRMED"
        again = await reopen(chip.box, "pbx-probe-chip", car=original)
        assert (await recover(chip.box, again, True, original))["result"] == "restored"
        assert chip.memory == stock()

    at_chip(scene)


def test_a_chip_whose_wire_is_off_can_still_be_recovered(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        chip.tap.struck_at[0x2000 + 0x800] = lambda: setattr(chip.bench, "connected", False)
        error = await refusal(write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job))
        assert error.code == "WRITE_INTERRUPTED"
        error = await refusal(recover(chip.box, job, True, job))
        assert "recover" in error.do_now and standing(chip.box.journal, job).ecu is EcuSafety.HALF_WRITTEN
        chip.bench.connected = True
        assert (await recover(chip.box, job, True, job))["result"] == "restored"

    at_chip(scene)


def test_what_tells_nothing_of_itself_is_recognised_in_nothing() -> None:
    """No pattern is not every pattern: a person names it, and nothing that answers is taken for it."""
    library = Library()
    library.add(probe_definition(), Path("pbx-probe-chip.toml"))
    assert library.recognise({"hw": "PBX-X050-01", "sw": None, "boot": None}) == []


def test_without_its_name_a_chip_that_tells_nothing_is_not_looked_for(
    at_chip: Callable[[Scene], None],
) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        definition = chip.ecu.definition
        bare = definition.accesses[0].model_copy(update={"entry": Choreography()})
        chip.box.library = Library()
        chip.box.library.add(definition.model_copy(update={"accesses": (bare,)}), Path("pbx-probe-chip.toml"))
        chip.bench.set_output(Output.SUPPLY, True)
        assert (await refusal(identify(chip.box))).code == "ECU_NOT_FOUND"
        assert (await identify(chip.box, definition.id))["definition"] == definition.id
        chip.bench.set_output(Output.SUPPLY, False)

    at_chip(scene)


def test_the_original_goes_back_over_a_tune_of_nearly_everything(at_chip: Callable[[Scene], None]) -> None:
    """One piece that is as in the original, and the person's word, are enough for it."""

    async def scene(chip: ChipBox, job: str) -> None:
        file = tuned(stock(), *range(0x100, 0x1800, 0x400))
        await write(chip.box, job, chip.hand_in(file), MasterWish(), car=job)
        assert chip.memory == file
        assert (await restore(chip.box, job, car=job))["result"] == "restored"
        assert chip.memory == stock()

    at_chip(scene)


def everywhere(data: bytes) -> bytes:
    """A tune that leaves no piece as it was."""
    return tuned(data, *range(0x100, len(data), 0x400))


def test_the_original_goes_back_over_a_tune_of_everything(at_chip: Callable[[Scene], None]) -> None:
    """Nothing of the original is left, but the box itself wrote and proved what is there instead."""

    async def scene(chip: ChipBox, job: str) -> None:
        await write(chip.box, job, chip.hand_in(everywhere(stock())), MasterWish(), car=job)
        chip.live_again()
        assert chip.memory == everywhere(stock())
        assert (await restore(chip.box, job, car=job))["result"] == "restored"
        assert chip.memory == stock()

    at_chip(scene)


def test_a_second_tune_goes_over_the_first(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        await write(chip.box, job, chip.hand_in(tuned(stock())), MasterWish(), car=job)
        second = tuned(stock(), 0x900)
        assert (await write(chip.box, job, chip.hand_in(second), MasterWish(), car=job))["result"] == "done"
        assert chip.memory == second

    at_chip(scene)


def test_a_tune_that_this_job_did_not_write_is_strange(at_chip: Callable[[Scene], None]) -> None:
    async def scene(chip: ChipBox, job: str) -> None:
        await write(chip.box, job, chip.hand_in(everywhere(stock())), MasterWish(), car=job)
        for at in range(0, len(stock()), 0x200):
            chip.ecu.damage(CHIP_START + at)
        error = await refusal(restore(chip.box, job, car=job))
        assert error.code == "GATES_REFUSED" and "identity" in error.details[0]

    at_chip(scene)


@pytest.mark.parametrize("file", [tuned, everywhere], ids=["nearly the original", "nothing of it left"])
def test_a_rescue_without_a_journal_looks_at_memory(
    at_chip: Callable[[Scene], None], file: Callable[[bytes], bytes]
) -> None:
    """A person's word is not taken for a chip that holds nothing of any file of this one."""

    async def scene(chip: ChipBox, job: str) -> None:
        original = str(chip.box.journal.job(job).original_file)
        await write(chip.box, job, chip.hand_in(file(stock())), MasterWish(), car=job)
        chip.box.journal.close()
        lost = chip.state.with_name("lost")
        shutil.copytree(chip.state, lost)
        for one in (*lost.glob("journal.db*"), *lost.glob("writes.*")):
            one.unlink()
        chip.live_again(lost)
        before = chip.memory
        chip.ecu.memory["flash", CHIP_START][:] = random.Random(9).randbytes(CHIP_BYTES)
        error = await refusal(reopen(chip.box, "pbx-probe-chip", car=original))
        assert error.code == "ECU_CHANGED" and not chip.box.journal.jobs()
        chip.ecu.memory["flash", CHIP_START][:] = before
        again = await reopen(chip.box, "pbx-probe-chip", car=original)
        assert (await recover(chip.box, again, True, original))["result"] == "restored"
        assert chip.memory == stock()

    at_chip(scene)
