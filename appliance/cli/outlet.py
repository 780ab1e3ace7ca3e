"""Text on its way to a terminal, a file or a pipe: harmless, spelled as the stream can, never a crash."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TextIO

from appliance.contract.text import printable

_PLAIN = str.maketrans(
    {"✔": "+", "✘": "x", "⚠": "!", "█": "#", "·": ".", "…": "...", "–": "-", "←": "<", "→": ">"}
)
"""What stands for our signs where the terminal has no Unicode."""
_NARROWEST = 20


class Outlet:
    """One output stream. Whoever reads it may go away, its disk may be full: `broken` says why."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.broken: OSError | None = None
        self.terminal = stream is not None and stream.isatty()

    @property
    def columns(self) -> int:
        """Width of the terminal: $COLUMNS, else its own, else 80."""
        if self._stream is None or "COLUMNS" in os.environ:
            return shutil.get_terminal_size().columns
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return shutil.get_terminal_size().columns

    def line(self, text: str) -> None:
        """A line, wrapped on a terminal between its words."""
        for part in self._wrapped(printable(text)):
            self.write(part + "\n")

    def paint(self, text: str) -> None:
        """Over the line that the cursor is in; nothing is wrapped."""
        self.write(f"\r{self._spelled(printable(text))}\x1b[K")

    def write(self, text: str) -> None:
        """Text as it is, at once; nothing once the stream is broken."""
        if self._stream is None or self.broken is not None:
            return
        try:
            self._stream.write(self._spelled(text))
            self._stream.flush()
        except OSError as error:
            self.broken = error

    def _spelled(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeError:
            return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
        return text

    def _wrapped(self, text: str) -> list[str]:
        width = self.columns - 1
        if not self.terminal or len(text) <= width or width < _NARROWEST:
            return [text]
        indent = " " * (len(text) - len(text.lstrip(" ")) + 2)
        wrapped = textwrap.wrap(
            text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        return wrapped or [text]
