"""The append-only record of what happened, written in the transaction of the change it records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from intarsia.clock import iso
from intarsia.kernel.database import Transaction
from intarsia.kernel.engine import Row


class Event(Struct, frozen=True):
    id: int
    time: float
    run: str | None
    issue: str | None
    session: str | None
    actor: str
    kind: str
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "time": iso(self.time),
            "run": self.run,
            "issue": self.issue,
            "session": self.session,
            "actor": self.actor,
            "kind": self.kind,
            "data": self.data,
        }


def record(
    tx: Transaction,
    kind: str,
    *,
    actor: str,
    run: str | None = None,
    issue: str | None = None,
    session: str | None = None,
    **data: Any,
) -> None:
    tx.execute(
        """INSERT INTO events (project, time, run, issue, session, actor, kind, data)
           VALUES (:project, :now, :run, :issue, :session, :actor, :kind, :data)""",
        run=run,
        issue=issue,
        session=session,
        actor=actor,
        kind=kind,
        data=json.dumps(data),
    )


def since(
    tx: Transaction, cursor: int = 0, *, issue: str | None = None, session: str | None = None, limit: int = 1000
) -> list[Event]:
    """Events after `cursor` (an event id), oldest first."""
    return [_event(row) for row in _select(tx, "id > :cursor", "id", cursor, issue, session, limit)]


def latest(tx: Transaction, limit: int, *, issue: str | None = None, session: str | None = None) -> list[Event]:
    """The newest `limit` events, oldest first."""
    rows = _select(tx, "id > :cursor", "id DESC", 0, issue, session, limit)
    return [_event(row) for row in reversed(rows)]


def history(
    tx: Transaction, *, since: float = 0, until: float | None = None, agent: str | None = None, limit: int = 1000
) -> list[Event]:
    """The newest events of a time (seconds since the epoch, `until` is not part of it), oldest first.

    With `agent`, what exactly this member, session or person did, and the sessions of the agent of this name.
    """
    filters = ["time >= :since"]
    if until is not None:
        filters.append("time < :until")
    if agent is not None:
        filters.append(
            """(actor = :agent OR session = :agent OR session IN
                (SELECT s.id FROM sessions s WHERE s.project = :project AND s.agent = :agent))"""
        )
    rows = tx.all(
        f"SELECT * FROM events WHERE project = :project AND {' AND '.join(filters)} ORDER BY id DESC LIMIT :limit",
        since=since,
        until=until,
        agent=agent,
        limit=limit,
    )
    return [_event(row) for row in reversed(rows)]


def everything(tx: Transaction) -> Iterator[Event]:
    cursor = 0
    while batch := since(tx, cursor):
        yield from batch
        cursor = batch[-1].id


def _select(
    tx: Transaction, where: str, order: str, cursor: int, issue: str | None, session: str | None, limit: int
) -> list[Row]:
    filters = [where]
    if issue is not None:
        filters.append("issue = :issue")
    if session is not None:
        filters.append("session = :session")
    return tx.all(
        f"SELECT * FROM events WHERE project = :project AND {' AND '.join(filters)} ORDER BY {order} LIMIT :limit",
        cursor=cursor,
        issue=issue,
        session=session,
        limit=limit,
    )


def _event(row: Row) -> Event:
    return Event(
        id=row["id"],
        time=row["time"],
        run=row["run"],
        issue=row["issue"],
        session=row["session"],
        actor=row["actor"],
        kind=row["kind"],
        data=json.loads(row["data"]),
    )
