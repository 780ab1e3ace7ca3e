"""What an ECU makes of a line that is held low: an address at 5 bit/s, or a pulse (ISO 14230-2, 5.2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

_BIT_S = 0.2
_EDGE_TOLERANCE_S = 0.006
_LOW_S, _WHOLE_S, _PULSE_TOLERANCE_S = 0.025, 0.05, 0.001


@dataclass(slots=True)
class Edges:
    """Falling and rising edges since the line was last idle."""

    idle_s: float
    """So long it has to be high before anything counts."""
    quiet_since_s: float
    exact_s: float
    """By which it may all be off besides."""
    edges: list[tuple[float, bool]] = field(default_factory=list)
    was_idle: bool = False

    def note(self, at_s: float, low: bool) -> None:
        """An edge. What follows a pulse that led nowhere is a new beginning: a bit is never so short."""
        if low and len(self.edges) == 2 and self.edges[1][0] - self.edges[0][0] < _BIT_S / 2:
            self.edges.clear()
        if not low and not self.edges:
            self.quiet_since_s = at_s  # it was low before anybody listened
            return
        if low and not self.edges:
            self.was_idle = at_s - self.quiet_since_s >= self.idle_s - self.exact_s
        self.edges.append((at_s, low))
        self.quiet_since_s = at_s

    def byte_ended(self, at_s: float) -> None:
        """The line was busy with a byte."""
        self.quiet_since_s = at_s

    def forget(self) -> None:
        """What was seen leads nowhere."""
        self.edges.clear()

    def address(self, now_s: float) -> int | None:
        """The address whose stop bit ends now; None where the edges are none."""
        if not self.edges or not self.was_idle:
            return None
        began_s = self.edges[0][0]
        for at_s, _ in self.edges:
            off_s = (at_s - began_s) % _BIT_S
            if min(off_s, _BIT_S - off_s) > _EDGE_TOLERANCE_S + self.exact_s:
                return None
        bits = [self._high_at(began_s + (number + 0.5) * _BIT_S) for number in range(10)]
        if bits[0] or not bits[9] or now_s < began_s + 9.5 * _BIT_S:
            return None
        return sum(bit << number for number, bit in enumerate(bits[1:9]))

    def is_pulse(self, request_at_s: float) -> bool:
        """Whether the edges, and the begin of the request behind them, are those of fast initialisation."""
        if not self.was_idle or [low for _, low in self.edges] != [True, False]:
            return False
        (fall_s, _), (rise_s, _) = self.edges
        return (
            abs(rise_s - fall_s - _LOW_S) <= _PULSE_TOLERANCE_S + self.exact_s
            and abs(request_at_s - fall_s - _WHOLE_S) <= _PULSE_TOLERANCE_S + self.exact_s
        )

    def _high_at(self, at_s: float) -> bool:
        level = True
        for edge_s, low in self.edges:
            if edge_s <= at_s:
                level = not low
        return level
