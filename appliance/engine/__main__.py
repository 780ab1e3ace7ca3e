"""`python -m appliance.engine`, without what other programs would want and an engine only pays memory for."""

import mimetypes
import os
import sys
from importlib.util import find_spec

_OWN_HASHES = ("_md5", "_sha1", "_sha2" if sys.version_info >= (3, 12) else "_sha256")


def _without_tls() -> None:
    """The engine listens on a UNIX socket and opens no connection: asyncio and aiohttp take 4 MB for TLS and
    its certificates where they can import it, and do without where they cannot.
    """
    sys.modules["ssl"] = None  # type: ignore[assignment]


def _with_one_openssl() -> None:
    """hashlib would load the system's OpenSSL, 3.5 MB, beside the one in `cryptography`, which hashes all
    that is large here (`vault.contents`). Python's own hashes do for the rest, where it was built with them.
    """
    if all(map(find_spec, _OWN_HASHES)):
        sys.modules["_hashlib"] = None  # type: ignore[assignment]


def _without_extras() -> None:
    """What others would take where it is there: archives (shutil, zipfile), a bus for several threads
    (python-can), and frozenlist's extension, which alone brings the C++ library for lists of a few callbacks.
    """
    for name in ("bz2", "lzma", "wrapt"):
        sys.modules[name] = None  # type: ignore[assignment]
    os.environ["FROZENLIST_NO_EXTENSIONS"] = "1"


def _with_short_tables() -> None:
    """The system's list of files' types comes with aiohttp, and an engine sends JSON alone."""
    mimetypes.knownfiles.clear()


def main() -> int:
    """The exit status."""
    from appliance.engine import program  # noqa: PLC0415 - nothing may be loaded before it is kept out

    return program.main()


if __name__ == "__main__":
    _without_tls()
    _with_one_openssl()
    _without_extras()
    _with_short_tables()
    sys.exit(main())
