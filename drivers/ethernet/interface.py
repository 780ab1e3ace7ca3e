"""What an Ethernet port can do."""

from __future__ import annotations

from typing import Protocol


class Ethernet(Protocol):
    """The interface at the plug; protocols open their own sockets on it."""

    @property
    def interface(self) -> str:
        """The operating system's name of it."""

    def activate(self, on: bool) -> None:
        """Drive the activation line of the diagnostic plug (ISO 13400-4). Raises ConnectionError."""
