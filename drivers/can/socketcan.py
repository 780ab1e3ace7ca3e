"""What the kernel does for a raw CAN socket, so that Python need not: filtering frames, and counting them."""

from __future__ import annotations

import os
import socket
import struct
from functools import cached_property
from pathlib import Path

from drivers.can import rate
from drivers.can.interface import CanBusGoneError

_SOL_CAN_RAW, _CAN_RAW_FILTER = 101, 1
_MOST_FILTERS = 512
_SO_MEMINFO = 55
"""asm-generic/socket.h; Python has no name for it."""
_MEMINFO, _MEMINFO_DROPS = struct.Struct("=9I"), 8
"""Figures and the place of the drops among them (linux/sock_diag.h)."""
_ANY_FORMAT = 0x1FFF_FFFF | 0x4000_0000
"""Filter mask: the whole identifier of a data frame, whether it has 11 or 29 bits (linux/can.h)."""
_FRAME_BITS = 47
"""Of a classic frame with an 11-bit identifier, besides its data (ISO 11898-1, 10.4)."""
_STATISTICS = Path("/sys/class/net")


def let_through(descriptor: int, can_ids: frozenset[int] | None) -> None:
    """Have the kernel hand over data frames with these identifiers only, error frames besides; None is all.

    Raises OSError.
    """
    filters = b"".join(struct.pack("=II", can_id, _ANY_FORMAT) for can_id in can_ids or ())
    if can_ids is None or len(can_ids) > _MOST_FILTERS:
        filters = struct.pack("=II", 0, 0)
    with socket.socket(fileno=os.dup(descriptor)) as alias:
        alias.setsockopt(_SOL_CAN_RAW, _CAN_RAW_FILTER, filters)


def lost_by(descriptor: int) -> int:
    """What a socket's full receive buffer made the kernel throw away since it was opened.

    This is the count that SO_RXQ_OVFL sends along with frames (socket(7)); python-can takes no second extra
    field, so it is asked for here. None are known of where the kernel does not tell (before Linux 4.12).
    """
    with socket.socket(fileno=os.dup(descriptor)) as alias:
        try:
            told = alias.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return 0
    return drops_in(told)


def drops_in(told: bytes) -> int:
    """The drops among a socket's memory figures; an older kernel tells fewer of them."""
    if len(told) < _MEMINFO.size:
        return 0
    return int(_MEMINFO.unpack_from(told)[_MEMINFO_DROPS])


class InterfaceTraffic:
    """All frames that pass a SocketCAN interface from now on, as the interface itself counts them."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._began = self._counted()

    def so_far(self) -> tuple[int, float]:
        """(frames, about how many bits they took); nothing once the interface is gone.

        Stuff bits are taken for one in ten of the data's; where identifiers have 29 bits, this is up to 15 %
        low.
        """
        rx_frames, rx_bytes, tx_frames, tx_bytes = (
            max(0, now - began) for now, began in zip(self._counted(), self._began, strict=True)
        )
        frames, data_bytes = rx_frames, rx_bytes
        if not self._loops_back:
            frames, data_bytes = rx_frames + tx_frames, rx_bytes + tx_bytes
        return frames, _FRAME_BITS * frames + 1.1 * 8 * data_bytes

    @cached_property
    def _loops_back(self) -> bool:
        try:
            return rate.loops_back(self._interface)
        except CanBusGoneError:
            return False

    def _counted(self) -> tuple[int, int, int, int]:
        """Frames and data bytes received, frames and data bytes sent; nothing if the interface is gone."""
        folder = _STATISTICS / self._interface / "statistics"
        try:
            rx_frames, rx_bytes, tx_frames, tx_bytes = (
                int((folder / name).read_text("ascii"))
                for name in ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")
            )
        except OSError:
            return 0, 0, 0, 0
        return rx_frames, rx_bytes, tx_frames, tx_bytes
