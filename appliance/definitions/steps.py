"""How an access does what the heart asks for, as short lists of steps where the short forms do not suffice.

Steps go forward only and are bounded in time and tries. They never choose what is erased, when, or what
counts as success: the heart names the block, and asks for an erase by the list `erase` alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field, model_validator

from appliance.definitions.fields import Strict, refuse
from appliance.definitions.link_steps import Ask, Rate, Reconnect
from appliance.definitions.place_steps import READ_FIELDS, Fetch, Tell, Upload
from appliance.definitions.step_kinds import (
    LEAVING,
    ROUTINE_BYTES,
    Download,
    Loader,
    Request,
    Session,
    Silence,
    Step,
    Unlock,
    Wait,
    unnamed,
)
from appliance.definitions.template import BLOCK_FIELDS, Template

_LEAVING = frozenset(bytes((service,)) for service in LEAVING)
LONGEST_S = 600.0
"""All steps of a list together, at most."""
_ERASE_MEMORY = bytes.fromhex("3101FF00")
"""The erase routine of ISO 14229-1, annex F."""

OpenStep = Annotated[
    Request | Session | Unlock | Wait | Silence | Loader | Ask | Reconnect | Rate,
    Field(discriminator="verb"),
]
EraseStep = Annotated[Request | Wait, Field(discriminator="verb")]
ProgramStep = Annotated[Request | Wait | Download, Field(discriminator="verb")]
AskStep = Annotated[Request | Wait, Field(discriminator="verb")]
AlwaysStep = Annotated[Request | Wait | Silence, Field(discriminator="verb")]
ReadStep = Annotated[Request | Wait | Fetch | Upload, Field(discriminator="verb")]
_FIELDS = {
    "erase": BLOCK_FIELDS, "program": BLOCK_FIELDS, "prove": BLOCK_FIELDS, "read": READ_FIELDS,
}  # fmt: skip
"""What the templates of a list may name."""


class Steps(Strict):
    """Lists in place of the short forms; a list that is not given is done as the tables say."""

    identify: tuple[Tell, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Fields of the identity, in place of those of the identity table."""
    open: tuple[OpenStep, ...] | None = Field(default=None, min_length=1, max_length=32)
    """For a write, in place of the sessions table."""
    open_to_read: tuple[OpenStep, ...] | None = Field(default=None, min_length=1, max_length=32)
    """For a read, in place of the sessions table."""
    recover: tuple[OpenStep, ...] | None = Field(default=None, min_length=1, max_length=32)
    """For a half-written ECU; by default as `open`."""
    read: tuple[ReadStep, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Done to read a piece of memory: by `fetch` as long as reading.block_bytes at most, by `upload` any."""
    erase: tuple[EraseStep, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Done to erase one block."""
    program: tuple[ProgramStep, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Done to program one block."""
    prove: tuple[AskStep, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Done to have the ECU prove one block."""
    commit: tuple[AskStep, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Before the reset, which is the heart's."""
    always: tuple[AlwaysStep, ...] = Field(default=(), max_length=8)
    """After both endings, before communication is given back; what is refused here is passed over."""
    close: tuple[AlwaysStep, ...] | None = Field(default=None, min_length=1, max_length=8)
    """After `always`, in place of giving communication, fault codes and the default session back."""

    @property
    def named(self) -> dict[str, Sequence[Step]]:
        """Every list that is given, by its key."""
        lists = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: steps for name, steps in lists.items() if steps}

    @property
    def secrets(self) -> frozenset[str]:
        """What the owner must supply for them."""
        return frozenset(
            step.secret for steps in self.named.values() for step in steps if isinstance(step, Loader)
        )

    @property
    def download(self) -> Download | None:
        """The one of `program`."""
        return next((step for step in self.program or () if isinstance(step, Download)), None)

    @property
    def names_blocks(self) -> bool:
        """Whether a template names a block by its id."""
        texts = [step.send for steps in self.named.values() for step in steps if isinstance(step, Request)]
        texts += [self.download.open] if self.download else []
        return any("block_id" in Template.of(text).fields for text in texts)

    def in_words(self) -> Iterator[str]:
        """A line for each step of each list."""
        for name, steps in self.named.items():
            yield from (f"{name}: {step.in_words()}" for step in steps)

    @model_validator(mode="after")
    def _consistent(self) -> Steps:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[str]:
        for name, steps in self.named.items():
            known = _FIELDS.get(name, frozenset())
            for at, step in enumerate(steps):
                yield from (f"{name}[{at}]: {reason}" for reason in step.problems(known))
                if name != "close" and isinstance(step, Request) and step.template.head[:1] in _LEAVING:
                    yield f"{name}[{at}]: ends the communication, which the list 'close' alone may"
            longest_s = math.fsum(step.longest_s for step in steps)
            if longest_s > LONGEST_S:
                yield f"{name}: may wait {longest_s:.0f} s in all, and {LONGEST_S:.0f} s is the most"
        yield from self._one_of_each()
        yield from self._rates_out_of_place()
        yield from self.hidden_erases(frozenset())

    def _one_of_each(self) -> Iterator[str]:
        if self.program and sum(isinstance(step, Download) for step in self.program) != 1:
            yield "program: has one download, and not more: the heart programs block by block"
        if self.read and sum(isinstance(step, Fetch | Upload) for step in self.read) != 1:
            yield "read: has one fetch or one upload, and not more: the heart names one piece"
        told = Counter(step.tells for step in self.identify or ())
        yield from (f"identify: tells {name!r} {n} times" for name, n in told.items() if n > 1)
        for name in ("erase", "prove"):
            asked = [step for step in self.named.get(name, ()) if isinstance(step, Request)]
            if name in self.named and len(asked) != 1:
                yield f"{name}: has one request, and not more: the heart names one block"
            for step in asked:
                yield from (f"{name}: {reason}" for reason in unnamed(step.send))
                for key in ("may_fail", "passes"):
                    if getattr(step, key):
                        yield f"{name}: {key} would turn a refusal into success"

    @property
    def rates(self) -> tuple[tuple[str, int, Rate], ...]:
        """Every change of the bit rate: its list, its place there, and the step."""
        lists = self.named.items()
        return tuple(
            (name, at, step)
            for name, steps in lists
            for at, step in enumerate(steps)
            if isinstance(step, Rate)
        )

    def _rates_out_of_place(self) -> Iterator[str]:
        told = Counter(name for name, _, _ in self.rates)
        yield from (f"{name}: changes the bit rate {n} times" for name, n in told.items() if n > 1)
        for name, at, _ in self.rates:
            steps = self.named[name]
            if not any(isinstance(step, Session) for step in steps[:at]):
                yield f"{name}[{at}]: a rate is kept by a session, and none is entered before it"
            if any(isinstance(step, Session | Reconnect) for step in steps[at + 1 :]):
                yield f"{name}[{at}]: behind a rate no session is entered and no link left: that may end it"

    def hidden_erases(self, known: frozenset[bytes]) -> Iterator[str]:
        """Why a list erases that must not: what is erased, and when, is the heart's.

        `known` are beginnings of requests that erase, besides that of the standard and those of `erase`.
        """
        asked = [step for step in self.erase or () if isinstance(step, Request)]
        erasing = known or {_ERASE_MEMORY, *(step.template.head[:ROUTINE_BYTES] for step in asked)}
        for name, steps in self.named.items():
            for at, step in enumerate(steps):
                if name != "erase" and _routine_of(step) in erasing:
                    yield f"{name}[{at}]: erases; only the list 'erase' may, and the heart says when"


def _routine_of(step: Step) -> bytes | None:
    """How the routine begins that a step starts, if it starts one."""
    if isinstance(step, Request):
        return step.template.head[:ROUTINE_BYTES]
    return Template.of(step.start).head[:ROUTINE_BYTES] if isinstance(step, Loader) else None
