"""Proposals as clients use them: shown, consented to, started once, and checked anew before they are."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from appliance.contract.actors import Actor
from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.gates import GateTold
from appliance.contract.operations import Recover, Restore, Write
from appliance.contract.phrases import phrase
from appliance.contract.preview import Preview
from appliance.contract.proposals import Consent, Propose
from appliance.contract.proposals_told import ProposalState, ProposalTold
from appliance.engine.context import EngineContext
from appliance.engine.operation_runner import Operator
from appliance.engine.operations.preview import refuse_other
from appliance.engine.operations.registry import PREVIEWS, Prepared, prepare
from appliance.engine.operations.write import not_confirmed
from appliance.engine.worker import Worker
from appliance.flashing.operation_log import Beginning
from appliance.flashing.proposal_rows import ProposalRecord
from appliance.flashing.recorder import acting
from appliance.flashing.safety import tell_safety

Done = TypeVar("Done")


class ProposalDesk:
    """Lives on the HTTP loop. Each change is one commit in the worker's thread."""

    def __init__(self, box: EngineContext, worker: Worker, operator: Operator) -> None:
        self._box = box
        self._worker = worker
        self._operator = operator

    async def all(self) -> list[ProposalTold]:
        """Newest first. Raises PitboxError."""
        return await self._worker.call(self._box.journal.proposals.all)

    async def told(self, proposal_id: str) -> ProposalTold:
        """Raises PitboxError."""
        return await self._worker.call(lambda: self._box.journal.proposals.told(proposal_id))

    async def propose(self, asked: Propose, actor: Actor) -> ProposalTold:
        """Keep what was shown to its proposer until its consents are in. Raises PitboxError."""
        self._operator.refuse_busy()

        async def inside() -> ProposalTold:
            with acting(actor):
                return await self._propose(asked)

        return await asyncio.wrap_future(self._worker.submit(inside()))

    async def consent(self, proposal_id: str, given: Consent, actor: Actor) -> ProposalTold:
        """The one that completes the set starts it, unless the box is busy. Raises PitboxError."""
        proposals = self._box.journal.proposals
        one = await self._as(actor, lambda: proposals.consent(proposal_id, given))
        if one.state is not ProposalState.READY:
            return await self.told(proposal_id)
        try:
            return await self._start(one, actor)
        except PitboxError as error:
            told = await self.told(proposal_id)
            return {**told, "why": f"not started yet: {error.what}"}

    async def withdraw(self, proposal_id: str, by: str | None, actor: Actor) -> ProposalTold:
        """Raises PitboxError."""

        def inside() -> None:
            self._box.journal.proposals.withdraw(proposal_id, by)
            tidy(self._box)

        await self._as(actor, inside)
        return await self.told(proposal_id)

    async def start(self, proposal_id: str, actor: Actor) -> ProposalTold:
        """Of one that has every consent. Raises PitboxError."""
        return await self._start(
            await self._worker.call(lambda: self._box.journal.proposals.ready(proposal_id)), actor
        )

    async def _start(self, one: ProposalRecord, actor: Actor) -> ProposalTold:
        """The operation's own beginning is what marks it as started: two who start it start it once."""
        asked = {**one.request, "confirmed": one.digest}
        if one.request.get("upload") is not None:
            asked["upload"] = _held_as(one.id)
        work = prepare(one.verb, asked)
        operation = self._operator.start(
            one.verb,
            one.preview["job"],
            work,
            actor,
            asked,
            begin=lambda beginning: self._begun(one, work, beginning),
        )
        return {**await self.told(one.id), "operation": operation.id}

    @asynccontextmanager
    async def _begun(self, one: ProposalRecord, work: Prepared, beginning: Beginning) -> AsyncIterator[None]:
        """In the worker's thread: what was shown must still be true. Raises PitboxError."""
        box, upload = self._box, _held_as(one.id)
        try:
            try:
                await self._check_anew(one, work, beginning)
            except PitboxError as error:
                tell_safety(error, box.journal, one.preview["job"])
                raise
            yield
        finally:
            box.proposed.pop(upload, None)

    async def _check_anew(self, one: ProposalRecord, work: Prepared, beginning: Beginning) -> None:
        box, proposals = self._box, self._box.journal.proposals
        proposals.ready(one.id)
        if one.request.get("upload") is not None:
            box.proposed[_held_as(one.id)] = box.held.get(one.id)
        if (await _shown(box, one.verb, work.asked))["digest"] != one.digest:
            proposals.stale(one.id)
            tidy(box)
            raise not_confirmed()
        proposals.start(one.id, beginning)
        tidy(box)

    async def _propose(self, asked: Propose) -> ProposalTold:
        box, operation = self._box, asked.operation
        shown = await _shown(box, operation.verb, operation)
        refuse_other(shown, operation.confirmed)
        if shown["refused"]:
            raise EngineError(
                "GATES_WOULD_REFUSE",
                points=tuple(_refused(one) for one in shown["gates"] if one["name"] in shown["refused"]),
            )
        proposal_id = uuid.uuid4().hex[:12]
        try:
            if (upload := _upload_of(operation)) is not None:
                box.held.put(proposal_id, box.upload(upload))
            box.journal.proposals.propose(asked, shown, proposal_id)
        finally:
            tidy(box)
        return box.journal.proposals.told(proposal_id)

    async def _as(self, actor: Actor, what: Callable[[], Done]) -> Done:
        def inside() -> Done:
            with acting(actor):
                return what()

        return await self._worker.call(inside)


def tidy(box: EngineContext) -> None:
    """Keep no file of a proposal that nothing will become of."""
    box.held.keep_only({one.id for one in box.journal.proposals.waiting()})


async def _shown(box: EngineContext, verb: str, asked: Any) -> Preview:
    return cast(Preview, await PREVIEWS[verb].start(box, asked))


def _upload_of(operation: Write | Restore | Recover) -> str | None:
    """The file that was handed in with it."""
    return None if isinstance(operation, Restore) else operation.upload


def _held_as(proposal_id: str) -> str:
    """The upload's name while a proposal is being started."""
    return f"proposal-{proposal_id}"


def _refused(gate: GateTold) -> Phrase:
    findings = tuple(Phrase.read(one) for one in gate.get("findings", []))
    return phrase("gate.found", gate=gate["name"], findings=findings)
