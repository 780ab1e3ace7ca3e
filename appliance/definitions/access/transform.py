"""What is done to a block before it travels."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from appliance.definitions.fields import Strict, refuse


class Transform(Strict):
    """One of the transforms between a block and the wire.

    `lzss-10-6` is LZSS with distances of 10 bits and lengths of 6, `aes-cbc` one run over the block with the
    owner's key and start value, both named in `[[secrets]]` (sources: `vw-flash`). `bcb-1` is records with a
    count, all of them literal, under the owner's text that is repeated over them (sources: `vw-me7`).
    """

    name: Literal["lzss-10-6", "aes-cbc", "bcb-1"]
    """Which transform it is."""
    key: str | None = None
    """Name of the secret that is its key, or its text."""
    iv: str | None = None
    """Name of the secret that it begins with."""

    @model_validator(mode="after")
    def _consistent(self) -> Transform:
        if (self.name == "lzss-10-6") != (self.key is None):
            refuse(["key names the secret of 'aes-cbc' and 'bcb-1', and of nothing else"])
        if (self.name == "aes-cbc") != (self.iv is not None):
            refuse(["iv names the secret of 'aes-cbc', and of nothing else"])
        return self
