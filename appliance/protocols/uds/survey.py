"""Asks every controller of a car the same OBD-II questions at once."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.protocols.access import Dtc
from appliance.protocols.obd.services import (
    calibration_ids,
    calibration_numbers,
    ecu_name,
    engine_speed,
    pending_dtcs,
    permanent_dtcs,
    stored_dtcs,
    vehicle_speed,
    vin,
)
from appliance.protocols.request import Request
from appliance.protocols.uds.group import FunctionalGroup


@dataclass(frozen=True, slots=True)
class ObdReport:
    """What one controller answered; empty where it did not."""

    name: str | None = None
    vin: str | None = None
    calid: tuple[str, ...] = ()
    cvn: tuple[str, ...] = ()
    stored: tuple[Dtc, ...] = ()
    pending: tuple[Dtc, ...] = ()
    permanent: tuple[Dtc, ...] = ()


async def survey(group: FunctionalGroup) -> dict[int, ObdReport]:
    """A report per answering address, by the group's keys."""
    names, vins = await group.ask(ecu_name()), await group.ask(vin())
    calids, cvns = await group.ask(calibration_ids()), await group.ask(calibration_numbers())
    stored, pending, permanent = [
        await group.ask(question()) for question in (stored_dtcs, pending_dtcs, permanent_dtcs)
    ]
    heard = sorted({*names, *vins, *calids, *cvns, *stored, *pending, *permanent})
    return {
        key: ObdReport(
            next(iter(names.get(key, ())), None),
            next(iter(vins.get(key, ())), None),
            calids.get(key, ()),
            cvns.get(key, ()),
            stored.get(key, ()),
            pending.get(key, ()),
            permanent.get(key, ()),
        )
        for key in heard
    }


async def highest_motion(group: FunctionalGroup) -> tuple[float | None, float | None]:
    """(engine speed in 1/min, road speed in km/h), the highest any controller reports; None if none does."""
    return await _highest(group, engine_speed()), await _highest(group, vehicle_speed())


async def _highest(group: FunctionalGroup, request: Request[float]) -> float | None:
    return max((await group.ask(request)).values(), default=None)
