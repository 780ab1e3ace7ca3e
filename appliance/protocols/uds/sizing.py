"""How much one message may carry on a wire that loses frames: the longer it is, the surer one of its frames
is lost.
"""

from __future__ import annotations

SHORTEST_BYTES = 64
"""Messages get no shorter than this on a wire that loses frames."""
_LOSSES_IN_A_ROW = 2
_GOOD_IN_A_ROW = 16
_ALIGNED_BYTES = 16
"""Shorter messages stay whole lines of flash, which some ECUs insist on."""


class AdaptiveSize:
    """Halves `size` after repeated losses, down to `least`; doubles it again after a run of successes.

    One loss alone costs nothing, and is forgotten after the next run.
    """

    def __init__(self, most: int, least: int) -> None:
        self._most = most
        self._least = min(least, most)
        self.size = most
        self._losses = 0
        self._good = 0

    def lost(self) -> bool:
        """A message of this size did not get through; whether the next one may be shorter for it."""
        self._good = 0
        self._losses += 1
        if self._losses < _LOSSES_IN_A_ROW or self.size == self._least:
            return self.size > self._least
        self._losses = 0
        self.size = max(self._least, self.size // 2 // _ALIGNED_BYTES * _ALIGNED_BYTES)
        return True

    def moved(self) -> None:
        """A message of this size got through at once."""
        self._good += 1
        if self._good >= _GOOD_IN_A_ROW:
            self._good, self._losses = 0, 0
            self.size = min(self._most, self.size * 2)
