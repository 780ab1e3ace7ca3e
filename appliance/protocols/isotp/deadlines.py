"""How long moving a payload may take at most, whatever the peer makes of its rights."""

from __future__ import annotations

from appliance.protocols.isotp.interface import IsoTpSettings

_LARGEST_STMIN_S = 0.127
_FRAME_S = 0.0003
_WATCHDOG_S = 2.0
"""The kernel gives up on a frame that is not echoed for this long."""


def send_deadline_s(payload_bytes: int, settings: IsoTpSettings) -> float:
    """Longest a transfer may take whose receiver may ask for any separation time (sources: isotp-kernel)."""
    override = settings.stmin_override_us
    gap_s = _LARGEST_STMIN_S if override is None else override / 1e6
    frames = payload_bytes / (settings.tx_frame_bytes - 2) + 1
    return frames * (gap_s + _FRAME_S) + _WATCHDOG_S


def patient_send_deadline_s(payload_bytes: int, settings: IsoTpSettings) -> float:
    """As `send_deadline_s`, where the receiver may also ask to wait as often as N_WFTmax allows, once."""
    return send_deadline_s(payload_bytes, settings) + settings.max_wait_frames * settings.timeout_s
