"""What an error has to say."""

from __future__ import annotations

from typing import NamedTuple

from appliance.contract.catalogue import fields_of


class Words(NamedTuple):
    """The two sentences of an error, with its fields in braces."""

    what: str
    do_now: str

    @property
    def fields(self) -> set[str]:
        """The fields that they name."""
        return fields_of(self.what) | fields_of(self.do_now)
