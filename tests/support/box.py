"""One life of a box around the heart: all is made anew from its state directory, as after a restart."""

from __future__ import annotations

import hmac
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

from appliance.contract.events import Event
from appliance.contract.jobs import JobState
from appliance.contract.places import FLASH, Range
from appliance.contract.records import EcuIdentity, Region, Segment
from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import PACKS, load_definition
from appliance.definitions.schema import Definition
from appliance.flashing.context import JobContext
from appliance.flashing.executable import ExecutablePlan, ask_car
from appliance.flashing.gates.car_check import CarCheck
from appliance.flashing.gates.request import Authorisation, WriteRequest
from appliance.flashing.image import MemoryImage
from appliance.flashing.journal import Journal
from appliance.flashing.plan import FlashPlan
from appliance.flashing.power import Meter, PowerGuard
from appliance.flashing.same_ecu import Acquaintance
from appliance.flashing.writing import WriteResult, write
from appliance.protocols.access import EcuAccess, LinkHealth
from appliance.vault.contents import new_file_id
from appliance.vault.images import ImageKind, ImageStore, SealedImage
from appliance.vault.keys import KeyRing
from appliance.vault.store import BlobStore
from tests.support.definitions import raw, validated
from tests.support.probe_access import IDENTITY, ProbeAccess, ProbeEcu

JOB = "job-1"


def mac(data: bytes) -> str:
    """A box's keyed hash, for a journal without a box around it."""
    return hmac.digest(b"a box's own key", data, "sha256").hex()


ORIGINAL_FILE = "original-file"
Verify = Literal["hash", "read_back"]
VERIFY_STYLES: tuple[Verify, ...] = ("hash", "read_back")


@cache
def small_definition(
    verify: Verify = "hash", recoverability: str = "bootloader", sector_bytes: int = 4096
) -> Definition:
    """A shipped pack cut down to 12 sectors: 2 of boot (fixed), 6 of code, 4 of calibration."""
    data = raw(load_definition(PACKS / "pbx-x050.toml"))
    data["memories"][0] |= {"erased_byte": 0xFF, "page_bytes": 256}
    data["memories"][0]["regions"] = [
        _region("boot", 0x0000, 2, sector_bytes, writable=False),
        _region("code", 0x10_0000, 6, sector_bytes),
        _region("calibration", 0x20_0000, 4, sector_bytes),
    ]
    data["access"] = data["access"][:1]
    (access,) = data["access"]
    access["checking"] |= {"verify": verify}
    access["recovery"] |= {"recoverability": recoverability}
    access["voltage"] |= {"steady_s": 0.5}
    data["checksums"] = []
    return validated(data)


EEPROM_OFFSET = 0x01_0000_0000
"""Memory identifier 01, in the highest of five address bytes."""


def with_eeprom(verify: Verify = "hash") -> Definition:
    """The small definition with a second memory, of which 4 sectors have the calibration's addresses."""
    data = raw(small_definition(verify))
    maps = _region("maps", 0x20_0000, 4, 4096) | {"tag": "calibration"}
    data["memories"].append({"name": "eeprom", "regions": [maps]})
    (access,) = data["access"]
    access["address_spaces"] = [{"memory": "eeprom", "offset": EEPROM_OFFSET}]
    for table in ("reading", "writing"):
        access[table]["address_bytes"] = 5
    return validated(data)


def _region(name: str, start: int, count: int, size: int, *, writable: bool = True) -> dict[str, object]:
    return {
        "name": name,
        "tag": name,
        "start": start,
        "size_bytes": count * size,
        "sectors": [{"size_bytes": size, "count": count}],
        "writable": writable,
        "page_bytes": 64,
    }


def random_image(definition: Definition, seed: int = 1) -> MemoryImage:
    """Incompressible memory of every region, the same for the same seed."""
    source = random.Random(seed)
    return MemoryImage(
        {region.place.at: source.randbytes(region.size_bytes) for region in definition.regions}
    )


def tuned_from(definition: Definition, original: MemoryImage, *changed: int) -> MemoryImage:
    """The calibration region with the bytes at these offsets inverted."""
    region = definition.region("calibration")
    content = bytearray(original.slice(region.place))
    for offset in changed or (5, region.size_bytes - 9):
        content[offset] ^= 0xFF
    return MemoryImage({region.place.at: content})


class SteadyMeter:
    """A supply that does not move, unless told to."""

    source = "steady"

    def __init__(self, volts: float = 13.5) -> None:
        self.volts = volts

    async def read_v(self) -> float:
        return self.volts


class AllClear:
    """Link and host as they should be."""

    async def listen(self) -> LinkHealth | None:
        return LinkHealth(load=0.1, errors=0, new_errors=0, bus_off=False)

    async def engine_speed_rpm(self) -> float | None:
        return 0.0

    def free_bytes(self) -> int:
        return 1 << 40

    def temperature_c(self) -> float | None:
        return 41.0

    def update_pending(self) -> bool:
        return False


class SoundDisk:
    """Files that are always whole: for a heart whose original and target were never sealed."""

    def load(self, file_id: str) -> SealedImage:
        """One without a segment that could rot."""
        return SealedImage(
            file_id=new_file_id(),
            kind=ImageKind.ORIGINAL,
            definition=file_id,
            identity=EcuIdentity(hw="HW", sw="SW"),
            method="obd",
            regions=(Region(name="all", place=Range(FLASH, 0, 1)),),
            segments=(),
        )

    def save(self, image: SealedImage) -> None:
        raise AssertionError(f"nothing of {image.definition} was lost")

    def is_whole(self, segment: Segment) -> bool:
        raise AssertionError(f"there is no segment, and {segment.place} was asked for")

    def reseal(self, file_id: str, segment: Segment, content: bytes) -> None:
        raise AssertionError(f"nothing of {file_id} was lost")


class Box:
    """Journal, blobs and a job on the given access. Call `close` only where a box would shut down orderly.

    Nothing in it leads back to it, so that one which "died" closes its files as soon as the test drops it.
    """

    def __init__(
        self,
        state: Path,
        keys: KeyRing,
        definition: Definition,
        access: EcuAccess,
        meter: Meter | None = None,
        files: ImageStore | None = None,
    ) -> None:
        """`files` is where original and target lie sealed; none where a test is not about them."""
        self.events = events = list[Event]()
        self.journal = Journal(
            state / "journal.db", lambda: 0.0, keys.record_mac, lambda told: events.append(told.event)
        )
        self.blobs = BlobStore(state, keys)
        how = uds_access(definition)
        power = PowerGuard(meter or SteadyMeter(), how.voltage, self.journal.events.tell, JOB)
        self.job = JobContext(
            JOB, definition, how, access, self.journal, self.blobs, files or SoundDisk(), power, lambda: 0.0
        )

    def identified(self) -> Box:
        """A fresh job whose ECU is known."""
        definition = self.job.definition
        self.journal.create_job(JOB)
        self.journal.describe(JOB, definition.id, definition.digest(), "obd", IDENTITY)
        self.journal.move(JOB, JobState.IDENTIFIED)
        return self

    def read_verified(self) -> Box:
        """A job whose original is sealed."""
        self.identified()
        self.journal.move(JOB, JobState.READING)
        self.journal.read_verified(JOB, ORIGINAL_FILE)
        return self

    def in_preflight(self) -> Box:
        """A job that passed its gates."""
        self.read_verified()
        self.journal.move(JOB, JobState.PREFLIGHT)
        return self

    @property
    def state(self) -> JobState:
        return self.journal.job(JOB).state

    def close(self) -> None:
        self.journal.close()


async def checked(job: JobContext, plan: FlashPlan) -> ExecutablePlan:
    """The plan, let through by every gate of car and box.

    They are asked of another, sound ECU: a test is about what the loop does to its own.
    """
    sound = ProbeAccess(ProbeEcu(job.definition, {}))
    supply = PowerGuard(SteadyMeter(), job.access_definition.voltage, lambda event: None, job.id)
    return await let_through(replace(job, access=sound, power=supply), plan)


async def let_through(job: JobContext, plan: FlashPlan) -> ExecutablePlan:
    """The plan, let through by every gate, asked of the job's own ECU."""
    if not isinstance(plan.request, WriteRequest):
        raise TypeError("a recovery asks the wire itself")
    asked = CarCheck(replace(job, car=Acquaintance()), plan.request, AllClear())
    return ExecutablePlan(plan, await ask_car(asked, lambda verdict: None))


async def write_plan(job: JobContext, plan: FlashPlan) -> WriteResult:
    """Execute it, with its gates passed."""
    return await write(job, await checked(job, plan))


def request_for(definition: Definition, original: MemoryImage, tuned: MemoryImage | None) -> WriteRequest:
    """A request that passes every gate: the original (no tuned image), or a tuned file with its papers."""
    return WriteRequest(
        job_id=JOB,
        definition=definition,
        access=definition.accesses[0],
        original_file=ORIGINAL_FILE,
        original=original,
        tuned=tuned,
        tuned_file=None if tuned is None else "tuned-file",
        papers=Authorisation(own_original=True) if tuned is None else papers_for(definition, original, tuned),
        checksums=(),
    )


def papers_for(definition: Definition, original: MemoryImage, tuned: MemoryImage) -> Authorisation:
    """Authorisation of a tuned file that are in order."""
    names = {region.place.at: region.name for region in definition.regions}
    regions = {names[place.at]: place for place, _ in tuned.pieces}
    return Authorisation(
        own_original=False,
        definition=definition.id,
        method="obd",
        ecu_hw=IDENTITY.hw,
        ecu_sw=IDENTITY.sw,
        ecu_boot=IDENTITY.boot,
        vin_matches=True,
        regions=regions,
        base_sha256=original.sha256(),
        changed_ranges=original.overlaid(tuned).changed_ranges(original),
        checksum_by_master=True,
        use="road_compliant",
        consents=("technician",),
    )
