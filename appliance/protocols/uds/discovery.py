"""Finds the ECUs on a bus, and two that answer at one address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from appliance.contract.catalogue import Phrase
from appliance.contract.phrases import phrase
from appliance.protocols.access import DuplicateEcuError
from appliance.protocols.isotp.interface import IsoTpAddress, IsoTpLink
from appliance.protocols.readable import text
from appliance.protocols.uds.group import Answers, FunctionalGroup
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
        found = await _single_answers(group, addresses, tester_present().payload)
        for number, link in links.items():
            own = FunctionalGroup(link, {number: link})
            found |= await _single_answers(own, addresses, tester_present().payload)
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
    await _single_answers(FunctionalGroup(link, {0: link}), (address,), tester_present().payload)
    await _vin(link, address)


async def _vin(link: IsoTpLink, address: IsoTpAddress) -> str | None:
    """The VIN of the one ECU at this address; two of them spoil each other's segmented answers."""
    request = read_data(VIN_DID)
    own = FunctionalGroup(link, {0: link})
    broken = 0
    for _ in range(2):
        answers = (await _single_answers(own, (address,), request.payload)).get(0, Answers())
        positive = [payload for payload in answers.payloads if payload.startswith(request.echo)]
        if positive:
            return text(positive[0][len(request.echo) :]) or None
        broken += answers.broken
    if broken > 1:
        raise _duplicate(address, phrase("ecu.segments_spoil"))
    return None


async def _single_answers(
    group: FunctionalGroup, addresses: Sequence[IsoTpAddress], asked: bytes
) -> dict[int, Answers]:
    """What each address answers, one answer each. Raises DuplicateEcuError.

    An answer too many may be the late one to the same question, asked by an operation that was cancelled just
    before: that comes once, and a second ECU answers every time.
    """
    heard = await group.answers(asked)
    if _too_many(heard, asked) is not None:
        heard = await group.answers(asked)
    number = _too_many(heard, asked)
    if number is not None:
        raise _duplicate(
            addresses[number], phrase("ecu.several_answers", answers=_count(heard[number], asked))
        )
    return heard


def _too_many(heard: Mapping[int, Answers], asked: bytes) -> int | None:
    """Which listener heard more than one answer, if any."""
    return next((number for number, answers in heard.items() if _count(answers, asked) > 1), None)


def _count(answers: Answers, asked: bytes) -> int:
    """A late answer to another request, as of a write that was cut off, comes from no second ECU."""
    answering = (bytes([asked[0] | _POSITIVE]), bytes([_NEGATIVE, asked[0]]))
    return sum(payload.startswith(answering) for payload in answers.payloads)


def _duplicate(address: IsoTpAddress, why: Phrase) -> DuplicateEcuError:
    return DuplicateEcuError(phrase("ecu.two_at_one_id", rx_id=address.rx_id, why=why))
