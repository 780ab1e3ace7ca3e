"""The slave-role box as a client meets it: the real engine on a UNIX socket, signed packages, SIGKILL.

A run hands in one package, right or wrong in one point, while the engine dies at random bytes; then a healthy
engine finishes what is open. The ECU's flash is looked into as the simulated car's file holds it.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from appliance.contract.manifest import Verdict
from appliance.contract.uses import Use
from appliance.definitions.loader import PACKS, load_definition
from appliance.engine.context import EngineContext, open_box
from appliance.engine.originals import load_original, sealed_identity, sealed_regions
from appliance.engine.settings import EngineSettings
from appliance.flashing.own_checksums import own_checksums
from appliance.protocols.access import EcuIdentity
from appliance.vault import key_files as keyring
from appliance.vault.keys import MasterKeys, Role
from appliance.vault.package import GrantLimits, TunedFile
from simulator.image_synthesis import region_slice
from tests.faults.judge import BrokenPromiseError
from tests.support.engine import Engine, place, simulated
from tests.support.packages import packed

PACK = "pbx-fd20"
_DEFINITION = load_definition(PACKS / f"{PACK}.toml")
_CALIBRATION = region_slice(_DEFINITION, "calibration")
_SECTOR_BYTES = 0x8000
_CHANGED_SECTORS = (1, 4, 11)
_HOUR_S = 3600
WRONGS = ("job", "ecu", "base", "expired", "early", "range", "device", "master", "byte", "cut", "plain")
"""One thing wrong with a package."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A slave-role box that has read its car, and the master that signs for it."""

    root: Path
    job: str
    master: MasterKeys
    stock: bytes


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of one run."""

    seed: int
    wrong: str | None
    outcome: str
    deaths: int
    broken: str = ""


@cache
def shop() -> Shop:
    """Made once per process, in a folder that lasts as long."""
    keeper = place()
    _keepers.append(keeper)
    root = keeper.__enter__()
    master = MasterKeys.generate()
    (root / "state").mkdir(mode=0o700)
    keyring.create(root / "state" / "keys", Role.SLAVE)
    keyring.pair(root / "state" / "keys", master.public())
    engine = simulated(root, pack=PACK, role="slave")
    try:
        job = engine.start().read_job()
    finally:
        engine.stop()
    return Shop(root, job, master, engine.memory())


_keepers: list[Any] = []


def visit(seed: int) -> Visit:
    """The run of a seed."""
    dice = random.Random(f"slave/{seed}")
    wrong = dice.choice(WRONGS) if dice.random() < 0.4 else None
    with place() as root:
        ignored = shutil.ignore_patterns("*.sock")
        shutil.copytree(shop().root, root, dirs_exist_ok=True, ignore=ignored)
        work = _Work(dice, root, wrong)
        try:
            outcome = work.run()
            return Visit(seed, wrong, outcome, work.deaths)
        except (AssertionError, KeyError, OSError) as error:
            return Visit(seed, wrong, "broken", work.deaths, f"{type(error).__name__}: {error}")


class _Work:
    """One technician's morning."""

    def __init__(self, dice: random.Random, root: Path, wrong: str | None) -> None:
        self._dice, self._root, self._wrong = dice, root, wrong
        self._tuned = _tuned(dice, shop().stock)
        self.deaths = 0

    def run(self) -> str:
        package = self._package()
        engine = self._dying(self._dice.random() < 0.7)
        began = engine.begin("write", job=shop().job, upload=engine.hand_in(package))
        ended = self._ended(engine, began)
        for _ in range(self._dice.randint(0, 2)):
            if ended is None:
                engine = self._dying(True)
                ended = self._ended(engine, engine.begin("recover", **self._recovery()))
        if ended is None:
            engine = self._engine()
            asked = self._recovery() if self._is_open(engine) else None
            ended = self._ended(engine, engine.begin("recover", **asked)) if asked else {"state": "untouched"}
        try:
            return self._judged(engine, ended)
        finally:
            engine.stop()

    def _judged(self, engine: Engine, ended: dict[str, Any] | None) -> str:
        _require(ended is not None, "a healthy engine died")
        memory, state = engine.memory(), (ended or {}).get("state")
        if state == "done":
            word = str((ended or {})["result"]["result"])
            harmless = self._wrong in (None, "byte")  # a byte of the container that says nothing
            _require(harmless, f"a package with a wrong {self._wrong} was written")
            wanted = {"done": self._tuned, "restored": shop().stock}[word]
            _require(memory == wanted, f"{word}, and memory is not that")
            report = engine.ask("GET", f"/v1/jobs/{shop().job}/report")[1]
            _require(report["result"] == word, f"{word}, and the report says {report['result']}")
            return word
        _require(memory == shop().stock, f"{state}, and memory has changed")
        _require(not self._is_open(engine), f"{state}, and a write is open")
        if state == "failed":
            error = (ended or {})["error"]
            _require(error["ecu"] == "untouched", f"{error['code']} says {error['ecu']} of an untouched ECU")
            _require(self._wrong is not None, f"a right package was refused: {error}")
        return "refused"

    def _ended(self, engine: Engine, operation: str) -> dict[str, Any] | None:
        """How an operation ended; None where the engine died of it."""
        try:
            return engine.end(operation)
        except (OSError, EOFError, ValueError):
            self.deaths += 1
            engine.wait()
            return None

    def _recovery(self) -> dict[str, Any]:
        return {"job": shop().job} | ({"original": True} if self._dice.random() < 0.3 else {})

    @staticmethod
    def _is_open(engine: Engine) -> bool:
        return engine.ask("GET", f"/v1/jobs/{shop().job}")[1]["state"] in ("interrupted", "needs_bench")

    def _engine(self, *arguments: str) -> Engine:
        return simulated(self._root, *arguments, pack=PACK, role="slave").start()

    def _dying(self, dies: bool) -> Engine:
        """An engine that kills itself, and the car's supply with it, at a byte of the write."""
        if not dies:
            return self._engine()
        fault = {
            "kind": "box_dies",
            "on": self._dice.choice(("erased", "programmed")),
            "at": self._dice.randint(1, len(_CHANGED_SECTORS) * _SECTOR_BYTES),
        }
        return self._engine("--faults", json.dumps({"faults": [fault]}))

    def _package(self) -> bytes:
        """What the file service sends, or what somebody made of it."""
        if self._wrong == "plain":
            return self._tuned[_CALIBRATION]
        package = _signed(self._root, self._tuned[_CALIBRATION], self._wrong)
        if self._wrong == "cut":
            return package[: self._dice.randrange(4, len(package))]
        if self._wrong == "byte":
            at = self._dice.randrange(len(package))
            return package[:at] + bytes((package[at] ^ self._dice.randint(1, 255),)) + package[at + 1 :]
        return package


def _signed(root: Path, calibration: bytes, wrong: str | None) -> bytes:
    """A package of this very job, but for what is wrong with it."""
    state, made = root / "state", shop()
    nobody: Any = None
    box: EngineContext = open_box(EngineSettings(state, root / "none.sock", "slave"), nobody)
    try:
        job = box.journal.job(made.job)
        original, region = load_original(box, job), _DEFINITION.region("calibration")
        identity = job.identity or EcuIdentity()
        ecu = sealed_identity(box, identity)
        now_s, public = int(time.time()), box.keys.device_public()
    finally:
        box.journal.close()
    assert original is not None
    shift = {"expired": -3 * _HOUR_S, "early": 3 * _HOUR_S}.get(wrong or "", 0)
    tuned = TunedFile(
        job_id="0123456789ab" if wrong == "job" else made.job,
        definition=_DEFINITION.id,
        ecu=ecu.model_copy(update={"hw": "PBX-OTHER-01"}) if wrong == "ecu" else ecu,
        method="obd",
        regions=sealed_regions([region]),
        contents={region.place.at: calibration},
        base_sha256="0" * 64 if wrong == "base" else original.image.sha256(),
        changed_ranges=(region.place.part(0, 16 if wrong == "range" else region.size_bytes),),
        checksum=Verdict.OK,
        use=Use.ROAD_COMPLIANT,
        consents=("technician",),
    )
    limits = GrantLimits(nbf_s=now_s - _HOUR_S + shift, exp_s=now_s + _HOUR_S + shift)
    device = public.model_copy(update={"hpke_public": "ab" * 32}) if wrong == "device" else public
    master = MasterKeys.generate() if wrong == "master" else made.master
    return packed(master, device, tuned, limits, now_s + shift)


def _tuned(dice: random.Random, stock: bytes) -> bytes:
    data = bytearray(stock[_CALIBRATION])
    for sector in _CHANGED_SECTORS:
        data[sector * _SECTOR_BYTES + dice.randrange(_SECTOR_BYTES - 8)] ^= dice.randint(1, 255)
    module = own_checksums(_DEFINITION)[0].module
    return stock[: _CALIBRATION.start] + module.correct(bytes(data)) + stock[_CALIBRATION.stop :]


def _require(kept: bool, broken: str) -> None:
    if not kept:
        raise BrokenPromiseError(broken)
