"""What unlocks an ECU is its owner's: asked for by name, from the sealed store, and shown to nobody."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from appliance.contract.errors import PitboxError
from appliance.definitions.explaining import in_words
from appliance.definitions.library import Library
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.operations.read import identify, read
from appliance.engine.operations.write import recover, restore, write
from appliance.engine.owner_secrets import list_secrets, put_secret
from appliance.engine.report import report_of
from appliance.engine.settings import EngineSettings
from appliance.engine.tuned_package import MasterWish
from appliance.flashing.own_checksums import own_checksums
from appliance.ports.simulated import SimulatedCarInterface, with_right_checksums
from simulator.car import Car, CarSettings
from simulator.ecu.watch import Counter
from simulator.kinds import wires_for
from simulator.virtualtime import run_virtual
from tests.support.definitions import raw, validated

VALUE = "9D3E51A7"
WRONG = bytes.fromhex("31415926")


class RealCarInterface(SimulatedCarInterface):
    """A car whose ECU nobody invented, as far as the box knows: its secrets are the owner's."""

    simulated = False


class Scene:
    """A new box beside a running car; `asked` is what the ECU heard."""

    def __init__(self, state: Path, definition: Definition) -> None:
        self.state = state
        settings = CarSettings(seed=3, finish=with_right_checksums, load_sag_v=0.0)
        self.car = Car([definition], wires_for(definition), settings)
        self.events: list[str] = []
        self.box: EngineContext = open_box(
            EngineSettings(state, state / "engine.sock", "master"),
            RealCarInterface(self.car),
            lambda told: self.events.append(repr(told)),
        )
        self.box.library = Library()
        self.box.library.add(definition, Path("pack.toml"))
        self.definition = definition
        self.asked: list[bytes] = []
        (controller,) = self.car.ecus.values()
        controller.request_hook = self.asked.append
        self.controller = controller

    def supply(self) -> None:
        """Everything that the definition names."""
        for name, value in self.definition.twin.secrets.items():
            put_secret(self.box, name, None, bytes.fromhex(value))

    @property
    def held(self) -> bytes:
        return self.controller.memory.whole()

    def tuned(self) -> bytes:
        """A whole image with the region of the first checksum changed, and right."""
        (first, *_) = own_checksums(self.definition)
        regions = sorted((one for one in self.definition.regions), key=lambda one: one.start)
        at = sum(one.size_bytes for one in regions[: regions.index(first.region)])
        data = bytearray(self.held)
        for place in range(at + 0x100, at + 0x110):
            data[place] ^= 0x5A
        part = slice(at, at + first.region.size_bytes)
        data[part] = first.module.correct(bytes(data[part]))
        return bytes(data)


def over_can() -> Definition:
    """Reading and writing have a secret each."""
    tables = raw(load_definition(PACKS / "pbx-q250.toml"))
    return named(tables, {"read_security": "reads", "write_security": "writes"})


def over_kline() -> Definition:
    """One secret for both."""
    tables = raw(load_definition(PACKS / "pbx-k7.toml"))
    return named(tables, {"read_security": "writes", "write_security": "writes"})


def named(tables: dict, names: dict[str, str]) -> Definition:  # type: ignore[type-arg]
    values = {"reads": "1C2B3A49", "writes": VALUE}
    for key, name in names.items():
        level = {"level": tables["access"][0]["sessions"][key]["level"], "algorithm": "toy-xor"}
        tables["access"][0]["sessions"][key] = {**level, "secret": name}
    about = {"role": "unlock", "about": "what answers the seed", "least_bytes": 4, "most_bytes": 4}
    tables["secrets"] = [{"name": name, **about} for name in sorted(set(names.values()))]
    tables["simulation"]["secrets"] = {name: values[name] for name in set(names.values())}
    return validated(tables)


KINDS = {"can": over_can, "kline": over_kline, "script": lambda: load_definition(PACKS / "pbx-v381.toml")}
SECRETS = {"can": "writes", "kline": "writes", "script": "unlock_script"}
every_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def scene(state: Path, kind: str, test: Callable[[Scene], Awaitable[None]]) -> None:
    async def inside() -> None:
        at = Scene(state, KINDS[kind]())
        at.car.power_up()
        await asyncio.sleep(1)
        try:
            await test(at)
        finally:
            at.box.journal.close()
            at.car.close()

    run_virtual(inside())


@every_kind
def test_a_missing_secret_is_told_before_the_ecu_is_asked_anything(tmp_path: Path, kind: str) -> None:
    async def test(at: Scene) -> None:
        job = str((await identify(at.box))["job"])
        at.supply()
        await read(at.box, job)
        at.box.secrets.remove(next(p for p in at.box.secrets.places() if p.name == SECRETS[kind]))
        asked, held = len(at.asked), at.held
        upload = at.tuned()
        at.box.uploads["file"] = upload
        with pytest.raises(PitboxError) as caught:
            await write(at.box, job, "file", wish(at), engine_off=True)
        error = caught.value
        assert error.code == "SECRET_MISSING" and SECRETS[kind] in error.what
        typed = f"`pitbox secrets put {SECRETS[kind]} FILE --definition {at.definition.id}`"
        assert typed in error.do_now
        assert (at.asked[asked:], at.held) == ([], held)

    scene(tmp_path, kind, test)


def test_a_read_wants_what_unlocks_a_read_and_no_more(tmp_path: Path) -> None:
    async def test(at: Scene) -> None:
        job = str((await identify(at.box))["job"])
        asked = len(at.asked)
        with pytest.raises(PitboxError, match="SECRET_MISSING") as caught:
            await read(at.box, job)
        assert "'reads'" in caught.value.what and at.asked[asked:] == []
        put_secret(at.box, "reads", None, bytes.fromhex(at.definition.twin.secrets["reads"]))
        await read(at.box, job)
        assert [one["name"] for one in list_secrets(at.box) if one["stored"]] == ["reads"]

    scene(tmp_path, "can", test)


def wish(at: Scene) -> MasterWish:
    (first, *_) = own_checksums(at.definition)
    return MasterWish(changed_regions=(first.region.name,))


@every_kind
def test_a_whole_job_goes_by_the_owners_value_and_shows_it_nowhere(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def test(at: Scene) -> None:
        at.supply()
        job = str((await identify(at.box))["job"])
        await read(at.box, job)
        stock, tuned = at.held, at.tuned()
        at.box.uploads["file"] = tuned
        watch = at.controller.core.watch
        total = watch.totals[Counter.PROGRAMMED]
        watch.at(Counter.PROGRAMMED, total + 0x20, lambda _: at.car.power_cut())
        with pytest.raises(PitboxError, match="WRITE_INTERRUPTED") as caught:
            await write(at.box, job, "file", wish(at), engine_off=True)
        at.car.power_up()
        await asyncio.sleep(6)
        done = await recover(at.box, job)
        assert (done["result"], at.held) == ("done", tuned)
        back = await restore(at.box, job)
        assert (back["result"], at.held) == ("restored", stock)
        value = bytes.fromhex(at.definition.twin.secrets[SECRETS[kind]])
        told = [
            *at.events,
            caplog.text,
            repr(caught.value),
            json.dumps(report_of(at.box.journal, job, at.definition), default=repr),
            *in_words(at.definition),
            repr(list_secrets(at.box)),
        ]
        for text in told:
            assert value.hex() not in text.lower() and repr(value) not in text
        disk = b"".join(path.read_bytes() for path in sorted((at.state / "secrets").rglob("*.[12]")))
        assert value not in disk and value.hex().encode() not in disk.lower()

    scene(tmp_path, kind, test)


def test_a_wrong_value_is_refused_by_the_ecu_and_not_repeated(tmp_path: Path) -> None:
    async def test(at: Scene) -> None:
        at.supply()
        put_secret(at.box, "reads", None, WRONG)
        job = str((await identify(at.box))["job"])
        with pytest.raises(PitboxError) as caught:
            await read(at.box, job)
        told = json.dumps([caught.value.what, caught.value.do_now, *caught.value.details])
        assert WRONG.hex() not in told.lower() and repr(WRONG) not in told
        assert at.asked[-1][:2] == bytes.fromhex("2702")

    scene(tmp_path, "can", test)


@pytest.mark.parametrize("value", [b"9338 1A0C 5D81", b"\x93\x38", bytes(257)], ids=["text", "cut", "long"])
def test_what_is_no_script_is_refused_when_it_is_put(tmp_path: Path, value: bytes) -> None:
    async def test(at: Scene) -> None:
        with pytest.raises(PitboxError, match="SECRET_WRONG") as caught:
            put_secret(at.box, "unlock_script", None, value)
        assert "pitbox secrets put unlock_script" in caught.value.do_now
        assert not at.box.secrets.places()

    scene(tmp_path, "script", test)
