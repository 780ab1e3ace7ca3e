"""`python -m appliance.engine`."""

import sys


def _without_tls() -> None:
    """The engine listens on a UNIX socket and opens no connection. asyncio and aiohttp load TLS where there is
    one, some 4 MB with its certificates, and go without where `import ssl` fails.
    """
    sys.modules["ssl"] = None  # type: ignore[assignment]


def main() -> int:
    """The exit status."""
    from appliance.engine import program  # noqa: PLC0415 - it loads asyncio and aiohttp

    return program.main()


if __name__ == "__main__":
    _without_tls()
    sys.exit(main())
