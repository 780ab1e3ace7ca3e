"""How a simulated ECU behaves on its K-line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class LineTimes:
    """In seconds; the defaults of ISO 14230-2, table 4. P4 and P3 are demanded of the tester."""

    p1_s: float = 0.0
    p2_s: float = 0.025
    p3_min_s: float = 0.055
    p3_max_s: float = 5.0
    p4_min_s: float = 0.005
    p4_max_s: float = 0.02


@dataclass(frozen=True, slots=True)
class KwpEcuSettings:
    """Addresses, key bytes, times and rates."""

    address: int = 0x10
    wake_address: int = 0x01
    """The eight bits of the address at 5 bit/s."""
    key_bytes: tuple[int, int] = (0x6B, 0x8F)
    wakes: frozenset[Literal["slow", "fast"]] = frozenset(("slow", "fast"))
    rate_bps: int = 10_400
    idle_s: float = 0.3
    """W5."""
    w1_s: float = 0.1
    """From the address at 5 bit/s to the synch byte."""
    w2_s: float = 0.01
    w3_s: float = 0.01
    """To the first and to the second key byte."""
    w4_s: float = 0.03
    """To the complement of the address."""
    iso_9141: bool = False
    """Speaks with the headers of ISO 9141-2, which name no length."""
    times: LineTimes = LineTimes()
    exact_s: float = 1e-5
    """By which the tester's times may be off; more where time is the wall's."""
    limits: bytes = bytes.fromhex("0002000200")
    """What 83 00 answers: the least of P2min, P2max, P3min, P3max and P4min."""
    rates: Mapping[int, int] = field(default_factory=lambda: {0x14: 10_400, 0x50: 38_400, 0x87: 124_800})
    """Bit rate by the byte that asks for it behind 10."""
    answers_with_addresses: bool = True
    most_in_download: int = 0xFE
    """As 74 tells it: the longest 36, its service byte included."""
    most_in_upload: int = 0xFF
    """As 75 tells it: the longest answer to 36, its service byte included."""
    application_refuses: bool = False
    """A running application refuses 81 (7F 00 13, to address 00) and hears 10 and 82, behind which its boot
    loader wakes and takes headers without addresses alone."""
    records_text: bytes | None = None
    """Downloads are counted records under this text, and announced so (data format 11)."""
    keeps_download_open: bool = False
    """A download that the line was lost in waits for its end, and no other begins before it (23)."""
    last_sector: int | None = None
    """The write is finished when this sector, given by its start, is programmed last and the tester says
    goodbye (82); else a fault code stays."""
    status_option: int | None = None
    """What 1A is asked for to tell the status of its flash."""
    erase_s_per_byte: float = 0.5 / 0x800
    check_s: float = 0.1
    program_s_per_byte: float = 0.0
    p2_max_s: float = 0.05
    """What takes longer is announced by 78."""
    secret: int = 0x5A17C0DE
    """The key is the seed XOR this: it guards nothing."""
    needs_key_to_read: bool = True
    lockout_s: float = 10.0
    drops_after_erase: bool = False
    """The channel is gone once an erase has begun; the ECU has to be woken again."""
