"""State of an upload or download (ISO 14229-1, 14.1): where it stands and which block comes next."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.ecu.nrc import Nrc, RefusedError


@dataclass(slots=True)
class Transfer:
    """A request 0x34 or 0x35 that was accepted."""

    download: bool
    start: int
    size: int
    max_data_bytes: int
    done: int = 0
    block: int = 0
    """Sequence counter of the last accepted block; the first is 1, 0xFF is followed by 0."""
    last_answer: bytes = b""

    @property
    def address(self) -> int:
        """Where the next block goes to or comes from."""
        return self.start + self.done

    @property
    def complete(self) -> bool:
        """True when every announced byte was moved."""
        return self.done >= self.size

    def is_repeat(self, counter: int) -> bool:
        """True for the counter of the last accepted block: its answer was lost (ISO 14229-1, 14.5).

        Raises RefusedError 0x73 for any counter but that and the next, 0x24 if nothing is left to move.
        """
        if counter == self.block and self.last_answer:
            return True
        if self.complete:
            raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
        if counter != (self.block + 1) & 0xFF:
            raise RefusedError(Nrc.WRONG_BLOCK_SEQUENCE_COUNTER)
        return False

    def accept(self, counter: int, count: int, answer: bytes) -> bytes:
        """Count a block as moved and remember its answer."""
        self.block, self.last_answer = counter, answer
        self.done += count
        return answer
