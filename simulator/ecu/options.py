"""What a simulated ECU can be told to do differently from its definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink, IsoTpSettings
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.interface import CanPort
from simulator.ecu.keys import KeyFunction
from simulator.ecu.nrc import Nrc

LinkMaker = Callable[[CanPort, IsoTpAddress, IsoTpSettings], IsoTpLink]


class TransferEnd(StrEnum):
    """What ends a transfer that was begun and not completed."""

    EXIT = "exit"
    """0x37, which is refused with 0x24 all the same."""
    SESSION = "session"
    """0x10 and the end of a session by S3."""
    ERASE = "erase"
    RESET = "reset"
    """0x11, and every other restart: one without supply too."""
    POWER = "power"
    """A restart without supply alone."""


@dataclass(frozen=True, slots=True)
class EcuOptions:
    """Quirks of one ECU; the defaults are those of a well-behaved one."""

    response_delay_s: float = 0.0
    """Thinking time before each answer."""
    block_size: int = 0
    """BS of the ECU's flow control."""
    stmin: int = 0
    """Raw STmin byte of the ECU's flow control."""
    wait_frames: int = 0
    """FC.WAIT frames before each clear-to-send."""
    max_payload_bytes: int | None = None
    """Longer requests are answered with FC.OVERFLOW; None is the longest block the ECU announces."""
    authentication_only: bool = False
    """Certificates (0x29) instead of seed and key: programming is answered with NRC 0x34."""
    key_attempts: int = 3
    lockout_s: float = 10.0
    plugin_keys: Mapping[str, KeyFunction] = field(default_factory=dict)
    """Owner-supplied algorithms by name, for levels with `algorithm = "plugin:NAME"`."""
    image_check: Callable[[bytes], bool] | None = None
    """The ECU's own check of its whole memory, for checksum modules it does not know itself."""
    brownout_v: float = 6.0
    """Below this supply the controller is in reset."""
    transfer_ended_by: frozenset[TransferEnd] = frozenset(TransferEnd)
    """Whatever is left out keeps an open transfer, and a second 0x34 or 0x35 is then refused."""
    open_transfer_nrc: Nrc = Nrc.CONDITIONS_NOT_CORRECT
    """How the second one is refused: 0x22, or 0x24 or 0x70."""
    s3_kept_by_any_request: bool = True
    """False: only 0x10 and 0x3E start S3 again, also while other requests come without a pause."""
    tells_obd_engine_speed: bool = True
    """Whether mode 01 has PID 0C."""
    bus_off_recovery_s: float = 0.1
    """From bus-off until the controller takes part again."""
    line_slack_s: float = 1e-5
    """By which a tester's times on a K-line may be off; more where time is the wall's."""
    link: LinkMaker = SoftIsoTpLink
    """Its ISO-TP: our own, which can be told to misbehave, or the kernel's."""
