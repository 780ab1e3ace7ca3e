"""What a simulated ECU can be told to do differently from its definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simulator.ecu.keys import KeyFunction


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
    bus_off_recovery_s: float = 0.1
    """From bus-off until the controller takes part again."""
