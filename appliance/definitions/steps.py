"""How an access does what the heart asks for, as short lists of steps where the short forms do not suffice.

Steps go forward only and are bounded in time and tries. They never choose what is erased, when, or what
counts as success: the heart names the block, and asks for an erase by the list `erase` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from appliance.definitions.fields import Byte, HexBytes, Strict, refuse
from appliance.definitions.template import BLOCK_FIELDS, LOADER_FIELDS, Template, TemplateText, fields_unknown

LONGEST_S = 600.0
"""All steps of a list together, at most."""
_ERASE_MEMORY = bytes.fromhex("3101FF00")
"""The erase routine of ISO 14229-1, annex F."""
_ROUTINE_BYTES = 4
_REQUESTS = frozenset({0x22, 0x28, 0x2E, 0x31, 0x3E, 0x85})
_HAS_A_VERB = {
    0x10: "session", 0x11: "no step: the heart resets", 0x27: "unlock", 0x34: "download or loader",
    0x35: "no step: reading has its table", 0x36: "download or loader", 0x37: "download or loader",
}  # fmt: skip
CloseProof = Literal["none", "crc16-ccitt-false"]
"""What the answer to 37 carries: nothing, or a CRC of the bytes that were sent (sources: `vbf`)."""


class Step(Strict):
    """Base of every step."""

    def in_words(self) -> str:
        """In words, as `definitions explain` says it."""
        raise NotImplementedError

    @property
    def longest_s(self) -> float:
        """Longest that it may take besides the ECU's own answers."""
        return 0.0

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Why it cannot be done where `known` fields exist."""
        del known
        yield from ()


class Request(Step):
    """Ask and expect: the answer's record begins with `good`; with `busy` the same is asked again."""

    verb: Literal["request"]
    """Which step it is."""
    send: TemplateText
    """Bytes of the request; fields in braces stand for the block."""
    good: HexBytes = ""
    """The record behind the echo, exactly; empty where there is none."""
    busy: HexBytes = ""
    """A record that says: not yet. The same request is repeated until it goes away (sources: `psa-flash`)."""
    every_ms: int = Field(default=500, ge=10, le=10_000)
    """Pause between two tries."""
    most: int = Field(default=1, ge=1, le=2_000)
    """Times that it is asked in all while the ECU is busy."""
    may_fail: bool = False
    """A refusal or silence is passed over."""

    @property
    def template(self) -> Template:
        """What is sent."""
        return Template.of(self.send)

    @property
    def longest_s(self) -> float:
        """Pauses between the repeats."""
        return (self.most - 1) * self.every_ms / 1000

    def in_words(self) -> str:
        """In words."""
        text = f"send {self.send}" + (f", expect {self.good}" if self.good else "")
        if self.busy:
            text += (
                f"; while it answers {self.busy}, again every {self.every_ms} ms, {self.most} times at most"
            )
        return text + (", whatever is answered" if self.may_fail else "")

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """A field that does not exist, a service that is not a step's, a repeat that never ends or helps."""
        yield from fields_unknown(self.send, known)
        if bool(self.busy) != (self.most > 1):
            yield "busy and most go together: what is repeated, and how often at most"
        if self.busy and self.busy == self.good:
            yield "busy and good are the same record"
        head = self.template.head
        if not head:
            yield "send begins with a field: the service must be told"
        elif head[0] in _HAS_A_VERB:
            yield f"service 0x{head[0]:02X} has a verb of its own: {_HAS_A_VERB[head[0]]}"
        elif head[0] not in _REQUESTS:
            yield f"service 0x{head[0]:02X} is none that a step may ask for"
        elif head[0] == 0x31 and len(head) < _ROUTINE_BYTES:
            yield "a routine is told in full (31 01 and its number), not by a field"


class Session(Step):
    """Enter a session (0x10) and keep it."""

    verb: Literal["session"]
    """Which step it is."""
    number: Byte
    """Sub-function of the session."""

    def in_words(self) -> str:
        """In words."""
        return f"enter session 0x{self.number:02X}"


class Unlock(Step):
    """Unlock as sessions.write_security says."""

    verb: Literal["unlock"]
    """Which step it is."""

    def in_words(self) -> str:
        """In words."""
        return "unlock for writing"


class Wait(Step):
    """Let the ECU settle."""

    verb: Literal["wait"]
    """Which step it is."""
    seconds: float = Field(gt=0, le=60)
    """How long."""

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.seconds

    def in_words(self) -> str:
        """In words."""
        return f"wait {self.seconds:g} s"


class Silence(Step):
    """Tell every controller on the bus again and again to be quiet; none answers (sources: `vbf`)."""

    verb: Literal["silence"]
    """Which step it is."""
    send: HexBytes = Field(min_length=4, max_length=14)
    """What is sent, without an answer."""
    every_ms: int = Field(ge=2, le=1_000)
    """Pause between two."""
    times: int = Field(ge=1, le=1_000)
    """How often."""

    @property
    def longest_s(self) -> float:
        """In seconds."""
        return self.times * self.every_ms / 1000

    def in_words(self) -> str:
        """In words."""
        return f"send {self.send} to every controller {self.times} times, every {self.every_ms} ms"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Only session, communication and presence are anybody's."""
        if int(self.send[:2], 16) not in (0x10, 0x28, 0x3E, 0x85) or int(self.send[2:4], 16) < 0x80:
            yield "send is 10, 28, 3E or 85 with the bit that suppresses the answer"


class Loader(Step):
    """Upload the owner's secondary boot loader to RAM and start it, unless it runs already."""

    verb: Literal["loader"]
    """Which step it is."""
    secret: str = Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")
    """The owner's file, by the name that `[[secrets]]` gives it."""
    address: int = Field(ge=0, lt=1 << 32)
    """Where it is loaded to."""
    entry: int = Field(ge=0, lt=1 << 32)
    """Where it is started."""
    probe: HexBytes = Field(min_length=2)
    """A request that the loader alone answers."""
    open: TemplateText
    """Request that announces it."""
    start: TemplateText
    """Request that starts it."""
    started: HexBytes = ""
    """The record that says that it runs."""
    close_proof: CloseProof = "none"
    """What the answer to 37 carries."""

    def in_words(self) -> str:
        """In words."""
        where = f"to 0x{self.address:X} and start it at 0x{self.entry:X}"
        return f"unless {self.probe} is answered: upload the owner's {self.secret} {where}"

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """Templates know the loader's place alone."""
        del known
        yield from fields_unknown(self.open, LOADER_FIELDS)
        yield from fields_unknown(self.start, LOADER_FIELDS)
        if Template.of(self.open).head[:1] != b"\x34":
            yield "open is a request for a download (34)"
        if Template.of(self.start).head[:2] != b"\x31\x01":
            yield "start is a routine (31 01)"
        elif len(Template.of(self.start).head) < _ROUTINE_BYTES:
            yield "start tells its routine in full (31 01 and its number), not by a field"
        if int(self.probe[:2], 16) not in (0x22, 0x3E):
            yield "probe reads (22) or asks for presence (3E): it must change nothing"


class Download(Step):
    """The heart's block by 34, 36 and 37."""

    verb: Literal["download"]
    """Which step it is."""
    open: TemplateText
    """Request that announces the block."""
    trailer: Literal["none", "crc16-x25"] = "none"
    """Behind the data of each 36, over the whole request, little-endian (sources: `psa-flash`)."""
    taken: HexBytes = ""
    """The record of each 76 that says that the piece was taken."""
    close_proof: CloseProof = "none"
    """What the answer to 37 carries."""

    def in_words(self) -> str:
        """In words."""
        text = f"download by {self.open}"
        if self.trailer != "none":
            text += f", each piece with its {self.trailer}"
        told = self.close_proof != "none"
        return text + (f"; 37 answers the {self.close_proof} of what came" if told else "")

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """The heart's own block must be named."""
        yield from fields_unknown(self.open, known)
        yield from _unnamed(self.open)
        if Template.of(self.open).head[:1] != b"\x34":
            yield "open is a request for a download (34)"


OpenStep = Annotated[Request | Session | Unlock | Wait | Silence | Loader, Field(discriminator="verb")]
EraseStep = Annotated[Request | Wait, Field(discriminator="verb")]
ProgramStep = Annotated[Request | Wait | Download, Field(discriminator="verb")]
AskStep = Annotated[Request | Wait, Field(discriminator="verb")]
AlwaysStep = Annotated[Request | Wait | Silence, Field(discriminator="verb")]


class Steps(Strict):
    """Lists in place of the short forms; a list that is not given is done as the tables say."""

    open: tuple[OpenStep, ...] | None = Field(default=None, min_length=1, max_length=32)
    """For a write, in place of the sessions table."""
    open_to_read: tuple[OpenStep, ...] | None = Field(default=None, min_length=1, max_length=32)
    """For a read, in place of the sessions table."""
    recover: tuple[OpenStep, ...] | None = Field(default=None, min_length=1, max_length=32)
    """For a half-written ECU; by default as `open`."""
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
            known = BLOCK_FIELDS if name in ("erase", "program", "prove") else frozenset()
            for at, step in enumerate(steps):
                yield from (f"{name}[{at}]: {reason}" for reason in step.problems(known))
            longest_s = math.fsum(step.longest_s for step in steps)
            if longest_s > LONGEST_S:
                yield f"{name}: may wait {longest_s:.0f} s in all, and {LONGEST_S:.0f} s is the most"
        yield from self._one_of_each()
        yield from self.hidden_erases(frozenset())

    def _one_of_each(self) -> Iterator[str]:
        if self.program and sum(isinstance(step, Download) for step in self.program) != 1:
            yield "program: has one download, and not more: the heart programs block by block"
        for name in ("erase", "prove"):
            asked = [step for step in self.named.get(name, ()) if isinstance(step, Request)]
            if name in self.named and len(asked) != 1:
                yield f"{name}: has one request, and not more: the heart names one block"
            for step in asked:
                yield from (f"{name}: {reason}" for reason in _unnamed(step.send))
                if step.may_fail:
                    yield f"{name}: may_fail would turn a refusal into success"

    def hidden_erases(self, known: frozenset[bytes]) -> Iterator[str]:
        """Why a list erases that must not: what is erased, and when, is the heart's.

        `known` are beginnings of requests that erase, besides that of the standard and those of `erase`.
        """
        asked = [step for step in self.erase or () if isinstance(step, Request)]
        erasing = known or {_ERASE_MEMORY, *(step.template.head[:_ROUTINE_BYTES] for step in asked)}
        for name, steps in self.named.items():
            for at, step in enumerate(steps):
                if name != "erase" and _routine_of(step) in erasing:
                    yield f"{name}[{at}]: erases; only the list 'erase' may, and the heart says when"


def _routine_of(step: Step) -> bytes | None:
    """How the routine begins that a step starts, if it starts one."""
    if isinstance(step, Request):
        return step.template.head[:_ROUTINE_BYTES]
    return Template.of(step.start).head[:_ROUTINE_BYTES] if isinstance(step, Loader) else None


def _unnamed(send: str) -> Iterator[str]:
    fields = Template.of(send).fields
    if "block_id" not in fields and not {"start", "size"} <= fields:
        yield "names no block: {block_id}, or {start} and {size}, must be in it"
