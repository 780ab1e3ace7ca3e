"""The can-isotp package as a node of the simulated bus."""

from __future__ import annotations

from collections import deque
from typing import Any

import isotp

from drivers.can.interface import CanFrame
from simulator.bus import SimPort


class CanIsoTpNode:
    """can-isotp's protocol logic, run by each frame that arrives and not by its threads: on any time."""

    def __init__(self, port: SimPort, address: isotp.Address, params: dict[str, Any]) -> None:
        self.errors: list[Exception] = []
        self._port = port
        self._inbox: deque[isotp.CanMessage] = deque()
        self.layer = isotp.TransportLayerLogic(
            rxfn=lambda _timeout: self._inbox.popleft() if self._inbox else None,
            txfn=self._transmit,
            address=address,
            params=params,
            error_handler=self.errors.append,
        )
        port.subscribe(self._on_frame)

    def send(self, payload: bytes) -> None:
        self.layer.send(payload)
        self.layer.process()

    def received(self) -> bytes:
        """The payload that arrived; empty if none."""
        return bytes(self.layer.recv() or b"")

    def _on_frame(self, frame: CanFrame) -> None:
        self._inbox.append(
            isotp.CanMessage(frame.can_id, 0, frame.data, frame.extended, frame.fd, frame.bit_rate_switch)
        )
        self.layer.process()

    def _transmit(self, message: isotp.CanMessage) -> None:
        self._port.send(
            CanFrame(
                message.arbitration_id,
                bytes(message.data),
                message.is_extended_id,
                message.is_fd,
                message.bitrate_switch,
            )
        )
