"""Why a checksum could not be corrected, in the five-part form of every Pitbox error."""

from __future__ import annotations

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError


class ChecksumUnsupported(EngineError):  # noqa: N818 - reads as what happened
    """The family knows no honest way to make this image verify (code CHECKSUM_UNSUPPORTED)."""

    def __init__(self, family: str, why: Phrase) -> None:
        super().__init__("CHECKSUM_UNSUPPORTED", family=family, why=why)


class ChecksumRefused(EngineError):  # noqa: N818
    """The stock image does not back this correction (codes CHECKSUM_*)."""
