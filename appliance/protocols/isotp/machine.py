"""The two halves of ISO-TP without any I/O or clock: cutting a payload up, and putting one together."""

from __future__ import annotations

from appliance.protocols.isotp.codec import (
    FlowControl,
    FlowStatus,
    first_frame,
    first_frame_length,
    single_frame,
    single_frame_payload,
    stmin_seconds,
)
from appliance.protocols.isotp.interface import IsoTpError, IsoTpSettings


class Segmentation:
    """One payload on its way out, frame by frame."""

    def __init__(self, payload: bytes, settings: IsoTpSettings, room: int) -> None:
        self._payload = payload
        self._room = room
        self._settings = settings
        self._at = 0
        self._sequence = 1
        self._left_in_block: int | None = 0
        self._waits = 0
        self.gap_s = 0.0

    def opening(self) -> bytes:
        """The single frame, or the first frame. Raises IsoTpError for an empty payload."""
        if not self._payload:
            raise IsoTpError("an empty payload cannot be sent")
        single = single_frame(self._payload, self._room)
        if single is not None:
            self._at = len(self._payload)
            return single
        frame, self._at = first_frame(self._payload, self._room)
        return frame

    @property
    def done(self) -> bool:
        """True when every byte was handed out."""
        return self._at >= len(self._payload)

    @property
    def awaits_flow_control(self) -> bool:
        """True when the peer has to speak before the next frame."""
        return self._left_in_block == 0 and not self.done

    def on_flow_control(self, pci: bytes) -> None:
        """Take the peer's flow control. Raises IsoTpError for overflow, too many waits or a broken frame."""
        flow = FlowControl.decode(pci)
        if flow.status is FlowStatus.OVERFLOW:
            raise IsoTpError("the receiver has no room for this payload (FC.OVERFLOW)")
        if flow.status is FlowStatus.WAIT:
            self._waits += 1
            if self._waits > self._settings.max_wait_frames:
                raise IsoTpError(f"the receiver asked to wait {self._waits} times")
            return
        self._waits = 0
        self._left_in_block = flow.block_size or None
        override = self._settings.stmin_override_us
        self.gap_s = stmin_seconds(flow.stmin) if override is None else override / 1e6

    @property
    def frames_left(self) -> int:
        """Consecutive frames that are still to come."""
        return -(-(len(self._payload) - self._at) // (self._room - 1))

    def skip(self, frames: int) -> None:
        """Leave out so many consecutive frames, for those who only look at some."""
        self._at += frames * (self._room - 1)
        self._sequence = (self._sequence + frames) & 0x0F

    def consecutive(self) -> bytes:
        """The next consecutive frame; to be called while neither done nor awaiting flow control."""
        end = self._at + self._room - 1
        frame = bytes((0x20 | self._sequence,)) + self._payload[self._at : end]
        self._at = end
        self._sequence = (self._sequence + 1) & 0x0F
        if self._left_in_block is not None:
            self._left_in_block -= 1
        return frame


class Reassembly:
    """Payloads on their way in. `reply` holds the flow control to send after a `feed`, if any."""

    def __init__(self, settings: IsoTpSettings) -> None:
        self._settings = settings
        self._parts: list[bytes] = []
        self._missing = 0
        self._frame_bytes = 0
        self._sequence = 0
        self._until_flow_control = 0
        self.reply: FlowControl | None = None

    @property
    def active(self) -> bool:
        """True between a first frame and the last consecutive one."""
        return self._missing > 0

    def feed(self, pci: bytes) -> bytes | None:
        """Take one frame; a payload if it completed one. Raises IsoTpError when a transfer breaks off."""
        self.reply = None
        kind = pci[0] >> 4 if pci else None
        if kind == 2:
            return self._consecutive(pci)
        if kind == 0:
            return self._single(pci)
        if kind == 1:
            self._first(pci)
        return None

    def reset(self) -> None:
        """Forget a transfer that broke off."""
        self._parts, self._missing = [], 0

    def _single(self, pci: bytes) -> bytes | None:
        payload = single_frame_payload(pci)
        if payload is not None:
            self.reset()
        return payload

    def _first(self, pci: bytes) -> None:
        opened = first_frame_length(pci)
        if opened is None:
            return
        length, header = opened
        self.reset()
        if length > self._settings.max_payload_bytes:
            self.reply = FlowControl(FlowStatus.OVERFLOW)
            return
        self._parts = [pci[header:]]
        self._missing = length - len(self._parts[0])
        self._frame_bytes = len(pci)
        self._sequence = 1
        self._clear_to_send()

    def _clear_to_send(self) -> None:
        self._until_flow_control = self._settings.block_size
        self.reply = FlowControl(FlowStatus.CONTINUE, self._settings.block_size, self._settings.stmin)

    def _consecutive(self, pci: bytes) -> bytes | None:
        wanted = min(self._frame_bytes, self._missing + 1)
        if len(pci) < wanted or not self._missing:
            return None  # unasked, or cut short: the standard ignores both, and the next number tells
        if pci[0] & 0x0F != self._sequence:
            expected = self._sequence
            self.reset()
            raise IsoTpError(f"consecutive frame {pci[0] & 0x0F} came where {expected} was due")
        self._sequence = (self._sequence + 1) & 0x0F
        self._parts.append(pci[1:wanted])
        self._missing -= wanted - 1
        if not self._missing:
            payload = b"".join(self._parts)
            self.reset()
            return payload
        if self._until_flow_control:
            self._until_flow_control -= 1
            if not self._until_flow_control:
                self._clear_to_send()
        return None
