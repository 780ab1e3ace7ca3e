"""How an ECU is unlocked by seed and key, whatever carries them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from appliance.definitions.fields import HexBytes, Strict, refuse

_CONSTANT_BYTES = 4


class SecurityLevel(Strict):
    """One unlock: the odd seed sub-function and the algorithm that answers it.

    The toys, for simulated ECUs only, work on 32 bits, big-endian: `toy-xor` is seed XOR constant, `toy-add`
    their sum, `toy-rotate` the seed rotated left by 7 bits, then XOR constant. `sa2` runs the script
    (sources: sa2); `plugin:NAME` is the owner's own package. Script and constant stand here for ECUs with a
    `[simulation]` alone: of a real one they are the owner's secret, named.
    """

    level: int = Field(ge=1, le=0x7D)
    """Odd sub-function that asks for the seed."""
    algorithm: str = Field(pattern=r"^(sa2|toy-xor|toy-add|toy-rotate|plugin:[a-z0-9_.-]+)$")
    """How the key is made from the seed."""
    script: HexBytes | None = None
    """Bytecode of `sa2`."""
    constant: int | None = Field(default=None, ge=0, le=0xFFFFFFFF)
    """Constant of the toys."""
    secret: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,29}$")
    """Name, in `[[secrets]]`, of what stands in the place of script or constant (four bytes, big-endian); a
    plugin finds it under `secret` in its context."""
    seed_bytes: int = Field(default=4, ge=1, le=32)
    """Length of seed and key."""

    @model_validator(mode="after")
    def _parameters(self) -> SecurityLevel:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        if self.level % 2 == 0:
            yield "level is the odd seed sub-function (ISO 14229-1, 10.4)"
        if self.secret is not None and self.inline:
            yield f"{self.inline} and secret exclude each other: where is it from?"
            return
        if (self.script is not None) != (self.algorithm == "sa2" and self.secret is None):
            yield "script belongs to algorithm = 'sa2', and to nothing else"
        if (self.constant is not None) != (self.algorithm.startswith("toy-") and self.secret is None):
            yield "constant belongs to the toy algorithms, and to nothing else"

    @property
    def inline(self) -> str | None:
        """Which key of this table holds what makes the key; None where that is the owner's."""
        return "script" if self.script is not None else "constant" if self.constant is not None else None

    @property
    def secret_bytes(self) -> tuple[int, ...]:
        """Lengths that the secret may have; none where every one is right."""
        return (_CONSTANT_BYTES,) if self.algorithm.startswith("toy-") else ()

    def with_value(self, value: bytes) -> SecurityLevel:
        """The same with the secret's value in the place of its name; of a plugin as it is."""
        if self.algorithm == "sa2":
            return self.model_copy(update={"secret": None, "script": value.hex()})
        if self.algorithm.startswith("toy-"):
            return self.model_copy(update={"secret": None, "constant": int.from_bytes(value)})
        return self

    def in_words(self) -> str:
        """The algorithm, and whose secret it works with; never its value."""
        whose = f" with the owner's {self.secret}" if self.secret is not None else ""
        return f"unlock 0x{self.level:02X} by {self.algorithm}{whose}"
