"""Finds the ECUs on a bus, and two that answer at one address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.protocols.access import DuplicateEcuError
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink
from appliance.protocols.obd.services import text
from appliance.protocols.uds.group import ANSWER_WINDOW_S, Answers, FunctionalGroup
from appliance.protocols.uds.services.control import tester_present
from appliance.protocols.uds.services.data import VIN_DID, read_data

LinkMaker = Callable[[IsoTpAddress], IsoTpLink]

FUNCTIONAL_11_BIT = IsoTpAddress(0x7DF, 0x7DF)
FUNCTIONAL_29_BIT = IsoTpAddress(0x18DB_33F1, 0x18DB_33F1, extended_ids=True)

ADDRESSES_11_BIT = tuple(IsoTpAddress(0x7E0 + n, 0x7E8 + n) for n in range(8))
ADDRESSES_29_BIT = tuple(
    IsoTpAddress(0x18DA_00F1 | node << 8, 0x18DA_F100 | node, extended_ids=True) for node in range(0x10, 0x20)
)
"""Nodes 10 to 1F: engine and gearbox controllers (ISO 15765-4, 8.4)."""

_POSITIVE, _NEGATIVE = 0x40, 0x7F


@dataclass(frozen=True, slots=True)
class FoundEcu:
    """An address that answers, and the vehicle it says it belongs to."""

    address: IsoTpAddress
    vin: str | None = None


async def find_ecus(
    make_link: LinkMaker,
    functional: IsoTpAddress = FUNCTIONAL_11_BIT,
    addresses: Sequence[IsoTpAddress] = ADDRESSES_11_BIT,
) -> tuple[FoundEcu, ...]:
    """Every address that answers a tester present sent to all or to itself.

    Raises DuplicateEcuError, LinkLostError.
    """
    links = {number: make_link(address) for number, address in enumerate(addresses)}
    group = FunctionalGroup(make_link(functional), links)
    try:
        found = await group.answers(tester_present().payload)
        _require_single_answers(found, addresses, tester_present().payload)
        for number, link in links.items():
            alone = await FunctionalGroup(link, {number: link}).answers(tester_present().payload)
            _require_single_answers(alone, addresses, tester_present().payload)
            found |= alone
        return tuple(
            [
                FoundEcu(addresses[number], await _vin(links[number], addresses[number]))
                for number in sorted(found)
            ]
        )
    finally:
        group.close()


async def require_single_ecu(link: IsoTpLink, address: IsoTpAddress) -> None:
    """Ask twice and count the answers. Raises DuplicateEcuError, LinkLostError."""
    own = FunctionalGroup(link, {0: link})
    asked = tester_present().payload
    _require_single_answers(await own.answers(asked), (address,), asked)
    await _vin(link, address)


async def _vin(link: IsoTpLink, address: IsoTpAddress) -> str | None:
    """The VIN of the one ECU at this address; two of them spoil each other's segmented answers."""
    request = read_data(VIN_DID)
    own = FunctionalGroup(link, {0: link})
    broken = 0
    for _ in range(2):
        answers = (await own.answers(request.payload, ANSWER_WINDOW_S)).get(0, Answers())
        _require_single_answers({0: answers}, (address,), request.payload)
        positive = [payload for payload in answers.payloads if payload.startswith(request.echo)]
        if positive:
            return text(positive[0][len(request.echo) :]) or None
        broken += answers.broken
    if broken > 1:
        raise _duplicate(address, "their segmented answers spoil each other")
    return None


def _require_single_answers(
    heard: dict[int, Answers], addresses: Sequence[IsoTpAddress], asked: bytes
) -> None:
    """A late answer to another request, as of a write that was cut off, comes from no second ECU."""
    answering = (bytes([asked[0] | _POSITIVE]), bytes([_NEGATIVE, asked[0]]))
    for number, answers in heard.items():
        count = sum(payload.startswith(answering) for payload in answers.payloads)
        if count > 1:
            raise _duplicate(addresses[number], f"{count} answers to one request")


def _duplicate(address: IsoTpAddress, why: str) -> DuplicateEcuError:
    return DuplicateEcuError(f"more than one ECU answers on identifier 0x{address.rx_id:X}: {why}")
