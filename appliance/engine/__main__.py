"""`python -m appliance.engine`."""

import sys


def _without_tls() -> None:
    """For an engine that listens on a UNIX socket and opens no connection: asyncio and aiohttp take 4 MB for
    TLS and its certificates where they can import it, and do without where they cannot.
    """
    sys.modules["ssl"] = None  # type: ignore[assignment]


def main() -> int:
    """The exit status."""
    from appliance.engine import program  # noqa: PLC0415 - it loads asyncio and aiohttp

    return program.main()


if __name__ == "__main__":
    _without_tls()
    sys.exit(main())
