"""One simulated ECU over KWP2000, on a K-line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from appliance.definitions.access.kwp2000 import IdentityField, KwpAccessDefinition, KwpTwin, Line, kwp_access
from appliance.definitions.schema import Definition
from simulator.controller import Build, Controller
from simulator.ecu.chip import Chip, Program
from simulator.ecu.keys import told_level
from simulator.ecu.nvm import Records
from simulator.ecu.options import TransferEnd
from simulator.kline.ecu import KwpEcu
from simulator.kline.server import KwpServer, Told
from simulator.kline.settings import KwpEcuSettings, LineTimes
from simulator.kline.wire import KWire

_STORED = 0xE0
"""Status byte of a stored fault code."""
_KIB = 1024
_RATE_STEP_BPS = 200


class KLineController(Controller):
    """Strict: it hears nothing of a tester that does not keep its times."""

    def __init__(self, definition: Definition, wire: KWire, build: Build) -> None:
        super().__init__()
        factory = Records(dtcs=dict.fromkeys(definition.twin.dtcs, _STORED))
        memory, nvm = build.stored(definition, factory)
        self.core = Chip(definition, memory, nvm, build.options, build.around, build.seed)
        self._access = kwp_access(definition)
        settings = settings_of(definition)
        settings = replace(settings, lockout_s=build.options.lockout_s, exact_s=build.options.line_slack_s)
        self.ecu = KwpEcu(wire, settings, definition.id)
        self.ecu.power_cut()
        self.server = KwpServer(self.ecu, self.core, told_of(definition))
        self.ecu.request_hook = lambda request: self.request_hook(request) if self.request_hook else None

    @property
    def access(self) -> KwpAccessDefinition:
        """The first access over KWP2000."""
        return self._access

    @property
    def chatters(self) -> bool:
        """Never: on a K-line the tester has the word."""
        return False

    def bus_off(self) -> None:
        """It falls asleep as if P3max were over: the channel is gone, and has to be woken again."""
        if self.program in (Program.APPLICATION, Program.BOOTLOADER):
            self.ecu.fall_asleep()

    def _booted(self) -> None:
        if not self.records.application_valid:
            self.core.judge_memory()
        super()._booted()

    def _start_up(self, ended: TransferEnd) -> None:
        """Nothing of a session is left: the line was lost."""

    def _serve(self) -> None:
        if self.program is not Program.SILENT:
            self.ecu.power_up()

    def _stop_serving(self) -> None:
        self.ecu.power_cut()

    def _join(self) -> None:
        """It is on the wire, and lets go of it, whether it runs or not."""

    def _leave(self) -> None:
        """For the same reason."""

    def _rejoin(self) -> None:
        """For the same reason."""


def settings_of(definition: Definition) -> KwpEcuSettings:
    """What the ECU wants of the tester, from its access and its `[simulation]`."""
    access, twin = kwp_access(definition), definition.twin
    line, own = access.line, twin.of("kwp2000", KwpTwin)
    first, second = bytes.fromhex(own.key_bytes)
    return KwpEcuSettings(
        address=line.target,
        wake_address=wake_byte(line) or 0x01,
        wakes=frozenset((line.wake,)),
        key_bytes=(first, second),
        rate_bps=line.rate_bps,
        times=LineTimes(p4_min_s=own.p4_min_ms / 1000),
        limits=bytes.fromhex(own.limits),
        rates={_code(rate): rate for rate in own.rates_bps},
        answers_with_addresses=line.addressed,
        most_in_download=own.most_in_download,
        erase_s_per_byte=twin.erase_ms_per_kib / 1000 / _KIB,
        program_s_per_byte=twin.program_ms_per_kib / 1000 / _KIB,
        check_s=own.check_ms / 1000,
        secret=told_level(access.sessions.write_security, twin.secrets).constant or 0,
        needs_key_to_read=access.sessions.read_security is not None,
        drops_after_erase=own.drops_after_erase,
        application_refuses=line.application_refuses,
        records_text=_text(access, twin.secrets),
        keeps_download_open=access.writing.ends_pending,
        last_sector=_last_sector(definition, access),
        status_option=access.sessions.status_option,
    )


def _text(access: KwpAccessDefinition, secrets: Mapping[str, str]) -> bytes | None:
    """What lies over the records of a download."""
    keys = [one.key for one in access.writing.transforms if one.key is not None]
    return bytes.fromhex(secrets[keys[0]]) if keys else None


def _last_sector(definition: Definition, access: KwpAccessDefinition) -> int | None:
    if not access.recovery.rewrite_last:
        return None
    *_, last = definition.region(access.recovery.last[-1]).sector_ranges()
    return last.start


def wake_byte(line: Line) -> int | None:
    """The eight bits at 5 bit/s, the parity of seven among them where the definition asks for one."""
    if line.wake_address is None or line.wake_parity == "none":
        return line.wake_address
    seven = line.wake_address & 0x7F
    is_odd = seven.bit_count() % 2 == 1
    return seven | 0x80 * (is_odd != (line.wake_parity == "odd"))


def _code(rate_bps: int) -> int:
    """The byte behind 10 that asks for a rate: 2^X * (Y + 32) * 200 (sources: kwp-routines)."""
    for high in range(8):
        low = rate_bps / (_RATE_STEP_BPS << high) - 32
        if low == int(low) and 0 <= low < 32:
            return high << 5 | int(low)
    raise ValueError(f"no code asks for {rate_bps} bit/s")


def told_of(definition: Definition) -> Told:
    """Records of 1A, each where the access looks for it; a boot loader knows neither software nor VIN."""
    own, twin = kwp_access(definition).identity, definition.twin
    records: dict[int, bytearray] = {}
    boots: set[int] = set()
    for field, text in ((own.boot, twin.boot), (own.hw, twin.hw), (own.serial, twin.serial)):
        if field is not None:
            _place(records, field, text)
            boots.add(field.option)
    applications: set[int] = set()
    for field, text in ((own.sw, twin.sw), (own.vin, twin.vin)):
        if field is not None:
            _place(records, field, text)
            applications.add(field.option)
    return Told(
        {option: bytes(record) for option, record in records.items()}, frozenset(applications - boots)
    )


def _place(records: dict[int, bytearray], field: IdentityField, text: str) -> None:
    record = records.setdefault(field.option, bytearray())
    value = text.encode("ascii")
    if field.length is not None:
        value = value.ljust(field.length)[: field.length]
    end = field.first + len(value)
    record.extend(b" " * (end - len(record)))
    record[field.first : end] = value
