"""An attempt of a person at an ECU that faults strike, and what it may say of it afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.contract.errors import EcuSafety, PitboxError
from appliance.engine.context import EngineContext
from appliance.flashing.safety import standing
from tests.support.killing import Killed


async def outcome_of(work: Awaitable[dict[str, Any]], next_life: Callable[[], None]) -> str | None:
    """Result of an operation, None where it was refused or the box died; a refusal says what and what now."""
    try:
        return str((await work)["result"])
    except PitboxError as error:
        assert error.what and error.do_now and error.code.isupper()
    except Killed:
        next_life()
    return None


def judge(
    result: str | None, memory: bytes, meant: Mapping[str, bytes], box: EngineContext, job: str
) -> None:
    """By what the ECU holds: a result is true, and what is neither is known to be half written."""
    if result is not None:
        assert memory == meant[result], f"a false {result!r}"
        assert standing(box.journal, job).ecu is EcuSafety.INTACT
    elif memory not in meant.values():
        assert standing(box.journal, job).ecu is EcuSafety.HALF_WRITTEN
