"""How an ECU is unlocked by seed and key, whatever carries them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from appliance.definitions.fields import HexBytes, Strict, refuse


class SecurityLevel(Strict):
    """One unlock: the odd seed sub-function and the algorithm that answers it.

    The toys, for simulated ECUs only, work on 32 bits, big-endian: `toy-xor` is seed XOR constant, `toy-add`
    their sum, `toy-rotate` the seed rotated left by 7 bits, then XOR constant. `sa2` runs the script
    (sources: sa2); `plugin:NAME` is the owner's own package.
    """

    level: int = Field(ge=1, le=0x7D)
    """Odd sub-function that asks for the seed."""
    algorithm: str = Field(pattern=r"^(sa2|toy-xor|toy-add|toy-rotate|plugin:[a-z0-9_.-]+)$")
    """How the key is made from the seed."""
    script: HexBytes | None = None
    """Bytecode of `sa2`."""
    constant: int | None = Field(default=None, ge=0, le=0xFFFFFFFF)
    """Constant of the toys."""
    seed_bytes: int = Field(default=4, ge=1, le=32)
    """Length of seed and key."""

    @model_validator(mode="after")
    def _parameters(self) -> SecurityLevel:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.level % 2 == 0:
            yield "level is the odd seed sub-function (ISO 14229-1, 10.4)"
        if (self.algorithm == "sa2") != (self.script is not None):
            yield "script belongs to algorithm = 'sa2', and to nothing else"
        if self.algorithm.startswith("toy-") != (self.constant is not None):
            yield "constant belongs to the toy algorithms, and to nothing else"
