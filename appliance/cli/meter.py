"""Progress: one line that is painted over on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, TextIO

from appliance.cli.words import PHASES, clock, share, size

_BAR = 24
_PLAIN_STEP = 0.1
"""Share of a phase between two plain lines."""


class Meter:
    """Paints progress events on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._painted = False
        self._phase: str | None = None
        self._told = 0.0

    def show(self, event: Mapping[str, Any]) -> None:
        """Paint one progress event."""
        if self._terminal:
            self._paint(event)
        elif self._worth_a_line(event):
            print(progress_line(event, bar=False), file=self._stream, flush=True)

    def clear(self) -> None:
        """Leave the painted line standing and go on below it."""
        if self._painted:
            print(file=self._stream, flush=True)
            self._painted = False

    def _paint(self, event: Mapping[str, Any]) -> None:
        if event["phase"] != self._phase:
            self.clear()
            self._phase = event["phase"]
        columns = shutil.get_terminal_size().columns
        line = progress_line(event, bar=True)[: columns - 1]
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()
        self._painted = True

    def _worth_a_line(self, event: Mapping[str, Any]) -> bool:
        done = _done(event)
        if event["phase"] != self._phase or done < self._told:
            self._phase, self._told = event["phase"], 0.0
        if done < 1.0 and done < self._told + _PLAIN_STEP:
            return False
        if self._told >= 1.0:
            return False
        self._told = done
        return True


def progress_line(event: Mapping[str, Any], *, bar: bool) -> str:
    """Phase, share done, bytes, kB/s, share of the wire's ceiling, time left, voltage."""
    done = _done(event)
    parts = [f"{PHASES.get(event['phase'], event['phase']):<9}"]
    if bar:
        filled = round(done * _BAR)
        parts.append(f"[{'█' * filled}{'·' * (_BAR - filled)}]")
    parts += [
        f"{done:>4.0%}".replace("%", " %"),
        f"{size(event['done_bytes'])} of {size(event['total_bytes'])}",
    ]
    if event["bytes_per_s"]:
        parts.append(f"{event['bytes_per_s'] / 1000:.1f} kB/s")
    if event.get("wire_share"):
        parts.append(f"{share(min(1.0, event['wire_share']))} of the wire")
    if event.get("eta_s") and done < 1.0:
        parts.append(f"{clock(event['eta_s'])} left")
    if event.get("voltage_v") is not None:
        parts.append(f"{event['voltage_v']:.1f} V")
    return "  ".join(parts)


def _done(event: Mapping[str, Any]) -> float:
    total = event["total_bytes"]
    return min(1.0, event["done_bytes"] / total) if total else 1.0
