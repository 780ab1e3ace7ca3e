"""Text of foreign origin on its way to a person."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Text that moves no cursor and hides nothing: control and format characters are shown escaped.

    Names, rituals and identities come from definitions, files and ECUs.
    """
    return "".join(map(_harmless, text))


def _harmless(sign: str) -> str:
    if sign.isprintable():
        return sign
    if unicodedata.category(sign) == "Zs":
        return " "
    return sign.encode("unicode_escape").decode("ascii")
