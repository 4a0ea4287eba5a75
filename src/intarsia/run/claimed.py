"""A session that this supervisor holds: its row, and every change to it under its lease."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from intarsia.errors import Aborted, Held, StaleLease
from intarsia.kernel import events, leases, sessions, spending
from intarsia.kernel.database import Transaction
from intarsia.kernel.issues import Issue
from intarsia.kernel.leases import Lease
from intarsia.kernel.sessions import Session
from intarsia.run.context import Context
from intarsia.workspace import pool

QUEUE_POLL = 0.02
ASSURED_FOR = 1.0

T = TypeVar("T")


class Lost(Exception):
    """Another supervisor has this session now; leave everything as it is."""


class Claimed:
    def __init__(self, context: Context, row: Session, issue: Issue) -> None:
        self._context = context
        self._assured = -ASSURED_FOR
        self.row = row
        self.issue = issue

    @property
    def id(self) -> str:
        return self.row.id

    def assure(self) -> None:
        """Raise Lost if another supervisor has the session by now, and with it its files, refs and processes.

        Nobody takes it from one who was there a moment ago: a lease lasts longer.
        """
        if _seconds() - self._assured < ASSURED_FOR:
            return
        try:
            with self._context.database.read() as tx:
                leases.require(tx, self.row.resource, self.row.token)
        except StaleLease:
            self._retake()
        self._assured = _seconds()

    def stopped(self) -> bool:
        """Whether the run is being stopped, asked again and again while something runs. Raises Lost."""
        self.assure()
        return self._context.stopping.is_set()

    def fence(self) -> Callable[[Transaction], None]:
        """Raises StaleLease in a transaction unless the session was held without a break since now."""
        resource, token = self.row.resource, self.row.token
        return lambda tx: leases.require(tx, resource, token)

    def change(self, change: Callable[[Transaction], Session]) -> None:
        """Apply a change to the row. Raises Lost."""
        self.row = self._fenced(change)

    def _fenced(self, do: Callable[[Transaction], T]) -> T:
        """Do it under the session's lease, which is taken again if it only ran out while we slept. Raises Lost."""
        try:
            return self._under_lease(do)
        except StaleLease:
            self._retake()
            return self._under_lease(do)

    def _under_lease(self, do: Callable[[Transaction], T]) -> T:
        with self._context.database.transaction() as tx:
            leases.require(tx, self.row.resource, self.row.token)
            done = do(tx)
        self._assured = _seconds()
        return done

    def update(self, **values: Any) -> None:
        self.change(lambda tx: sessions.update(tx, self.row, **values))

    def book(self, usage: dict[str, Any], then: Callable[[Transaction, Session], T]) -> T:
        """Record what was used up, and ask something in the same transaction. Raises Lost."""

        def book(tx: Transaction) -> tuple[Session, T]:
            row = spending.book(tx, self.row, usage)
            return row, then(tx, row)

        self.row, found = self._fenced(book)
        return found

    def advance(self, stage: str, reason: str = "", **values: Any) -> None:
        self.change(lambda tx: sessions.advance(tx, self.row, stage, reason, **values))

    def end(self, stage: str, reason: str, also: Callable[[Transaction], None], **values: Any) -> None:
        """Enter a final stage, with the issue's change in the same transaction."""

        def end(tx: Transaction) -> Session:
            ended = sessions.end(tx, self.row, stage, reason, **values)
            also(tx)
            return ended

        self.change(end)

    def park(self, reason: str, resume: str) -> None:
        self.change(lambda tx: sessions.park(tx, self.row, reason, resume))

    def record(self, kind: str, **data: Any) -> None:
        facts = {"run": self._context.run, "issue": self.issue.id, "session": self.id, **data}
        self._fenced(lambda tx: events.record(tx, kind, actor=self._context.supervisor, **facts))

    def take_slot(self) -> str:
        """Lease a workspace slot of this host; returns its resource."""
        return self._fenced(lambda tx: pool.acquire(tx, self.id, self._context.host, self._context.config.run.lease))

    def wait_for(self, resource: str) -> Lease:
        """Lease a resource as soon as nobody else holds it; raises Aborted when the run is stopped meanwhile."""
        while True:
            try:
                return self._fenced(lambda tx: leases.acquire(tx, self.id, resource, self._context.config.run.lease))
            except Held:
                if self._context.stopping.wait(QUEUE_POLL):
                    raise Aborted("The run was interrupted.") from None

    def still_holds(self, lease: Lease) -> bool:
        try:
            with self._context.database.transaction() as tx:
                leases.require(tx, self.row.resource, self.row.token)
                leases.require(tx, lease.resource, lease.token)
        except StaleLease:
            return False
        return True

    def release(self, resource: str) -> None:
        with suppress(StaleLease), self._context.database.transaction() as tx:
            leases.require(tx, self.row.resource, self.row.token)  # else it is the next supervisor's by now
            leases.release(tx, self.id, resource)

    def _retake(self) -> None:
        context = self._context
        try:
            with context.database.transaction() as tx:
                self.row = sessions.take_over(tx, self.row, context.supervisor, context.run, context.config.run.lease)
        except (StaleLease, Held) as taken:
            raise Lost(self.id) from taken


def _seconds() -> float:
    """A clock that goes on while this process, or the whole machine, sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
