"""Requests to every ECU at once: single frames only (ISO 15765-2, 9.2)."""

from __future__ import annotations


def single_frame_payload(frame: bytes, extension: int | None) -> bytes | None:
    """The payload of a single frame, or None for any other frame or another address byte."""
    if extension is not None:
        if not frame or frame[0] != extension:
            return None
        frame = frame[1:]
    if not frame or frame[0] >> 4:
        return None
    length, at = frame[0], 1
    if length == 0 and len(frame) > 8:
        length, at = frame[1], 2
    payload = frame[at : at + length]
    return payload if length and len(payload) == length else None
