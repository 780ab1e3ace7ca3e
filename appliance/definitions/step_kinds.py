"""The kinds of step: what each asks for, how long it may take, and what a definition may not say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from appliance.definitions.fields import Byte, HexBytes, Strict
from appliance.definitions.template import LOADER_FIELDS, Template, TemplateText, fields_unknown

ROUTINE_BYTES = 4
"""The service, its sub-function and the number of a routine."""
_REQUESTS = frozenset({0x22, 0x28, 0x2E, 0x31, 0x3E, 0x85})
LEAVING = frozenset({0x20, 0x82})
"""Stop the diagnostic session, stop the communication: an older ECU is left so."""
_HAS_A_VERB = {
    0x10: "session", 0x11: "no step: the heart resets", 0x27: "unlock", 0x34: "download or loader",
    0x35: "no step: reading has its table", 0x36: "download or loader", 0x37: "download or loader",
    0x87: "rate",
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
    poll: TemplateText | None = None
    """What is asked in its place while it says: not yet; without it the same request is repeated."""
    passes: HexBytes = Field(default="", max_length=32)
    """Codes of refusals that are as good as the answer."""
    may_fail: bool = False
    """A refusal or silence is passed over."""
    quiet: bool = False
    """No tester present is sent before it is over: the ECU would break off what it does."""

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
            again = f"{self.poll} is asked" if self.poll else "again"
            text += f"; while it answers {self.busy}, {again} every {self.every_ms} ms"
            text += f", {self.most} times at most"
        if self.passes:
            text += f"; refusals {bytes.fromhex(self.passes).hex(' ').upper()} are passed over"
        if self.quiet:
            text += "; without tester present"
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
        elif head[0] not in _REQUESTS | LEAVING:
            yield f"service 0x{head[0]:02X} is none that a step may ask for"
        elif head[0] == 0x31 and len(head) < ROUTINE_BYTES:
            yield "a routine is told in full (31 01 and its number), not by a field"
        yield from self._poll_problems(known)

    def _poll_problems(self, known: frozenset[str]) -> Iterator[str]:
        if self.poll is None:
            return
        yield from (f"poll: {reason}" for reason in fields_unknown(self.poll, known))
        if not self.busy:
            yield "poll belongs to busy: it is asked while the ECU is not done"
        head = Template.of(self.poll).head
        if head[:1] != b"\x22" and (head[:2] != b"\x31\x03" or len(head) < ROUTINE_BYTES):
            yield "poll asks for a result (31 03 and the routine's number) or reads (22): it starts nothing"


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
    """Unlock as sessions.write_security or sessions.read_security says."""

    verb: Literal["unlock"]
    """Which step it is."""
    purpose: Literal["writing", "reading"] = "writing"
    """Which of the two levels."""

    def in_words(self) -> str:
        """In words."""
        return f"unlock for {self.purpose}"


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
        elif len(Template.of(self.start).head) < ROUTINE_BYTES:
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
    quiet: bool = False
    """No tester present is sent before it is over: the ECU would break the transfer off."""

    def in_words(self) -> str:
        """In words."""
        text = f"download by {self.open}" + (", without tester present" if self.quiet else "")
        if self.trailer != "none":
            text += f", each piece with its {self.trailer}"
        told = self.close_proof != "none"
        return text + (f"; 37 answers the {self.close_proof} of what came" if told else "")

    def problems(self, known: frozenset[str]) -> Iterator[str]:
        """The heart's own block must be named."""
        yield from fields_unknown(self.open, known | {"wire_size"})
        yield from unnamed(self.open)
        if Template.of(self.open).head[:1] != b"\x34":
            yield "open is a request for a download (34)"


def unnamed(send: str) -> Iterator[str]:
    """Why a request does not tell which block it is for."""
    fields = Template.of(send).fields
    if "block_id" not in fields and not ("start" in fields and fields & {"size", "wire_size"}):
        yield "names no block: {block_id}, or {start} and {size}, must be in it"
