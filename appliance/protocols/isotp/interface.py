"""What an ISO-TP link is, and how one is addressed and tuned (ISO 15765-2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class IsoTpError(ConnectionError):
    """A payload could not be moved: no flow control, wrong sequence number, overflow, bus gone."""


@dataclass(frozen=True, slots=True)
class IsoTpAddress:
    """The pair of identifiers of one link, seen from this side.

    `tx_extension`/`rx_extension` is the address byte before the PCI: both different in extended addressing,
    the same in mixed addressing (ISO 15765-2, 10.3).
    """

    tx_id: int
    rx_id: int
    extended_ids: bool = False
    tx_extension: int | None = None
    rx_extension: int | None = None


@dataclass(frozen=True, slots=True)
class IsoTpSettings:
    """How this side behaves. The flow-control fields are what it asks of the peer when it receives."""

    block_size: int = 0
    stmin: int = 0
    """Raw separation-time byte of our flow control: 0x00-0x7F ms, 0xF1-0xF9 100-900 us."""
    tx_frame_bytes: int = 8
    """8 on classic CAN; up to 64 on CAN FD."""
    bit_rate_switch: bool = False
    padding: int | None = 0x55
    stmin_override_us: int | None = None
    """Gap between our consecutive frames instead of the one the peer asks for."""
    max_payload_bytes: int = 0xFFFF_FFFF
    """A longer first frame is answered with FC.OVERFLOW."""
    wait_frames: int = 0
    """FC.WAIT frames sent before each first clear-to-send (simulated ECUs only)."""
    max_wait_frames: int = 16
    """FC.WAIT frames of the peer endured before giving up (N_WFTmax)."""
    timeout_s: float = 1.0
    """N_Bs and N_Cr."""
    reassembly_s: float = math.inf
    """From a payload's first frame to its last: N_Cr alone would let a trickle of frames go on for ever."""


class IsoTpLink(Protocol):
    """Moves whole payloads between two addresses."""

    async def send(self, payload: bytes) -> None:
        """Return once the last frame is on the wire. Raises IsoTpError."""

    async def receive(self, timeout_s: float) -> bytes:
        """The next payload. Raises TimeoutError if none begins in time, IsoTpError if it breaks off."""

    def drain(self) -> int:
        """Forget payloads that arrived unasked; returns how many."""

    def close(self) -> None:
        """Stop listening."""
