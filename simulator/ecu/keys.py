"""Seed-and-key algorithms of the simulated ECUs: three toys and the SA2 bytecode (sources: sa2).

Written apart from the host's, so that one proves the other. All numbers are 32 bit, big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.definitions.access.security import SecurityLevel

MASK = 0xFFFF_FFFF
KeyFunction = Callable[[int, bytes], bytes]
"""(level, seed) to key, for owner-supplied algorithms."""


def told_level(level: SecurityLevel, secrets: Mapping[str, str]) -> SecurityLevel:
    """With the invented value of the secret that it names. Raises KeyError."""
    return level if level.secret is None else level.with_value(bytes.fromhex(secrets[level.secret]))


def expected_key(level: SecurityLevel, seed: bytes, plugins: Mapping[str, KeyFunction]) -> bytes:
    """The key that opens this level. Raises KeyError for a plugin that was not supplied."""
    if level.algorithm.startswith("plugin:"):
        return plugins[level.algorithm.removeprefix("plugin:")](level.level, seed)
    number = int.from_bytes(seed[:4], "big")
    if level.algorithm == "sa2":
        return _sa2(bytes.fromhex(level.script or ""), number).to_bytes(4, "big")
    return _TOYS[level.algorithm](number, level.constant or 0).to_bytes(4, "big")


def _toy_xor(seed: int, constant: int) -> int:
    return seed ^ constant


def _toy_add(seed: int, constant: int) -> int:
    return (seed + constant) & MASK


def _toy_rotate(seed: int, constant: int) -> int:
    return ((seed << 7 | seed >> 25) & MASK) ^ constant


_TOYS = {"toy-xor": _toy_xor, "toy-add": _toy_add, "toy-rotate": _toy_rotate}


class _Sa2:
    """Register, carry and program counter of the SA2 machine."""

    def __init__(self, script: bytes, seed: int) -> None:
        self._script = script
        self._pc = 0
        self._loops: list[tuple[int, int]] = []
        self._carry = 0
        self.register = seed

    def run(self) -> int:
        """Execute up to the end instruction (or the end of the script); the register is the key."""
        while self._pc < len(self._script):
            opcode = self._take(1)
            if opcode == 0x4C:
                break
            self._steps[opcode](self)
        return self.register

    def _take(self, count: int) -> int:
        value = int.from_bytes(self._script[self._pc : self._pc + count], "big")
        self._pc += count
        return value

    def _rotate_left(self) -> None:
        self._carry = self.register >> 31
        self.register = (self.register << 1 | self._carry) & MASK

    def _rotate_right(self) -> None:
        self._carry = self.register & 1
        self.register = self.register >> 1 | self._carry << 31

    def _add(self) -> None:
        total = self.register + self._take(4)
        self._carry, self.register = total >> 32, total & MASK

    def _subtract(self) -> None:
        total = self.register - self._take(4)
        self._carry, self.register = int(total < 0), total & MASK

    def _xor(self) -> None:
        self.register ^= self._take(4)

    def _loop(self) -> None:
        count = self._take(1)
        self._loops.append((count, self._pc))

    def _next(self) -> None:
        count, start = self._loops.pop()
        if count > 1:
            self._loops.append((count - 1, start))
            self._pc = start

    def _skip(self) -> None:
        distance = self._take(1)
        self._pc += distance

    def _skip_without_carry(self) -> None:
        distance = self._take(1)
        self._pc += 0 if self._carry else distance

    _steps: Mapping[int, Callable[[_Sa2], None]] = {
        0x81: _rotate_left,
        0x82: _rotate_right,
        0x93: _add,
        0x84: _subtract,
        0x87: _xor,
        0x68: _loop,
        0x49: _next,
        0x4A: _skip_without_carry,
        0x6B: _skip,
    }


def _sa2(script: bytes, seed: int) -> int:
    return _Sa2(script, seed).run()
