"""Why a checksum could not be corrected, in the five-part form of every Pitbox error."""

from __future__ import annotations

from appliance.contract.errors import PitboxError

_KEEP_STOCK = "Nothing was written. Write the stock file, or send this file back to whoever made it."


class ChecksumUnsupported(PitboxError):  # noqa: N818 - reads as what happened
    """The family knows no honest way to make this image verify (code CHECKSUM_UNSUPPORTED)."""

    def __init__(self, family: str, why: str) -> None:
        super().__init__("CHECKSUM_UNSUPPORTED", f"{family}: {why}", do_now=_KEEP_STOCK)


class ChecksumRefused(PitboxError):  # noqa: N818
    """The stock image does not back this correction (codes CHECKSUM_*)."""

    def __init__(self, code: str, what: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(code, what, do_now=_KEEP_STOCK, details=details)
