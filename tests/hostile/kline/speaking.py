"""How a hostile ECU spoils an answer on its way to the wire."""

from __future__ import annotations

import random
from typing import Protocol

from tests.hostile.kline.framing import answer
from tests.hostile.kline.shapes import LineShape
from tests.hostile.kline.spite import LineSpite
from tests.hostile.spite import Fate

_LENGTHS = (b"\x00", b"\x01", b"\x02", b"\x03", b"\xff", b"\xff\xff", b"\x00\x40", b"", b"\x01\x02\x03")


class Speaker(Protocol):
    """What is spoilt for."""

    shape: LineShape
    spite: LineSpite

    def framed(self, payload: bytes) -> bytes:
        """As an honest one frames it."""


def spoilt(ecu: Speaker, said: bytes, fate: Fate, told: list[bytes]) -> list[tuple[bytes, float | None]]:
    """What is sent in the place of an answer, and the silence between its bytes."""
    kind, dice = fate.kind, ecu.spite.dice
    if kind == "lost":
        return []
    if kind == "replayed":
        return [*((ecu.framed(one), None) for one in told[-1:]), (ecu.framed(said), None)]
    if kind == "stale":
        alike = [one for one in told if one[0] == said[0]]
        return [(ecu.framed(dice.choice(alike)), None)] if alike else []
    if kind == "trickled":
        return [(ecu.framed(said), dice.choice((0.019, 0.03, 0.2)))]
    return [(_on_the_wire(ecu, _payload(said, fate, dice), fate), None)]


def _payload(said: bytes, fate: Fate, dice: random.Random) -> bytes:
    """Whole, with a right checksum, and not what it should say."""
    at = dice.randrange(min(len(said), 2))
    answers = {
        "wrong_echo": said[:at] + bytes((said[at] ^ dice.randint(1, 255),)) + said[at + 1 :],
        "another_service": bytes((dice.randrange(0x41, 0xC0),)) + said[1:],
        "truncated": said[: dice.randint(1, max(1, len(said) - 1))] if dice.random() < 0.5 else said,
        "oversized": (said + fate.noise)[:255] if dice.random() < 0.5 else said,
    }
    if said[0] == 0x73:
        answers |= {"result_wrong": said[:2] + bytes((dice.randint(1, 255),)), "result_missing": said[:2]}
    if said[0] in (0x74, 0x75):
        answers["wrong_length"] = said[:1] + dice.choice(_LENGTHS)
    return answers.get(fate.kind, said)


def _on_the_wire(ecu: Speaker, payload: bytes, fate: Fate) -> bytes:
    """Its bytes, and what is wrong with those."""
    dice, shape, honest = ecu.spite.dice, ecu.shape, ecu.framed(payload)
    own_length, other, at = shape.length_byte, dice.randrange(256), dice.randrange(1, len(honest))
    other_form = answer(payload, None if shape.addressed else shape.address, dice.random() < 0.5)
    return {
        "wrong_checksum": honest[:-1] + bytes((honest[-1] ^ dice.randint(1, 255),)),
        "wrong_form": other_form,
        "wrong_sender": answer(payload, other, own_length),
        "wrong_receiver": answer(payload, shape.address, own_length, target=other),
        "carb_form": bytes((0x48, 0x6B, shape.address)) + honest[1:],
        "truncated": honest[:at],
        "oversized": honest + fate.noise,
        "noise_before": fate.noise + honest,
        "noise_between": honest[:at] + fate.noise[:1] + honest[at:],
    }.get(fate.kind, honest)
