"""Wires that a person has confirmed and that have measured well since: asked for once in a job of one engine.

Nobody measures while the supply is off. So the probe has to find at each entry what it found behind the
confirmed wires; after an entry that failed, work behind it that failed, or a supply that was lost, every
wire is asked for anew.
"""

from __future__ import annotations

SAME_V = 0.3
"""By which the probe may read otherwise than behind the confirmed wires (our own choice)."""
TRUSTED_S = 3600.0
"""So long after the last good measurement nobody is asked again (our own choice)."""


class Wiring:
    """The wires between one bench and the ECU of one job."""

    def __init__(self) -> None:
        self._probed_v: float | None = None
        self._measured_s = 0.0
        self._sound = False

    def begin(self, now_s: float) -> bool:
        """An entry begins; whether nobody need be asked."""
        if now_s - self._measured_s > TRUSTED_S:
            self._probed_v = None
        self._sound = True
        return self._probed_v is not None

    def is_as_before(self, probed_v: float) -> bool:
        """Whether the probe finds the wires that were confirmed."""
        return self._probed_v is not None and abs(probed_v - self._probed_v) <= SAME_V

    def doubt(self) -> None:
        """Something was not as it should be: they are asked for again."""
        self._probed_v, self._sound = None, False

    def measured_well(self, probed_v: float, now_s: float) -> None:
        """The ECU was powered through them to the end, and nothing spoke against them."""
        if self._sound:
            self._probed_v, self._measured_s = probed_v, now_s


class Wirings:
    """Those that this engine knows, by job and access."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Wiring] = {}

    def of(self, job_id: str | None, access: str) -> Wiring:
        """Without a job nothing is known of an ECU, nor kept."""
        return Wiring() if job_id is None else self._known.setdefault((job_id, access), Wiring())
