"""How fast a wire can carry ISO-TP payload at best: the yardstick a transfer is measured against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random

from appliance.protocols.isotp.codec import FlowControl, FlowStatus, padded
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpSettings
from appliance.protocols.isotp.machine import Segmentation
from drivers.can.bits import frame_seconds
from drivers.can.interface import CanFrame

_FEW_FRAMES = 64


@dataclass(frozen=True, slots=True)
class Wire:
    """A bus and the pair of nodes that talk on it."""

    bitrate_bps: int
    address: IsoTpAddress
    data_bitrate_bps: int | None = None
    settings: IsoTpSettings = field(default_factory=IsoTpSettings)

    def mirrored(self) -> Wire:
        """The same wire seen from the other end."""
        ours = self.address
        theirs = IsoTpAddress(ours.rx_id, ours.tx_id, ours.extended_ids, ours.rx_extension, ours.tx_extension)
        return replace(self, address=theirs)

    def frame(self, pci: bytes, *, answer: bool = False) -> CanFrame:
        """The CAN frame of one PCI, sent by this side or, as its `answer`, by the other."""
        address, settings = self.address, self.settings
        extension = address.rx_extension if answer else address.tx_extension
        if extension is not None:
            pci = bytes((extension,)) + pci
        fd = settings.tx_frame_bytes > 8
        data = padded(pci, settings.padding, fd)
        can_id = address.rx_id if answer else address.tx_id
        return CanFrame(can_id, data, address.extended_ids, fd, settings.bit_rate_switch)


def transfer_frames(payload: bytes, wire: Wire) -> Iterator[CanFrame]:
    """Every frame of one payload, with the one flow control that BS = 0 needs."""
    outgoing, *begun = _begun(payload, wire)
    yield from begun
    while not outgoing.done:
        yield wire.frame(outgoing.consecutive())


def transfer_seconds(payload: bytes, wire: Wire) -> float:
    """Wire time of one payload at BS = 0 and STmin = 0, the stuff bits of these very bytes included."""
    return _seconds(transfer_frames(payload, wire), wire)


def estimated_seconds(payload: bytes, wire: Wire, samples: int) -> float:
    """`transfer_seconds`, judged by this many of the consecutive frames, evenly spread.

    Stuff bits depend on content, and counting those of every frame costs more time than moving it.
    """
    outgoing, *begun = _begun(payload, wire)
    frames = outgoing.frames_left
    if frames <= samples:
        return transfer_seconds(payload, wire)
    sampled = []
    for number in range(samples):
        outgoing.skip((2 * number + 1) * frames // (2 * samples) - (frames - outgoing.frames_left))
        sampled.append(wire.frame(outgoing.consecutive()))
    return _seconds(begun, wire) + _seconds(sampled, wire) * frames / samples


def _begun(payload: bytes, wire: Wire) -> tuple[Segmentation, *tuple[CanFrame, ...]]:
    """What is left of a payload behind its first frame and the flow control, and these frames."""
    room = wire.settings.tx_frame_bytes - (wire.address.tx_extension is not None)
    outgoing = Segmentation(payload, wire.settings, room)
    opening = wire.frame(outgoing.opening())
    if outgoing.done:
        return outgoing, opening
    clear_to_send = FlowControl(FlowStatus.CONTINUE).encode()
    outgoing.on_flow_control(clear_to_send)
    return outgoing, opening, wire.frame(clear_to_send, answer=True)


def _seconds(frames: Iterable[CanFrame], wire: Wire) -> float:
    return sum(frame_seconds(frame, wire.bitrate_bps, wire.data_bitrate_bps) for frame in frames)


@lru_cache(maxsize=64)
def ceiling_bytes_per_s(payload_bytes: int, wire: Wire) -> float:
    """Payload bytes per second for payloads of this size and random content, to about one per cent."""
    content = Random(payload_bytes).randbytes(payload_bytes)
    return payload_bytes / estimated_seconds(content, wire, _FEW_FRAMES)
