"""What was proposed, who consented and what became of it: kept over restarts, and started once at most."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.contract.actors import BOX, Actor
from appliance.contract.catalogue import Phrase
from appliance.contract.errors import EngineError, PitboxError
from appliance.contract.phrases import phrase
from appliance.contract.preview import Preview
from appliance.contract.proposals import OPERATOR, WEB, Consent, ProposalEvent, Propose
from appliance.contract.proposals_told import WAITING, ProposalState, ProposalTold
from appliance.flashing.database import Database, StorageError
from appliance.flashing.operation_log import Beginning, OperationLog
from appliance.flashing.proposal_rows import (
    ConsentRecord,
    ProposalRecord,
    consent_of,
    damaged_told,
    proposal_of,
    same_ecu,
    unfit,
)
from appliance.flashing.recorder import Recorder, acting, asking
from appliance.flashing.rows import refuse_strange, seal_rows
from appliance.flashing.writes_record import WritesRecord
from appliance.vault.authentic import Mac

MOST_WAITING = 8
"""Each may hold a file of 64 MiB on the disk."""
MOST_PROPOSALS = 200
NOT_AS_LEFT = "the journal is not as it was left: this may have been started, or withdrawn, before"
_WAITING = tuple(state.value for state in WAITING)
log = logging.getLogger("pitbox.journal")


class ProposalLog:
    """The proposals of one journal. Who acts is told as the proposer or the one who consents."""

    def __init__(
        self,
        db: Database,
        recorder: Recorder,
        operations: OperationLog,
        record: WritesRecord,
        mac: Mac,
        now: Callable[[], float],
    ) -> None:
        self._db = db
        self._recorder = recorder
        self._operations = operations
        self._writes = record
        self._mac = mac
        self._now = now

    def propose(self, asked: Propose, preview: Preview, proposal_id: str | None = None) -> ProposalRecord:
        """What was shown in `preview` waits for its consents, and supersedes what waits for the same ECU.

        An operator's proposal is superseded by operators and by its own proposer alone. Raises PitboxError.
        """
        self.expire()
        actor, now = asking(), self._now()
        if actor.role == WEB and WEB in asked.needs:
            raise EngineError("PARAMETERS_INVALID.web_consents")
        new = proposal_id or uuid.uuid4().hex[:12]
        with self._change() as sql:
            for one in self.waiting():
                self._supersede(sql, one, preview, actor)
            if len(self.waiting()) >= MOST_WAITING:
                raise EngineError("PROPOSALS_FULL", most=MOST_WAITING)
            sql.execute(
                "INSERT INTO proposal(id, verb, request, preview, proposer, by_name, needs, state, "
                "proposed_at, expires_at) VALUES(?,?,?,?,?,?,?,?,?,?)",
                (
                    new,
                    asked.operation.verb,
                    json.dumps(asked.operation.model_dump(mode="json", exclude_unset=True, exclude={"verb"})),
                    json.dumps(preview),
                    str(actor),
                    asked.by,
                    json.dumps(asked.needs),
                    ProposalState.OPEN.value,
                    now,
                    now + asked.expires_s,
                ),
            )
            seal_rows(sql, self._mac, "proposal", "id=?", new)
            self._forget_old(sql)
            return self._tell(new, "proposed", asked.by)

    def consent(self, proposal_id: str, given: Consent) -> ProposalRecord:
        """One more consent, of whoever acts; the last one makes the proposal ready. Raises PitboxError."""
        self.expire()
        with self._change() as sql:
            one = self._waiting(proposal_id)
            if given.digest != one.digest:
                raise EngineError("CONSENT_TO_ANOTHER")
            row = sql.execute(
                "INSERT INTO consent(proposal_id, need, actor, by_name, digest, at) VALUES(?,?,?,?,?,?)",
                (
                    proposal_id,
                    self._need(one, given),
                    str(asking()),
                    given.by,
                    given.digest,
                    self._now(),
                ),
            )
            seal_rows(sql, self._mac, "consent", "number=?", row.lastrowid)
            if not self.get(proposal_id).missing:
                self._enter(sql, proposal_id, ProposalState.READY)
            return self._tell(proposal_id, "consented", given.by)

    def withdraw(self, proposal_id: str, by: str | None) -> ProposalRecord:
        """By its proposer the proposal is over; by who consented, that consent; else an operator ends it.

        Raises PitboxError.
        """
        self.expire()
        with self._change() as sql:
            one, actor = self._waiting(proposal_id), asking()
            if actor != one.proposer and any(given.actor == actor for given in one.counting):
                where = "proposal_id=? AND actor=? AND withdrawn_at IS NULL"
                numbers = sql.execute(
                    f"SELECT number FROM consent WHERE {where}", (proposal_id, str(actor))
                ).fetchall()
                for (number,) in numbers:
                    sql.execute("UPDATE consent SET withdrawn_at=? WHERE number=?", (self._now(), number))
                    seal_rows(sql, self._mac, "consent", "number=?", number)
                self._enter(sql, proposal_id, ProposalState.OPEN)
                return self._tell(proposal_id, "consent_withdrawn", by)
            if actor != one.proposer and actor.role != OPERATOR:
                raise EngineError("WITHDRAWAL_REFUSED")
            self._enter(sql, proposal_id, ProposalState.WITHDRAWN)
            return self._tell(proposal_id, ProposalState.WITHDRAWN.value, by)

    def start(self, proposal_id: str, operation: Beginning) -> ProposalRecord:
        """It is started as this operation, in one commit with the operation's beginning: never a second time.

        Raises PitboxError, and then nothing was begun.
        """
        self.expire()
        with self._change() as sql:
            self.ready(proposal_id)
            self._operations.add(sql, operation)
            self._enter(sql, proposal_id, ProposalState.STARTED, operation_id=operation.id)
            return self._tell(proposal_id, ProposalState.STARTED.value)

    def stale(self, proposal_id: str) -> None:
        """What was shown is no longer true. Raises PitboxError."""
        with self._change() as sql:
            self._waiting(proposal_id)
            why = "what would be done is no longer what was shown"
            self._enter(sql, proposal_id, ProposalState.STALE, why)
            self._tell(proposal_id, ProposalState.STALE.value)

    def distrust(self, sql: sqlite3.Connection) -> None:
        """Nothing that waits is believed any more, in the transaction that is open: it may be over."""
        for one in self.waiting():
            self._enter(sql, one.id, ProposalState.STALE, NOT_AS_LEFT)
            self._tell(one.id, ProposalState.STALE.value)

    def open(self) -> list[ProposalTold]:
        """Those that something may still become of, oldest first. Raises PitboxError."""
        now = self._now()
        return [one.as_told(now) for one in self.waiting() if one.state_at(now) in WAITING]

    def due_in_s(self) -> float:
        """Until the next one expires; infinite where none waits. Raises PitboxError."""
        now = self._now()
        left = [one.expires_at - now for one in self.waiting() if one.state_at(now) in WAITING]
        return max(0.0, min(left)) if left else math.inf

    def expire(self) -> bool:
        """Close what has waited too long, or was shown otherwise: also where no disk takes it.

        Whether there was one.
        """
        now = self._now()
        due = [one for one in self.waiting() if one.state_at(now) not in WAITING]
        if not due:
            return False
        try:
            with acting(BOX), self._change() as sql:
                for one in due:
                    state = one.state_at(now)
                    self._enter(sql, one.id, state, one.why_at(now))
                    self._tell(one.id, state.value)
        except StorageError as error:
            log.warning("that proposals have expired is not kept: %s", error.what)
        return True

    def waiting(self) -> list[ProposalRecord]:
        """Those that something may still become of, oldest first; damaged ones are left out."""
        rows = self._db.rows("SELECT * FROM proposal WHERE state IN (?, ?) ORDER BY number", *_WAITING)
        return [one for row in rows if (one := self._record(row)) is not None]

    def all(self) -> list[ProposalTold]:
        """Every one that is kept, newest first. Raises StorageError, JournalDamagedError."""
        self.expire()
        now = self._now()
        rows = self._db.rows("SELECT * FROM proposal ORDER BY number DESC")
        return [one.as_told(now) if (one := self._record(row)) else damaged_told(row) for row in rows]

    def get(self, proposal_id: str) -> ProposalRecord:
        """One of them. Raises PitboxError for an unknown or damaged one."""
        found = self._db.rows("SELECT * FROM proposal WHERE id=?", proposal_id)
        if not found:
            raise EngineError("PROPOSAL_UNKNOWN", proposal=proposal_id)
        one = self._record(found[0])
        if one is None:
            raise _damaged(proposal_id)
        return one

    def told(self, proposal_id: str) -> ProposalTold:
        """One of them in its JSON form. Raises PitboxError."""
        return self.get(proposal_id).as_told(self._now())

    def ready(self, proposal_id: str) -> ProposalRecord:
        """One that has every consent. Raises PitboxError PROPOSAL_NOT_READY or PROPOSAL_CLOSED."""
        one = self._waiting(proposal_id)
        if not self._db.is_whole():
            raise _damaged(proposal_id)
        if one.missing or one.state is not ProposalState.READY:
            raise EngineError("PROPOSAL_NOT_READY", missing=tuple(one.missing), proposal=proposal_id)
        return one

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A commit that is counted: an older journal lags behind the record of writes then."""
        with self._recorder.change() as sql:
            yield sql
            self._writes.changed(sql)
        self._writes.follow()  # no write reaches an ECU before the record has followed

    def _waiting(self, proposal_id: str) -> ProposalRecord:
        one = self.get(proposal_id)
        now = self._now()
        state = one.state_at(now)
        if state not in WAITING:
            how = phrase("proposal.state", state=state.value)
            if one.operation_id:
                how = phrase("proposal.operation", state=state.value, operation=one.operation_id)
            if why := one.why_at(now):
                raise EngineError("PROPOSAL_CLOSED.why", state=how, why=Phrase("", {}, why))
            raise EngineError("PROPOSAL_CLOSED", state=how)
        return one

    def _need(self, one: ProposalRecord, given: Consent) -> str:
        """Which consent it is. Raises PitboxError CONSENT_REFUSED."""
        if not one.missing:
            raise EngineError("PROPOSAL_READY", proposal=one.id)
        wanted = [need for need in one.missing if given.need in (None, need)]
        reasons = [unfit(one, need, asking(), given.by) for need in wanted]
        for need, reason in zip(wanted, reasons, strict=True):
            if reason is None:
                return need
        why = next(filter(None, reasons), None) or phrase("consent.not_wanted", need=given.need or "")
        raise EngineError("CONSENT_REFUSED", why=why, missing=tuple(one.missing))

    def _supersede(self, sql: sqlite3.Connection, one: ProposalRecord, by: Preview, actor: Actor) -> None:
        if same_ecu(one.preview, by) and (actor.role == OPERATOR or actor == one.proposer):
            why = "something else was proposed for the same ECU"
            self._enter(sql, one.id, ProposalState.SUPERSEDED, why)
            self._tell(one.id, ProposalState.SUPERSEDED.value)

    def _enter(
        self,
        sql: sqlite3.Connection,
        proposal_id: str,
        state: ProposalState,
        why: str | None = None,
        operation_id: str | None = None,
    ) -> None:
        sql.execute(
            "UPDATE proposal SET state=?, why=?, operation_id=? WHERE id=?",
            (state.value, why, operation_id, proposal_id),
        )
        seal_rows(sql, self._mac, "proposal", "id=?", proposal_id)

    def _tell(self, proposal_id: str, what: str, by: str | None = None) -> ProposalRecord:
        one = self.get(proposal_id)
        self._recorder.add(
            ProposalEvent(
                one.preview["job"],
                one.id,
                one.verb,
                what,
                one.state.value,
                one.digest,
                one.missing,
                by,
                one.operation_id,
                one.why,
            )
        )
        return one

    def _forget_old(self, sql: sqlite3.Connection) -> None:
        old = sql.execute(
            "SELECT id FROM proposal WHERE state NOT IN (?, ?) ORDER BY number DESC LIMIT -1 OFFSET ?",
            (*_WAITING, MOST_PROPOSALS),
        ).fetchall()
        for (proposal_id,) in old:
            sql.execute("DELETE FROM consent WHERE proposal_id=?", (proposal_id,))
            sql.execute("DELETE FROM proposal WHERE id=?", (proposal_id,))

    def _record(self, row: sqlite3.Row) -> ProposalRecord | None:
        """None for a row that this box did not write so; such a consent does not count."""
        consents = self._db.rows("SELECT * FROM consent WHERE proposal_id=? ORDER BY number", row["id"])
        try:
            refuse_strange("proposal", row, self._mac)
            return proposal_of(row, [one for each in consents if (one := self._consent(each)) is not None])
        except (ValueError, LookupError, TypeError):
            return None

    def _consent(self, row: sqlite3.Row) -> ConsentRecord | None:
        try:
            refuse_strange("consent", row, self._mac)
            return consent_of(row)
        except (ValueError, LookupError):
            return None


def _damaged(proposal_id: str) -> PitboxError:
    return EngineError("PROPOSAL_DAMAGED", proposal=proposal_id)
