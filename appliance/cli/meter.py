"""Progress: one line that is painted over on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.cli.outlet import Outlet
from appliance.cli.words import PHASES, clock, share, size
from appliance.contract.events_told import ProgressTold
from appliance.contract.voltage import STALE_S

_BAR = 24
_SHORTEST_BAR = 4
_PLAIN_STEP = 0.1
"""Share of a phase between two plain lines."""
_PLAIN_BEAT_S = 30.0
"""Silence between two plain lines that say that the box is working."""


class Meter:
    """Paints progress events on a stream."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._painted = False
        self._phase: str | None = None
        self._told = 0.0
        self._latest: ProgressTold | None = None

    def show(self, event: ProgressTold) -> None:
        """Paint one progress event."""
        self._latest = event
        if self._outlet.terminal:
            self._paint(event)
        elif self._worth_a_line(event):
            self._outlet.line(progress_line(event))

    def beat(self, silent_s: float) -> None:
        """Nothing was told for so long, and the engine lives: an erase, a wait for the supply, a slow ECU."""
        if self._outlet.terminal:
            waiting = f"{clock(silent_s)} without news"
            if self._latest is None:
                self._outlet.paint(f"Working, {waiting}"[: self._outlet.columns - 1])
                self._painted = True
            else:
                self._paint(_aged(self._latest, silent_s), waiting)
        elif silent_s % _PLAIN_BEAT_S == 0:
            phase = "The box" if self._latest is None else phase_name(self._latest)
            self._outlet.line(f"{phase} is still working: {clock(silent_s)} without news")

    def clear(self) -> None:
        """Leave the painted line standing and go on below it."""
        if self._painted:
            self._outlet.write("\n")
            self._painted = False

    def _paint(self, event: ProgressTold, waiting: str | None = None) -> None:
        if event["phase"] != self._phase:
            self.clear()
            self._phase = event["phase"]
        self._outlet.paint(progress_line(event, self._outlet.columns - 1, waiting))
        self._painted = True

    def _worth_a_line(self, event: ProgressTold) -> bool:
        done = _done(event)
        if event["phase"] != self._phase or done < self._told:
            self._phase, self._told = event["phase"], 0.0
        if done < 1.0 and done < self._told + _PLAIN_STEP:
            return False
        if self._told >= 1.0:
            return False
        self._told = done
        return True


def phase_name(event: ProgressTold) -> str:
    """What the box is doing."""
    return PHASES.get(event["phase"], event["phase"])


def progress_line(event: ProgressTold, width: int | None = None, waiting: str | None = None) -> str:
    """Phase, bar, share done, bytes, kB/s, share of the wire's ceiling, time left, voltage.

    With a width there is a bar, and what matters least is left out until the line fits: time left and
    voltage stay longest. `waiting` stands in place of the time left.
    """
    name = f"{phase_name(event):<9}"
    done = f"{_done(event):>4.0%}".replace("%", " %")
    vital = [part for part in (waiting or _left(event), _voltage(event)) if part]
    if width is None:
        return "  ".join([name, done, *_details(event), *vital])
    for kept in reversed(range(4)):
        rest = [done, *list(_details(event))[:kept], *vital]
        room = width - len("  ".join([name, *rest])) - len("  []")
        if room >= _SHORTEST_BAR:
            return "  ".join([name, _bar(event, min(room, _BAR)), *rest])
    rest = [done.strip(), *vital]
    room = width - len(" ".join([name.rstrip(), *rest])) - len(" []")
    return " ".join([name.rstrip(), *([_bar(event, room)] if room > 0 else []), *rest])[:width]


def _bar(event: ProgressTold, length: int) -> str:
    filled = round(_done(event) * length)
    return f"[{'█' * filled}{'·' * (length - filled)}]"


def _details(event: ProgressTold) -> Iterator[str]:
    """What may be left out, from the last on."""
    yield f"{size(event['done_bytes'])} of {size(event['total_bytes'])}"
    if event["bytes_per_s"]:
        yield f"{event['bytes_per_s'] / 1000:.1f} kB/s"
    if event["wire_share"]:
        yield f"{share(min(1.0, event['wire_share']))} of the wire"


def _left(event: ProgressTold) -> str | None:
    eta_s = event["eta_s"]
    return f"{clock(eta_s)} left" if eta_s and _done(event) < 1.0 else None


def _voltage(event: ProgressTold) -> str | None:
    """One that is not of now says of when it is."""
    measured = event.get("voltage")
    if measured is None:
        return None
    ago = f" {clock(measured['age_s'])} ago" if measured["age_s"] > STALE_S else ""
    return f"{measured['volts']:.1f} V{ago}"


def _aged(event: ProgressTold, seconds: float) -> ProgressTold:
    """The same event, told so long ago."""
    measured = event.get("voltage")
    if measured is None:
        return event
    older: ProgressTold = {**event, "voltage": {**measured, "age_s": measured["age_s"] + seconds}}
    return older


def _done(event: ProgressTold) -> float:
    total = event["total_bytes"]
    return min(1.0, event["done_bytes"] / total) if total else 1.0
