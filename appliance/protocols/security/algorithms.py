"""Finds the algorithm a definition names: built in, or from a package the owner installed.

A plugin is a Python package with an entry point in the group `pitbox.security`, naming a function
`key(level: int, seed: bytes, context: Mapping[str, object]) -> bytes`. `level` is the odd seed sub-function;
`context` holds `definition` (its id), and `secret` (bytes) where the definition names one. The same shape as
the seed-and-key callbacks of other tools, so that an owner can wrap what they already have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeAlias

from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.phrases import phrase
from appliance.definitions.access.security import SecurityLevel
from appliance.protocols.access import AccessError
from appliance.protocols.security.sa2 import Sa2Error, sa2_key
from appliance.protocols.security.toys import toy_key
from appliance.protocols.transforms import SecretNamed, none_supplied

PLUGIN_GROUP = "pitbox.security"
_ANY_SEED = bytes((0, 0, 0, 1))

Context: TypeAlias = Mapping[str, object]
KeyAlgorithm: TypeAlias = Callable[[int, bytes, Context], bytes]
"""(odd level, seed, context) to key. Raises KeyNotMadeError and nothing else."""


class KeyNotMadeError(AccessError):
    """The algorithm of this unlock has no key for the seed that the ECU gave."""


def algorithm_for(level: SecurityLevel, secret: SecretNamed = none_supplied) -> KeyAlgorithm:
    """The algorithm of an unlock; the owner's secret is asked for with each key, and kept by nobody here.

    Raises PitboxError SECURITY_PLUGIN_MISSING or SECURITY_PLUGIN_BROKEN.
    """
    name = level.secret
    if level.algorithm.startswith("plugin:"):
        plugin = _plugin(level.algorithm.removeprefix("plugin:"), tells=name is None)
        if name is None:
            return plugin
        return lambda odd, seed, context: plugin(odd, seed, {**context, "secret": secret(name)})
    if name is None:
        return _built_in(level)

    def key(odd: int, seed: bytes, context: Context) -> bytes:
        return _built_in(level.with_value(secret(name)))(odd, seed, context)

    return key


def why_no_key(level: SecurityLevel, value: bytes) -> str | None:
    """Why a secret cannot answer the seeds of this unlock; None where it does."""
    if level.algorithm == "sa2":
        try:
            sa2_key(value, _ANY_SEED)
        except Sa2Error as error:
            return f"is no SA2 script: {error}"
    return None


def _built_in(level: SecurityLevel) -> KeyAlgorithm:
    if level.algorithm == "sa2":
        script = bytes.fromhex(level.script or "")
        return lambda _level, seed, _context: _key_by_script(script, seed)
    name, constant = level.algorithm, level.constant or 0
    return lambda _level, seed, _context: toy_key(name, constant, seed)


def _key_by_script(script: bytes, seed: bytes) -> bytes:
    try:
        return sa2_key(script, seed)
    except Sa2Error as error:
        raise KeyNotMadeError(
            phrase("key.not_made", seed=seed.hex().upper(), technical_text=str(error))
        ) from error


def _plugin(name: str, *, tells: bool) -> KeyAlgorithm:
    found = list(entry_points(group=PLUGIN_GROUP, name=name))
    if not found:
        raise EngineError(
            "SECURITY_PLUGIN_MISSING",
            name=name,
            points=[phrase("plugin.looked_for", name=name, group=PLUGIN_GROUP)],
        )
    return _loaded(found[0], tells=tells)


def _loaded(entry: EntryPoint, *, tells: bool) -> KeyAlgorithm:
    try:
        function: object = entry.load()
    except Exception as error:  # whatever a package does when it is imported
        raise _broken(entry, phrase("malformed", technical_text=str(error))) from error
    if not callable(function):
        raise _broken(entry, phrase("plugin.no_function"))
    return _guarded(entry.name, function, tells=tells)


def _guarded(name: str, function: Callable[..., object], *, tells: bool) -> KeyAlgorithm:
    """The owner's function, which was written by somebody else and may do anything but answer.

    Unless it `tells`, what it raised or gave is not repeated: the secret it was handed may be in there.
    """

    def key(level: int, seed: bytes, context: Context) -> bytes:
        try:
            made = function(level, seed, context)
        except Exception as error:  # whatever it raises, the ECU stays locked
            raised = repr(error) if tells else type(error).__name__
            failed = KeyNotMadeError(
                phrase("key.failed", name=name, seed=seed.hex().upper(), technical_text=raised)
            )
            if tells:
                raise failed from error
        else:
            if isinstance(made, bytes) and made:
                return made
            given = repr(made) if tells else type(made).__name__
            failed = KeyNotMadeError(phrase("key.strange", name=name, technical_text=given))
        raise failed

    return key


def _broken(entry: EntryPoint, why: Phrase) -> PitboxError:
    return EngineError(
        "SECURITY_PLUGIN_BROKEN",
        name=entry.name,
        why=why,
        points=[phrase("plugin.entry_point", entry_point=entry.value)],
    )
