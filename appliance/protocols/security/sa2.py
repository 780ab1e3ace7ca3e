"""The SA2 bytecode machine: a script from the ECU's flash container turns a seed into a key (sources: sa2).

A 32-bit register starts as the seed and ends as the key. 81/82 rotate it by one bit into the carry, 93/84
add and subtract a number with carry, 87 exclusive-ors one, 68 n and 49 enclose a loop of n rounds, 4A d skips
d bytes unless the carry is set, 6B d skips them always, 4C ends. Numbers are four bytes, big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_MASK = 0xFFFF_FFFF
_END = 0x4C
_STEP_LIMIT = 1_000_000


class Sa2Error(ValueError):
    """The script is not one the machine can run to its end."""


@dataclass(slots=True)
class _Machine:
    script: bytes
    register: int
    at: int = 0
    carry: int = 0
    loops: list[list[int]] = field(default_factory=list)

    def operand(self, width: int) -> int:
        if self.at + width > len(self.script):
            raise Sa2Error(f"the script is cut off at byte {self.at}")
        value = int.from_bytes(self.script[self.at : self.at + width])
        self.at += width
        return value

    def rotate_left(self) -> None:
        self.carry = self.register >> 31
        self.register = self.register << 1 & _MASK | self.carry

    def rotate_right(self) -> None:
        self.carry = self.register & 1
        self.register = self.register >> 1 | self.carry << 31

    def add(self) -> None:
        self._keep(self.register + self.operand(4))

    def subtract(self) -> None:
        self._keep(self.register - self.operand(4))

    def _keep(self, result: int) -> None:
        self.carry = int(not 0 <= result <= _MASK)
        self.register = result & _MASK

    def exclusive_or(self) -> None:
        self.register ^= self.operand(4)

    def begin_loop(self) -> None:
        rounds = self.operand(1)
        self.loops.append([rounds, self.at])

    def end_loop(self) -> None:
        if not self.loops:
            raise Sa2Error(f"a loop ends at byte {self.at - 1} that never began")
        loop = self.loops[-1]
        loop[0] -= 1
        if loop[0] > 0:
            self.at = loop[1]
        else:
            self.loops.pop()

    def skip(self) -> None:
        distance = self.operand(1)
        self.at += distance

    def skip_unless_carry(self) -> None:
        distance = self.operand(1)
        if not self.carry:
            self.at += distance


_INSTRUCTIONS: Mapping[int, Callable[[_Machine], None]] = {
    0x81: _Machine.rotate_left,
    0x82: _Machine.rotate_right,
    0x93: _Machine.add,
    0x84: _Machine.subtract,
    0x87: _Machine.exclusive_or,
    0x68: _Machine.begin_loop,
    0x49: _Machine.end_loop,
    0x6B: _Machine.skip,
    0x4A: _Machine.skip_unless_carry,
}


def sa2_key(script: bytes, seed: bytes) -> bytes:
    """The four key bytes for a four-byte seed. Raises Sa2Error."""
    if len(seed) != 4:
        raise Sa2Error(f"SA2 takes a seed of four bytes, not {len(seed)}")
    machine = _Machine(script, int.from_bytes(seed))
    for _ in range(_STEP_LIMIT):
        opcode = machine.operand(1)
        if opcode == _END:
            return machine.register.to_bytes(4)
        instruction = _INSTRUCTIONS.get(opcode)
        if instruction is None:
            raise Sa2Error(f"unknown instruction at byte {machine.at - 1}")  # the script may be a secret
        instruction(machine)
    raise Sa2Error("the script does not come to an end")
