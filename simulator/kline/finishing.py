"""When a simulated ECU takes its programming for finished (sources: vw-me7)."""

from __future__ import annotations

from simulator.ecu.nvm import NonVolatile

NOT_FINISHED = "P0602-00"
_INCONSISTENT = 0x80
_STATUS = 0x2F


class Finishing:
    """Nothing is asked of ECUs without a `last_sector`."""

    def __init__(self, last_sector: int | None, nvm: NonVolatile) -> None:
        self._last_sector = last_sector
        self._nvm = nvm
        self._latest: int | None = None
        self._inconsistent = False
        self.attempts = self.successes = 0

    def routine(self, *, erases: bool, had_transfer: bool) -> None:
        """An erase begins a programming; a check before any transfer leaves the fault for good."""
        if erases:
            self.attempts += not self._inconsistent
            self._inconsistent, self._latest = True, None
        elif not had_transfer and self._last_sector is not None:
            self._note()

    def programmed(self, sector: int) -> None:
        """A sector holds all of its bytes."""
        self._latest = sector

    def goodbye(self) -> None:
        """Communication is stopped by the tester."""
        if self._inconsistent and self._latest == self._last_sector:
            self._inconsistent = False
            self.successes += 1
            with self._nvm.update() as records:
                records.dtcs = {code: bits for code, bits in records.dtcs.items() if code != NOT_FINISHED}

    def line_lost(self) -> None:
        """The session ended, one way or the other."""
        if self._inconsistent and self._last_sector is not None:
            self._note()

    def record(self, preconditions: int) -> bytes:
        """Status, attempts, successes, preconditions."""
        status = _INCONSISTENT if self._inconsistent else 0
        return bytes((status, self.attempts & 0xFF, self.successes & 0xFF, preconditions))

    def _note(self) -> None:
        with self._nvm.update() as records:
            records.dtcs = {**records.dtcs, NOT_FINISHED: _STATUS}
