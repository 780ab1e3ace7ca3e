"""0x27 with an attempt counter and delay that outlive a reset, and 0x29 (ISO 14229-1, 10.4, 10.6)."""

from __future__ import annotations

from appliance.definitions.access.security import SecurityLevel
from simulator.ecu.core import Answer, Core
from simulator.ecu.keys import expected_key
from simulator.ecu.nrc import Nrc, RefusedError, require

ASYMMETRIC_CERTIFICATES = 0x02
"""authenticationReturnParameter of `29 08`: APCE with asymmetric cryptography."""


def security_sub_functions(core: Core) -> set[int]:
    """Seed and key sub-functions of the levels the running program offers."""
    return {number for level in core.levels() for number in (level, level + 1)}


def security_access(core: Core, request: bytes) -> Answer:
    """0x27: odd sub-functions ask for a seed, the even ones behind them bring the key."""
    number = request[1]
    if number % 2:
        return bytes((0x67, number)) + _seed(core, core.levels()[number], request)
    _check_key(core, core.levels()[number - 1], request[2:])
    return bytes((0x67, number))


def _seed(core: Core, level: SecurityLevel, request: bytes) -> bytes:
    require(len(request) == 2, Nrc.INCORRECT_LENGTH)
    if level.level in core.session.unlocked:
        return bytes(level.seed_bytes)
    require(core.now_s >= core.locked_until_s, Nrc.TIME_DELAY_NOT_EXPIRED)
    if core.session.seed is None or core.session.seed[0] != level.level:
        core.session.seed = (level.level, _random_seed(core, level.seed_bytes))
    return core.session.seed[1]


def _random_seed(core: Core, length: int) -> bytes:
    """Never all zero: that would say "already unlocked"."""
    seed = core.random.randbytes(length)
    return seed if any(seed) else bytes((*seed[:-1], 1))


def _check_key(core: Core, level: SecurityLevel, key: bytes) -> None:
    pending = core.session.seed
    if pending is None or pending[0] != level.level:
        raise RefusedError(Nrc.REQUEST_SEQUENCE_ERROR)
    expected = expected_key(level, pending[1], core.options.plugin_keys)
    require(len(key) == len(expected), Nrc.INCORRECT_LENGTH)
    core.session.seed = None
    if key != expected:
        _count_failure(core)
    with core.nvm.update() as records:
        records.failed_keys = 0
    core.session.unlocked.add(level.level)


def _count_failure(core: Core) -> None:
    """Once the counter is full, each further wrong key starts the delay again."""
    limit = core.options.key_attempts
    with core.nvm.update() as records:
        records.failed_keys = min(limit, records.failed_keys + 1)
    if core.nvm.records.failed_keys < limit:
        raise RefusedError(Nrc.INVALID_KEY)
    core.locked_until_s = core.now_s + core.options.lockout_s
    raise RefusedError(Nrc.EXCEEDED_ATTEMPTS)


def authentication(core: Core, request: bytes) -> Answer:
    """0x29 of a certificate-only ECU: tells its method (08), trusts no certificate (01, 02)."""
    if request[1] == 0x08:
        require(len(request) == 2, Nrc.INCORRECT_LENGTH)
        return bytes((0x69, 0x08, ASYMMETRIC_CERTIFICATES))
    if request[1] == 0x00:
        require(len(request) == 2, Nrc.INCORRECT_LENGTH)
        return bytes((0x69, 0x00, 0x10))
    raise RefusedError(Nrc.CERTIFICATE_CHAIN_OF_TRUST)
